//! A circuit's record as it is stored: version 1.

use executus_core::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::absence::REMEMBERED;
use super::{Breaker, Probe};
use crate::snapshot::State;
use crate::window::Window;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    version: u32,
    generation: u64,
    state: State,
    failures: u32,
    since_opening: u32,
    until: Timestamp,
    forced: bool,
    probe: Option<Probe>,
    window: Window,
    merged: Vec<u64>,
}

/// A record that no version of this program wrote.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    #[error("a circuit's record of version {0}; this program reads version {VERSION}")]
    Version(u32),
    #[error("a circuit's record with `{0}` that is too long")]
    TooLong(&'static str),
    #[error("a closed circuit's record with a probe")]
    Probe,
}

impl From<Breaker> for Stored {
    fn from(breaker: Breaker) -> Self {
        Self {
            version: VERSION,
            generation: breaker.generation,
            state: breaker.state,
            failures: breaker.failures,
            since_opening: breaker.since_opening,
            until: breaker.until,
            forced: breaker.forced,
            probe: breaker.probe,
            window: breaker.window,
            merged: breaker.merged,
        }
    }
}

impl TryFrom<Stored> for Breaker {
    type Error = Unreadable;

    fn try_from(stored: Stored) -> Result<Self, Unreadable> {
        if stored.version != VERSION {
            return Err(Unreadable::Version(stored.version));
        }
        if stored.window.len() > Window::MOST {
            return Err(Unreadable::TooLong("window"));
        }
        if stored.merged.len() > REMEMBERED {
            return Err(Unreadable::TooLong("merged"));
        }
        if stored.state == State::Closed && stored.probe.is_some() {
            return Err(Unreadable::Probe);
        }
        Ok(Self {
            generation: stored.generation,
            state: stored.state,
            failures: stored.failures,
            since_opening: stored.since_opening,
            until: stored.until,
            forced: stored.forced,
            probe: stored.probe,
            window: stored.window,
            merged: stored.merged,
        })
    }
}
