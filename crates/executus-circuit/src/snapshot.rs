//! What a circuit looks like from outside.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether calls pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All calls pass.
    #[default]
    Closed,
    /// No call passes, until the cooldown is over and one may probe.
    Open,
    /// As open, for much longer: the peer was found dead many times in a row, or an operator said
    /// so.
    Dormant,
}

impl State {
    /// The name that is shown and stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Dormant => "dormant",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a circuit looks like at one moment. Times are written as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Whether calls pass.
    pub state: State,
    /// Counted failures since the last success.
    pub failure_count: u32,
    /// Probes that failed since the circuit opened.
    pub probe_count: u32,
    /// What is left of an open circuit's cooldown; zero in any other state.
    #[serde(with = "seconds")]
    pub cooldown_remaining: Duration,
    /// How long until a probe may pass, for a dormant circuit too; zero for a closed one.
    #[serde(with = "seconds")]
    pub next_probe: Duration,
    /// Whether a probe is under way.
    pub probing: bool,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}
