//! Caps: how much may be under way at once, and how much within a minute.
//!
//! **For** staying below the rates of a provider, or of a caller, whoever else asks. Beside the
//! budget, which says what may be spent at all, caps say how fast. A [`Permit`] is acquired for a
//! key before a call and given back by its drop; [`Capped`] does so around a model.
//!
//! # What an implementation keeps
//! - Never more permits of one key at once than [`CapLimits::at_once`].
//! - Never more requests, or tokens, granted within any sixty seconds than the limits say. Tokens
//!   count as estimated when the permit is granted; [`Permit::used`] corrects the estimate where it
//!   was counted, so a call that used more than its estimate may pass the limit by the difference.
//! - Who waits is served in the order of asking, per key. One who asks for much is not overtaken by
//!   those who ask for little.
//! - A permit that is dropped without a word gives back its place, and its estimate stands.
//!
//! # Cancellation
//! A dropped `acquire` leaves the queue. Where it had been granted already, the place comes back at
//! once, or by a lease where the store is another process's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::port::Cause;
use crate::time::Timestamp;

mod capped;
mod memory;

pub use capped::Capped;
pub use memory::MemoryCaps;

/// What one key may do; `None` is no cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapLimits {
    /// Permits at once.
    pub at_once: Option<u64>,
    /// Permits granted within a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens of the permits granted within a minute.
    pub tokens_per_minute: Option<u64>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapAsk {
    /// Tokens that the call is expected to use.
    pub tokens: u64,
    /// How long to wait in the queue; zero refuses at once.
    pub patience: Duration,
}

/// Grants permits.
#[async_trait]
pub trait Caps: Send + Sync {
    /// A permit of a key: now, or in its turn while the patience lasts.
    ///
    /// # Errors
    /// [`CapsError::Full`] when the patience is over, and at once for what never fits;
    /// [`CapsError::Unavailable`] when the store does not answer: nobody may go ahead then.
    async fn acquire(&self, key: &Arc<str>, ask: CapAsk) -> Result<Permit, CapsError>;
}

/// A place under the caps of a key; dropped, it is given back.
#[must_use = "a permit that is dropped gives back its place"]
pub struct Permit {
    give_back: Option<Box<dyn FnOnce(Option<u64>) + Send + Sync>>,
}

impl Permit {
    /// A permit that is given back by this, with the tokens that were used, where that is known.
    ///
    /// Called once, also from a drop: it must neither block nor panic.
    pub fn new(give_back: impl FnOnce(Option<u64>) + Send + Sync + 'static) -> Self {
        Self { give_back: Some(Box::new(give_back)) }
    }

    /// Gives it back and corrects the estimate to what was used.
    pub fn used(mut self, tokens: u64) {
        self.end(Some(tokens));
    }

    fn end(&mut self, used: Option<u64>) {
        if let Some(give_back) = self.give_back.take() {
            give_back(used);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Which cap stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cap {
    /// [`CapLimits::at_once`].
    AtOnce,
    /// [`CapLimits::requests_per_minute`].
    Requests,
    /// [`CapLimits::tokens_per_minute`].
    Tokens,
    /// Others wait already, or too many do.
    Queue,
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "at once",
            Self::Requests => "requests a minute",
            Self::Tokens => "tokens a minute",
            Self::Queue => "in the queue",
        })
    }
}

/// Why no permit was granted.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CapsError {
    /// A cap is reached.
    #[error("`{key}` is at its cap: {limit} {cap}{}", again.map(|at| format!(", again at {}", at.utc())).unwrap_or_default())]
    Full {
        /// The key.
        key: Arc<str>,
        /// Which cap.
        cap: Cap,
        /// Its limit; for the queue, how many wait.
        limit: u64,
        /// When the minute has room again; `None` when that is up to others, or never.
        again: Option<Timestamp>,
    },
    /// The store cannot be reached.
    #[error("the caps are not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}
