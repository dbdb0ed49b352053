//! The stuck detector: repetition, cycles, revisits and clusters of failures.

#[cfg(test)]
mod tests;

mod settings;

use std::collections::{HashMap, VecDeque};

use executus_core::digest::Digest;

pub use self::settings::StuckSettings;
use crate::page::Page;
use crate::signal::Level;

/// How many pages are remembered; the one seen longest ago is forgotten first.
const PAGES: usize = 1000;

/// One action that a run made, as the detector sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What was done, and with what: equal for equal actions.
    pub what: Digest,
    /// Whether it failed.
    pub failed: bool,
    /// The pages it led to. A failed action leads nowhere.
    pub pages: Vec<Page>,
}

/// What a run is stuck in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StuckKind {
    /// The same action, in a row.
    Repetition,
    /// Some actions, again and again in the same order.
    Cycle,
    /// Many of the newest actions failed.
    Failures,
    /// A page that was left a while ago is visited again.
    Revisit,
}

/// What the detector found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// What it is.
    pub kind: StuckKind,
    /// How strongly it is said.
    pub level: Level,
    /// What was found, in words.
    pub message: String,
}

/// Looks at the actions of one run, one after the other. Pure: it knows no clock and does no I/O.
///
/// Repetition escalates with its length. The others escalate with the running count of detections,
/// which a clean action takes down by one: a cycle from hint over warning to stop, failures from
/// hint to warning, revisits by two hints to warnings.
#[derive(Debug, Clone)]
pub struct StuckDetector {
    settings: StuckSettings,
    /// The newest actions, oldest first: what, and whether it failed.
    newest: VecDeque<(Digest, bool)>,
    /// How often the newest action was made in a row.
    streak: u64,
    /// How many actions there were.
    actions: u64,
    /// By which action each page was last seen.
    pages: HashMap<Page, u64>,
    detections: u32,
}

impl StuckDetector {
    /// With these settings, which have been checked.
    #[must_use]
    pub fn new(settings: StuckSettings) -> Self {
        Self {
            settings,
            newest: VecDeque::new(),
            streak: 0,
            actions: 0,
            pages: HashMap::new(),
            detections: 0,
        }
    }

    /// The running count of detections.
    #[must_use]
    pub const fn detections(&self) -> u32 {
        self.detections
    }

    /// Forgets everything, the pages too.
    pub fn reset(&mut self) {
        *self = Self::new(self.settings.clone());
    }

    /// Takes in an action. What it finds is the strongest there is.
    pub fn observe(&mut self, action: &Observed) -> Option<Stuck> {
        self.take_in(action);
        let repetition = self.repetition();
        let cycle = self.cycle();
        let failures = self.failures();
        let revisit = self.revisit(action);
        if repetition.is_none() && cycle.is_none() && failures.is_none() && revisit.is_none() {
            self.detections = self.detections.saturating_sub(1);
            return None;
        }
        self.detections = self.detections.saturating_add(1);
        let count = self.detections;
        let times = self.streak;
        let found = [
            repetition.map(|level| Stuck {
                kind: StuckKind::Repetition,
                level,
                message: format!("the same action was made {times} times in a row"),
            }),
            cycle.map(|period| Stuck {
                kind: StuckKind::Cycle,
                level: [Level::Hint, Level::Warning, Level::Stop][count.clamp(1, 3) as usize - 1],
                message: format!("the same {period} actions are made again and again"),
            }),
            failures.map(|failed| Stuck {
                kind: StuckKind::Failures,
                level: if count < 2 { Level::Hint } else { Level::Warning },
                message: format!(
                    "{failed} of the last {} actions failed",
                    self.settings.stuck_failure_window.min(self.newest.len() as u64)
                ),
            }),
            revisit.map(|since| Stuck {
                kind: StuckKind::Revisit,
                level: if count < 3 { Level::Hint } else { Level::Warning },
                message: format!("this page was left {since} actions ago, and is visited again"),
            }),
        ];
        // Of equals the first.
        found.into_iter().flatten().reduce(|a, b| if b.level > a.level { b } else { a })
    }

    fn take_in(&mut self, action: &Observed) {
        let again = self.newest.back().is_some_and(|(what, _)| *what == action.what);
        self.streak = if again { self.streak.saturating_add(1) } else { 1 };
        self.actions = self.actions.saturating_add(1);
        self.newest.push_back((action.what, action.failed));
        let keep = self.settings.stuck_window.max(self.settings.stuck_failure_window);
        while self.newest.len() as u64 > keep {
            self.newest.pop_front();
        }
    }

    fn repetition(&self) -> Option<Level> {
        let settings = &self.settings;
        match self.streak {
            times if times >= settings.stuck_repeat_stop => Some(Level::Stop),
            times if times >= settings.stuck_repeat_warning => Some(Level::Warning),
            times if times >= settings.stuck_repeat_hint => Some(Level::Hint),
            _ => None,
        }
    }

    /// The shortest period, from two actions on, of which the newest actions are repeats.
    fn cycle(&self) -> Option<u64> {
        let repeats = self.settings.stuck_cycle_repeats;
        let window = self.settings.stuck_window.min(self.newest.len() as u64);
        let newest: Vec<_> = self.newest.iter().rev().map(|(what, _)| what).collect();
        (2..=window / repeats).find(|&period| {
            let (period, all) = (period as usize, (period * repeats) as usize);
            let same = (period..all).all(|at| newest[at] == newest[at - period]);
            // One action over and over is repetition.
            same && newest[..period].iter().any(|what| *what != newest[0])
        })
    }

    fn failures(&self) -> Option<u64> {
        let window = self.settings.stuck_failure_window as usize;
        let failed = self.newest.iter().rev().take(window).filter(|(_, failed)| *failed).count();
        let failed = failed as u64;
        (failed >= self.settings.stuck_failure_count).then_some(failed)
    }

    /// How many actions ago a page of this action was last seen, if that is long enough.
    fn revisit(&mut self, action: &Observed) -> Option<u64> {
        if action.failed {
            return None;
        }
        let mut longest = None;
        for page in &action.pages {
            let before = self.pages.insert(page.clone(), self.actions);
            let since = before.map(|before| self.actions - before);
            longest = longest.max(since.filter(|since| *since >= self.settings.stuck_revisit_gap));
        }
        while self.pages.len() > PAGES {
            let oldest = self.pages.iter().min_by_key(|(_, seen)| **seen);
            let Some(oldest) = oldest.map(|(page, _)| page.clone()) else { break };
            self.pages.remove(&oldest);
        }
        longest
    }
}
