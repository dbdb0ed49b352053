//! The activity clock: when something last happened, and what the run waits for.

use std::time::Duration;

use crate::rule::{Finding, Rule, Tier, said};

/// See the module. Times are counted from the beginning of the watching.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    soft: Duration,
    hard: Duration,
    /// When something last happened.
    last: Duration,
    /// From when the tiers count: `last`, or when more time was given.
    since: Duration,
    episode: u64,
    told: Option<Tier>,
    waits_for: WaitsFor,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum WaitsFor {
    /// Nothing that was told.
    #[default]
    Nothing,
    /// The model, in this step.
    Model(u32),
    /// The answers of these calls.
    Tools(Vec<String>),
}

impl Activity {
    pub(crate) fn new(soft: Duration, hard: Duration) -> Self {
        Self {
            soft,
            hard,
            last: Duration::ZERO,
            since: Duration::ZERO,
            episode: 0,
            told: None,
            waits_for: WaitsFor::Nothing,
        }
    }

    /// Something happened.
    pub(crate) fn happened(&mut self, now: Duration) {
        self.last = now;
        self.since = now;
        self.episode += 1;
        self.told = None;
    }

    /// A tool was called.
    pub(crate) fn called(&mut self, tool: &str) {
        match &mut self.waits_for {
            WaitsFor::Tools(tools) => tools.push(tool.to_owned()),
            WaitsFor::Nothing | WaitsFor::Model(_) => {
                self.waits_for = WaitsFor::Tools(vec![tool.to_owned()]);
            }
        }
    }

    /// A tool answered.
    pub(crate) fn answered(&mut self, tool: &str) {
        if let WaitsFor::Tools(tools) = &mut self.waits_for {
            if let Some(at) = tools.iter().position(|name| name == tool) {
                tools.swap_remove(at);
            }
            if tools.is_empty() {
                self.waits_for = WaitsFor::Nothing;
            }
        }
    }

    pub(crate) fn wait_for_model(&mut self, step: u32) {
        self.waits_for = WaitsFor::Model(step);
    }

    /// The tiers count from now.
    pub(crate) fn extend(&mut self, now: Duration) {
        self.since = now;
        self.told = None;
    }

    pub(crate) const fn episode(&self) -> u64 {
        self.episode
    }

    /// Whether a tier was told since something last happened.
    pub(crate) const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// When to look again; `None` when nothing is left to say.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        match self.told {
            None => Some(self.since.saturating_add(self.soft)),
            Some(Tier::Soft) => Some(self.since.saturating_add(self.hard)),
            Some(Tier::Hard) => None,
        }
    }

    /// Which tier has been reached since the last look.
    pub(crate) fn look(&mut self, now: Duration) -> Option<Finding> {
        let idle = now.saturating_sub(self.since);
        let tier = if idle >= self.hard {
            Tier::Hard
        } else if idle >= self.soft {
            Tier::Soft
        } else {
            return None;
        };
        if self.told.is_some_and(|told| told >= tier) {
            return None;
        }
        self.told = Some(tier);
        let quiet = said(now.saturating_sub(self.last));
        let what = match &self.waits_for {
            WaitsFor::Nothing => format!("Nothing has happened for {quiet}"),
            WaitsFor::Model(step) => {
                format!("Nothing has happened for {quiet}: the model is deciding step {step}")
            }
            WaitsFor::Tools(tools) => {
                let tools: Vec<_> = tools.iter().map(|tool| format!("`{tool}`")).collect();
                format!("Nothing has happened for {quiet}: waiting for {}", tools.join(", "))
            }
        };
        Some(Finding { rule: Rule::Idle, tier, what, episode: self.episode })
    }
}
