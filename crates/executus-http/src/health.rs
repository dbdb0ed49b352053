//! The health of peers: looking at them, judging, remembering, alerting.

mod alarm;
mod facts;
mod history;
mod monitor;
mod probe;
mod verdict;

pub use alarm::{HealthAlert, OnHealthAlert};
pub use facts::{ApplicationFacts, Facts, NetworkFacts, ProcessFacts, ProcessState};
pub use history::{HealthHistory, HealthRow, HistoryError, MemoryHistory};
pub use monitor::{HealthMonitor, HealthMonitorBuilder, HealthTarget, Inspect};
pub use verdict::{HealthStatus, Layer, Verdict};
