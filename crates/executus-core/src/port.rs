//! The six ports: what a run may use, each of them optional.

use std::fmt;
use std::sync::Arc;

pub mod audit;
pub mod budget;
pub mod checkpoint;
pub mod critic;
pub mod delivery;
pub mod palette;

pub use audit::{Audit, AuditError, Recorder, RunStart};
pub use budget::{Account, Accounts, Amounts, Budget, BudgetError, Limit, Window};
pub use checkpoint::{CheckpointError, Checkpointer, Saved};
pub use critic::{Critic, CriticError, Directive, Watcher};
pub use delivery::{Delivery, DeliveryError, Parcel};
pub use palette::{Delegation, EntryKind, Palette, PaletteEntry, PaletteError};

/// The cause of a port's error, for `source()`.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The ports of an executor. An absent one switches its concern off, and nothing else.
#[derive(Clone, Default)]
pub struct Ports {
    /// Records every run.
    pub audit: Option<Arc<dyn Audit>>,
    /// Grants and accounts what runs may spend.
    pub budget: Option<Arc<dyn Budget>>,
    /// Watches, steers and stops runs.
    pub critic: Option<Arc<dyn Critic>>,
    /// Keeps the facts of unfinished runs.
    pub checkpointer: Option<Arc<dyn Checkpointer>>,
    /// Knows skills and agents.
    pub palette: Option<Arc<dyn Palette>>,
    /// Takes results where they belong.
    pub delivery: Option<Arc<dyn Delivery>>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = [
            ("audit", self.audit.is_some()),
            ("budget", self.budget.is_some()),
            ("critic", self.critic.is_some()),
            ("checkpointer", self.checkpointer.is_some()),
            ("palette", self.palette.is_some()),
            ("delivery", self.delivery.is_some()),
        ];
        f.debug_set().entries(present.iter().filter(|(_, is)| *is).map(|(name, _)| name)).finish()
    }
}
