//! A count that a rule follows: up while it goes on, back to the beginning when it ends.

use crate::config::Tiers;
use crate::rule::Tier;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streak {
    /// All of it, for people.
    total: u64,
    /// What counts: since the streak began, or since it was last given more room.
    count: u64,
    told: Option<Tier>,
    episode: u64,
}

impl Streak {
    /// It goes on by this much. Returns a tier when it is reached, once each.
    pub(crate) fn grow(&mut self, by: u64, tiers: Option<Tiers>) -> Option<Tier> {
        self.total = self.total.saturating_add(by);
        self.count = self.count.saturating_add(by);
        let tiers = tiers?;
        let reached = match self.told {
            // The soft tier comes first, also when the count leaps over it.
            None => (self.count >= tiers.soft).then_some(Tier::Soft),
            Some(Tier::Soft) => (tiers.hard != 0 && self.count >= tiers.hard).then_some(Tier::Hard),
            Some(Tier::Hard) => None,
        };
        self.told = reached.or(self.told);
        reached
    }

    /// It is over.
    pub(crate) fn end(&mut self) {
        *self = Self { episode: self.episode + 1, ..Self::default() };
    }

    /// Its tiers count from here.
    pub(crate) fn extend(&mut self) {
        *self = Self { total: self.total, episode: self.episode, ..Self::default() };
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    pub(crate) const fn episode(&self) -> u64 {
        self.episode
    }
}
