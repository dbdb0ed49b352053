//! Names: of a circuit, and of who asks.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of one circuit, the same for all who share a store.
///
/// What is counted for one purpose never mixes with another: the purpose is the first part of the
/// key. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CircuitKey(Arc<str>);

impl CircuitKey {
    /// A key as it is written.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The circuit of connections to a base address, such as `http://10.0.0.7:8080`.
    #[must_use]
    pub fn transport(base: &str) -> Self {
        Self(format!("transport:{base}").into())
    }

    /// The circuit of what a peer says about the caller's credentials.
    #[must_use]
    pub fn dispatch(target: &str) -> Self {
        Self(format!("dispatch:{target}").into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for CircuitKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CircuitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks: one process, or one worker of it. Different for any two who share a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(Arc<str>);

impl Owner {
    /// A name that the host chose.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// A name that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:x}-{:032x}", std::process::id(), fastrand::u128(..)).into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
