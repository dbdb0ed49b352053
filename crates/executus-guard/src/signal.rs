//! What a guard tells others.

use std::fmt;
use std::sync::Arc;

use executus_core::RunId;
use executus_core::isolate::call;

use crate::stuck::StuckKind;

/// How strongly something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The model is told.
    Hint,
    /// The model is told, firmly.
    Warning,
    /// The run makes no further action.
    Stop,
}

impl Level {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Stop => "stop",
        }
    }
}

/// What a guard saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignalKind {
    /// The run goes round in circles.
    Stuck(StuckKind),
    /// Too many errors in a row.
    Errors,
    /// A call was refused.
    Refused,
    /// The guard itself failed, or what it protects was changed: it is closed.
    Closed,
}

/// Something that a guard saw in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// The run.
    pub run_id: RunId,
    /// The tool.
    pub tool: Arc<str>,
    /// What it is.
    pub kind: SignalKind,
    /// How strongly it is said.
    pub level: Level,
    /// What was found, in words.
    pub message: String,
}

/// Is told every signal, within the call: it does not wait. A panic is logged.
#[derive(Clone)]
pub(crate) struct OnSignal(Arc<dyn Fn(&Signal) + Send + Sync>);

impl OnSignal {
    pub(crate) fn new(listen: impl Fn(&Signal) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    pub(crate) fn tell(&self, signal: &Signal) {
        if let Err(panicked) = call(|| (self.0)(signal)) {
            tracing::warn!(run = %signal.run_id, panic = %panicked.0, "a listener to signals panicked");
        }
    }
}

impl fmt::Debug for OnSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnSignal")
    }
}
