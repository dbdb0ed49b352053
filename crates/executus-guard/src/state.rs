//! What a guard knows of one run.

use std::collections::HashSet;

use crate::config::GuardConfig;
use crate::page::Page;
use crate::stuck::{Observed, Stuck, StuckDetector};

/// See the module.
#[derive(Debug)]
pub(crate) struct RunState {
    detector: Option<StuckDetector>,
    errors: u64,
    visited: HashSet<Page>,
    stopped: Option<String>,
}

/// What there is to say after an action.
#[derive(Debug)]
pub(crate) enum After {
    Nothing,
    Stuck(Stuck),
    /// So many errors in a row.
    Errors(u64),
}

impl RunState {
    pub(crate) fn new(config: &GuardConfig) -> Self {
        Self {
            detector: config.stuck.clone().map(StuckDetector::new),
            errors: 0,
            visited: HashSet::new(),
            stopped: None,
        }
    }

    /// Why no action is made any more.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// No action is made any more. The first reason stays.
    pub(crate) fn stop(&mut self, why: &str) {
        self.stopped.get_or_insert_with(|| why.to_owned());
    }

    /// Takes a place for a page; whether there was one. It is taken whatever becomes of the visit.
    pub(crate) fn take_place(&mut self, page: &Page, max: u64) -> bool {
        if self.visited.contains(page) {
            return true;
        }
        let room = (self.visited.len() as u64) < max;
        if room {
            self.visited.insert(page.clone());
        }
        room
    }

    /// Takes in an action that was made or refused.
    pub(crate) fn after(&mut self, action: &Observed, config: &GuardConfig) -> After {
        if !action.failed {
            // Where a click led nobody could refuse, but it counts.
            let most = usize::try_from(config.max_urls).unwrap_or(usize::MAX);
            for page in &action.pages {
                if self.visited.len() < most {
                    self.visited.insert(page.clone());
                }
            }
        }
        self.errors = if action.failed { self.errors + 1 } else { 0 };
        let stuck = self.detector.as_mut().and_then(|detector| detector.observe(action));
        if self.errors > config.max_errors {
            return After::Errors(self.errors);
        }
        stuck.map_or(After::Nothing, After::Stuck)
    }
}
