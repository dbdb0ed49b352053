//! The environment of a child: nothing but what is named.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// The variables that every child gets, where the host has them.
pub const DEFAULT_VARIABLES: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// The variables of a child, read from the host's environment once.
///
/// What is not named does not pass: no keys of the host, no `LD_PRELOAD`, no `GIT_DIR`.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// No variables at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// Also the host's variable of this name, if the host has it.
    #[must_use]
    pub fn allow(mut self, name: impl AsRef<OsStr>) -> Self {
        if let Some(value) = std::env::var_os(&name) {
            self.0.insert(name.as_ref().to_owned(), value);
        }
        self
    }

    /// Also this variable with this value.
    #[must_use]
    pub fn set(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

impl Default for Environment {
    /// [`DEFAULT_VARIABLES`] of the host.
    fn default() -> Self {
        DEFAULT_VARIABLES.into_iter().fold(Self::empty(), Self::allow)
    }
}

impl fmt::Debug for Environment {
    /// The names only: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
