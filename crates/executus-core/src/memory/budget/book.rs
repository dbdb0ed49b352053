//! The book of one account: its limits, what is held, and what was spent in which window.

use crate::port::budget::{Account, Amounts, BudgetError, Limit, LimitUse, Window};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Book {
    series: Vec<Series>,
    held: Amounts,
    spent: Amounts,
    overrun: Amounts,
}

/// What was spent within the window of one limit, by bucket, the oldest first.
#[derive(Debug)]
struct Series {
    limit: Limit,
    buckets: Vec<(u64, Amounts)>,
}

impl Series {
    const fn new(limit: Limit) -> Self {
        Self { limit, buckets: Vec::new() }
    }

    fn add(&mut self, at: Timestamp, spent: Amounts) {
        let bucket = self.limit.window.bucket(at);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.capped_add(spent),
            Err(place) => self.buckets.insert(place, (bucket, spent)),
        }
    }

    /// Forgets what no longer counts.
    fn prune(&mut self, now: Timestamp) {
        let oldest = self.limit.window.oldest(now);
        if self.buckets.first().is_some_and(|(bucket, _)| *bucket < oldest) {
            self.buckets.retain(|(bucket, _)| *bucket >= oldest);
        }
    }
}

impl Book {
    pub(super) fn new(limits: &[Limit]) -> Self {
        Self {
            series: limits.iter().copied().map(Series::new).collect(),
            held: Amounts::default(),
            spent: Amounts::default(),
            overrun: Amounts::default(),
        }
    }

    /// Other limits: a window that was there keeps what was spent in it.
    pub(super) fn set_limits(&mut self, limits: Vec<Limit>) {
        let mut old = std::mem::take(&mut self.series);
        self.series = limits
            .into_iter()
            .map(|limit| {
                match old.iter_mut().find(|series| series.limit.window == limit.window) {
                    Some(series) => Series { limit, buckets: std::mem::take(&mut series.buckets) },
                    // The total is always known.
                    None if limit.window == Window::Total => {
                        Series { limit, buckets: vec![(0, self.spent)] }
                    }
                    None => Series::new(limit),
                }
            })
            .collect();
    }

    /// Whether `more` fits beside what is held and spent.
    pub(super) fn covers(
        &mut self,
        account: &str,
        more: Amounts,
        now: Timestamp,
    ) -> Result<(), BudgetError> {
        for series in &mut self.series {
            series.prune(now);
            let (limit, buckets) = (&series.limit, &series.buckets);
            if let Some(refusal) =
                BudgetError::exceeded(account, limit, more, self.held, buckets, now)
            {
                return Err(refusal);
            }
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, more: Amounts) {
        self.held = self.held.capped_add(more);
    }

    pub(super) fn let_go(&mut self, held: Amounts) {
        self.held = self.held.saturating_sub(held);
    }

    pub(super) fn spend(&mut self, at: Timestamp, spent: Amounts, overrun: Amounts) {
        if spent == Amounts::default() {
            return;
        }
        self.spent = self.spent.capped_add(spent);
        self.overrun = self.overrun.capped_add(overrun);
        for series in &mut self.series {
            series.add(at, spent);
        }
    }

    pub(super) fn account(&self, now: Timestamp) -> Account {
        let limits =
            self.series.iter().map(|one| LimitUse::of(one.limit, self.held, &one.buckets, now));
        Account {
            limits: limits.collect(),
            held: self.held,
            spent: self.spent,
            overrun: self.overrun,
        }
    }
}
