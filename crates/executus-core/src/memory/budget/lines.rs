//! What the runs under one hold have spent, each on a line of its own.

use smallvec::SmallVec;

use crate::id::RunId;
use crate::port::Amounts;

/// Lines in the order in which they were first charged; most holds have one.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(SmallVec<[(RunId, Amounts); 1]>);

impl Lines {
    pub(super) fn get(&self, line: &RunId) -> Amounts {
        self.0.iter().find(|(id, _)| id == line).map(|(_, total)| *total).unwrap_or_default()
    }

    pub(super) fn set(&mut self, line: &RunId, total: Amounts) {
        match self.0.iter_mut().find(|(id, _)| id == line) {
            Some((_, old)) => *old = total,
            None => self.0.push((line.clone(), total)),
        }
    }

    /// The sum; no more than what can be counted.
    pub(super) fn sum(&self) -> Amounts {
        self.0.iter().fold(Amounts::default(), |sum, (_, total)| sum.capped_add(*total))
    }

    /// The sum with another total for one line.
    pub(super) fn sum_with(&self, line: &RunId, total: Amounts) -> Amounts {
        let others = self.0.iter().filter(|(id, _)| id != line);
        others.fold(total, |sum, (_, total)| sum.capped_add(*total))
    }

    /// What the hold spent in all when its own run settles with this: other lines as charged.
    pub(super) fn settled(&self, own: &RunId, spent: Amounts) -> Amounts {
        self.sum_with(own, self.get(own).max(spent)).lasting()
    }
}
