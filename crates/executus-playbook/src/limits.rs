//! The limits that a run file sets.

use std::time::Duration;

use executus_core::Limits;

use crate::money::{Round, read_millionths};
use crate::reader::{Item, Reader, Section};

/// The limits that a run file names; the others keep their defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsDef {
    /// When a critic begins to look.
    pub soft_timeout: Option<Duration>,
    /// The longest the run may be active.
    pub hard_timeout: Option<Duration>,
    /// Model calls.
    pub max_steps: Option<u32>,
    /// Tokens of all model calls.
    pub max_tokens: Option<u64>,
    /// Money, in millionths of a US dollar.
    pub max_cost_micros: Option<u64>,
    /// Tool calls that one step may ask for.
    pub max_calls_per_step: Option<u32>,
    /// Tool calls of one step that run at once.
    pub concurrency: Option<u32>,
    /// Bytes of one tool result.
    pub max_result_bytes: Option<u64>,
    /// Bytes of one model reply.
    pub max_reply_bytes: Option<u64>,
    /// Bytes of the transcript.
    pub max_history_bytes: Option<u64>,
}

const KEYS: [&str; 10] = [
    "soft_timeout",
    "hard_timeout",
    "max_steps",
    "max_tokens",
    "max_cost",
    "max_calls_per_step",
    "concurrency",
    "max_result_bytes",
    "max_reply_bytes",
    "max_history_bytes",
];

const DOLLARS: &str = "US dollars above zero such as 0.50";

/// Less than a millionth counts as one: a limit above zero never becomes none.
fn max_cost<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<u64> {
    let cost = read_millionths(reader, item, Round::Up, DOLLARS)?;
    if cost == 0 {
        reader.problem(item.at, "`max_cost` is 0", DOLLARS);
    }
    Some(cost)
}

impl LimitsDef {
    /// `base` with the limits that the file names.
    #[must_use]
    pub fn over(&self, base: Limits) -> Limits {
        Limits {
            soft_timeout: self.soft_timeout.unwrap_or(base.soft_timeout),
            hard_timeout: self.hard_timeout.unwrap_or(base.hard_timeout),
            max_steps: self.max_steps.unwrap_or(base.max_steps),
            max_tokens: self.max_tokens.unwrap_or(base.max_tokens),
            max_cost_micros: self.max_cost_micros.or(base.max_cost_micros),
            max_calls_per_step: self.max_calls_per_step.unwrap_or(base.max_calls_per_step),
            concurrency: self.concurrency.unwrap_or(base.concurrency),
            max_result_bytes: self.max_result_bytes.unwrap_or(base.max_result_bytes),
            max_reply_bytes: self.max_reply_bytes.unwrap_or(base.max_reply_bytes),
            max_history_bytes: self.max_history_bytes.unwrap_or(base.max_history_bytes),
        }
    }

    pub(crate) fn read<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Self {
        let Some(table) = item.table(reader, "a table of limits") else { return Self::default() };
        let section = Section::free(reader, "[limits]", item.at, table);
        if let Some(old) = section.get("max_cost_micros") {
            // Too far from its key to be taken for a slip.
            let message = "unknown key `max_cost_micros` in [limits]";
            reader.problem(old.key_at, message, format!("`max_cost`: {DOLLARS}"));
        }
        section.allow(reader, &KEYS);
        let get = |key| section.get(key);
        Self {
            soft_timeout: get("soft_timeout").and_then(|item| item.duration(reader)),
            hard_timeout: get("hard_timeout").and_then(|item| item.duration(reader)),
            max_steps: get("max_steps").and_then(|item| item.positive(reader)),
            max_tokens: get("max_tokens").and_then(|item| item.positive(reader)),
            max_cost_micros: get("max_cost").and_then(|item| max_cost(reader, item)),
            max_calls_per_step: get("max_calls_per_step").and_then(|item| item.positive(reader)),
            concurrency: get("concurrency").and_then(|item| item.positive(reader)),
            max_result_bytes: get("max_result_bytes").and_then(|item| item.positive(reader)),
            max_reply_bytes: get("max_reply_bytes").and_then(|item| item.positive(reader)),
            max_history_bytes: get("max_history_bytes").and_then(|item| item.positive(reader)),
        }
    }
}
