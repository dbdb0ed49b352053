//! How deep and how wide runs may delegate.

use crate::error::BuildError;

/// What bounds a tree of runs. A delegation beyond one of these is denied; the run that asked goes
/// on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaletteLimits {
    /// How many delegations may lie above a run: 3.
    pub max_depth: u32,
    /// How many agents one run may start in all: 32.
    pub max_children: u32,
    /// How many agents may be started below one root run in all: 256.
    pub max_runs: u32,
}

impl Default for PaletteLimits {
    fn default() -> Self {
        Self { max_depth: 3, max_children: 32, max_runs: 256 }
    }
}

impl PaletteLimits {
    /// Refuses limits that mean nothing, by name.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let field = if self.max_depth == 0 {
            "max_depth"
        } else if self.max_children == 0 {
            "max_children"
        } else if self.max_runs == 0 {
            "max_runs"
        } else {
            return Ok(());
        };
        Err(BuildError::Limit { field })
    }
}
