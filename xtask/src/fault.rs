//! What a check found: where, what is wrong, what to do.

use std::fmt;

use crate::error::Error;

/// One finding. `place` is `path` or `path:line`, so that a terminal can open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) fix: String,
}

impl Fault {
    pub(crate) fn new(
        place: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), what: what.into(), fix: fix.into() }
    }

    /// A finding at a line, counted from 1.
    pub(crate) fn at(path: &str, line: usize, what: impl Into<String>, fix: &str) -> Self {
        Self::new(format!("{path}:{line}"), what, fix)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    fix: {}", self.place, self.what, self.fix)
    }
}

/// No finding is success; otherwise the findings are the error.
pub(crate) fn verdict(check: &'static str, faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Faults { check, faults }) }
}
