//! One key: who is under way, and what was granted in the last minute.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::{Cap, CapLimits};
use crate::port::budget::Window;
use crate::time::Timestamp;

const MINUTE: Window = Window::rolling(Duration::from_secs(60));

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) at_once: u64,
    requests: Rate,
    tokens: Rate,
}

/// What stands in the way of a permit.
#[derive(Debug, Clone)]
pub(super) struct Blocked {
    pub(super) cap: Cap,
    pub(super) limit: u64,
    pub(super) again: Option<Timestamp>,
    /// More than the limit is asked: waiting does not help.
    pub(super) never: bool,
}

impl Lane {
    pub(super) fn take(
        &mut self,
        limits: &CapLimits,
        tokens: u64,
        now: Timestamp,
    ) -> Result<(), Blocked> {
        if let Some(limit) = limits.at_once
            && self.at_once >= limit
        {
            return Err(Blocked { cap: Cap::AtOnce, limit, again: None, never: limit == 0 });
        }
        self.requests.covers(Cap::Requests, limits.requests_per_minute, 1, now)?;
        self.tokens.covers(Cap::Tokens, limits.tokens_per_minute, tokens, now)?;
        self.at_once += 1;
        self.requests.add(now, 1);
        self.tokens.add(now, tokens);
        Ok(())
    }

    /// Ends a permit and corrects its estimate where it was counted, while that still counts.
    pub(super) fn give_back(
        &mut self,
        granted: Timestamp,
        estimate: u64,
        used: u64,
        now: Timestamp,
    ) {
        self.at_once = self.at_once.saturating_sub(1);
        if MINUTE.bucket(granted) >= MINUTE.oldest(now) {
            self.tokens.correct(granted, estimate, used);
        }
    }

    pub(super) fn is_idle(&mut self, now: Timestamp) -> bool {
        self.requests.prune(now);
        self.tokens.prune(now);
        self.at_once == 0 && self.requests.0.is_empty() && self.tokens.0.is_empty()
    }
}

/// What was granted, by bucket of a rolling minute, the oldest first.
#[derive(Debug, Default)]
struct Rate(VecDeque<(u64, u64)>);

impl Rate {
    fn prune(&mut self, now: Timestamp) {
        let oldest = MINUTE.oldest(now);
        while self.0.front().is_some_and(|(bucket, _)| *bucket < oldest) {
            self.0.pop_front();
        }
    }

    fn covers(
        &mut self,
        cap: Cap,
        limit: Option<u64>,
        more: u64,
        now: Timestamp,
    ) -> Result<(), Blocked> {
        let Some(limit) = limit else { return Ok(()) };
        self.prune(now);
        let taken = self.0.iter().fold(0_u64, |sum, (_, granted)| sum.saturating_add(*granted));
        let wanted = taken.saturating_add(more);
        if wanted <= limit {
            return Ok(());
        }
        let mut freed = 0_u64;
        let enough = self.0.iter().find(|(_, granted)| {
            freed = freed.saturating_add(*granted);
            wanted - freed <= limit
        });
        let again = enough.and_then(|(bucket, _)| MINUTE.leaves(*bucket));
        Err(Blocked { cap, limit, again, never: more > limit })
    }

    fn add(&mut self, at: Timestamp, more: u64) {
        if more == 0 {
            return;
        }
        let bucket = MINUTE.bucket(at);
        match self.0.back_mut() {
            Some((last, granted)) if *last == bucket => *granted = granted.saturating_add(more),
            _ => self.0.push_back((bucket, more)),
        }
    }

    fn correct(&mut self, at: Timestamp, estimate: u64, used: u64) {
        let bucket = MINUTE.bucket(at);
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => {
                let granted = &mut self.0[place].1;
                *granted = granted.saturating_add(used).saturating_sub(estimate);
            }
            Err(place) => self.0.insert(place, (bucket, used.saturating_sub(estimate))),
        }
    }
}
