//! The live counts of a run: they belong to the run, not to its audit.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::status::Tally;

/// The live counts of a run.
#[derive(Debug, Default)]
pub(crate) struct LiveTally([AtomicU64; 7]);

impl LiveTally {
    pub(crate) fn write(&self, tally: &Tally) {
        let counts = [
            tally.steps,
            tally.tool_calls,
            tally.input_tokens,
            tally.output_tokens,
            tally.thinking_tokens,
            tally.cached_tokens,
            tally.cost_micros,
        ];
        for (cell, count) in self.0.iter().zip(counts) {
            cell.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Tally {
        let [
            steps,
            tool_calls,
            input_tokens,
            output_tokens,
            thinking_tokens,
            cached_tokens,
            cost_micros,
        ] = self.0.each_ref().map(|cell| cell.load(Ordering::Relaxed));
        Tally {
            steps,
            tool_calls,
            input_tokens,
            output_tokens,
            thinking_tokens,
            cached_tokens,
            cost_micros,
        }
    }
}
