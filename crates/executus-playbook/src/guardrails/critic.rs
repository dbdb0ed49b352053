//! The critic that a run file asks for.

use std::time::Duration;

use toml::de::DeValue;

use crate::diagnostic::Problem;
use crate::models::check_model;
use crate::reader::{Item, Reader, Section};

/// A rule of a critic, as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TiersDef {
    /// The rule is off.
    Off,
    /// At which count it speaks softly, and at which for good.
    On {
        /// The soft tier.
        soft: u64,
        /// The hard tier; 0 for none.
        hard: u64,
    },
}

/// What `[critic]` of a run file says; what it does not name keeps its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticDef {
    /// Nothing happened for this long: the soft tier.
    pub soft_idle: Option<Duration>,
    /// Nothing happened for this long: the hard tier.
    pub hard_idle: Option<Duration>,
    /// The same call with the same result, in a row.
    pub same_call: Option<TiersDef>,
    /// Calls of one tool in a row.
    pub same_tool: Option<TiersDef>,
    /// Failed calls in a row.
    pub errors: Option<TiersDef>,
    /// Tokens since a call last brought something new.
    pub tokens: Option<TiersDef>,
    /// How often more time may be given.
    pub max_extensions: Option<u32>,
    /// How many nudges there may be.
    pub max_nudges: Option<u32>,
    /// The model that is asked for a verdict, `provider:model`.
    pub judge: Option<String>,
    /// How often it is asked.
    pub judge_calls: Option<u32>,
    /// The tokens of all its answers.
    pub judge_tokens: Option<u64>,
    /// How long an answer may take.
    pub judge_deadline: Option<Duration>,
}

const KEYS: [&str; 12] = [
    "soft_idle",
    "hard_idle",
    "same_call",
    "same_tool",
    "errors",
    "tokens",
    "max_extensions",
    "max_nudges",
    "judge",
    "judge_calls",
    "judge_tokens",
    "judge_deadline",
];

const TIERS: &str = "two whole numbers, the second one higher, such as [3, 7]; or false";

impl CriticDef {
    pub(crate) fn read<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Self {
        let Some(table) = item.table(reader, "a table of rules") else { return Self::default() };
        let section = Section::strict(reader, "[critic]", item.at, table, &KEYS);
        let get = |key| section.get(key);
        let soft_idle = get("soft_idle").and_then(|item| duration(reader, item));
        let hard_idle = get("hard_idle").and_then(|item| duration(reader, item));
        if let (Some(soft), Some(hard), Some(item)) = (soft_idle, hard_idle, get("hard_idle"))
            && hard <= soft
        {
            reader.problem(item.at, "`hard_idle` is not above `soft_idle`", "a longer time");
        }
        if get("judge").is_none()
            && let Some(item) = ["judge_calls", "judge_tokens", "judge_deadline"]
                .iter()
                .find_map(|key| section.get(key))
        {
            let message = format!("`{}` without `judge`", item.key);
            reader.problem(item.key_at, message, "`judge`, the model that is asked");
        }
        Self {
            soft_idle,
            hard_idle,
            same_call: get("same_call").and_then(|item| tiers(reader, item)),
            same_tool: get("same_tool").and_then(|item| tiers(reader, item)),
            errors: get("errors").and_then(|item| tiers(reader, item)),
            tokens: get("tokens").and_then(|item| tiers(reader, item)),
            max_extensions: get("max_extensions").and_then(|item| item.count(reader, 100)),
            max_nudges: get("max_nudges").and_then(|item| item.count(reader, 1000)),
            judge: get("judge").and_then(|item| judge(reader, item)),
            judge_calls: get("judge_calls").and_then(|item| item.positive(reader)),
            judge_tokens: get("judge_tokens").and_then(|item| item.positive(reader)),
            judge_deadline: get("judge_deadline").and_then(|item| duration(reader, item)),
        }
    }
}

fn duration<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<Duration> {
    let duration = item.duration(reader)?;
    if duration.is_zero() {
        reader.problem(item.at, format!("`{}` is 0", item.key), "a time above zero");
    }
    Some(duration)
}

fn judge<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<String> {
    let text = item.filled(reader, "`provider:model`")?;
    if let Err(Problem { at, message, expected }) = check_model(text.at, text.value) {
        reader.problem(at, message, expected);
        return None;
    }
    Some(text.value.to_owned())
}

fn tiers<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<TiersDef> {
    if let DeValue::Boolean(false) = item.value {
        return Some(TiersDef::Off);
    }
    let numbers = item.array(reader, TIERS)?;
    let [soft, hard] = numbers.as_slice() else {
        reader.problem(item.at, format!("`{}` has {} numbers", item.key, numbers.len()), TIERS);
        return None;
    };
    let (soft, hard) = (soft.positive::<u64>(reader)?, hard.positive::<u64>(reader)?);
    if hard <= soft {
        reader.problem(item.at, format!("`{}` has {hard} after {soft}", item.key), TIERS);
        return None;
    }
    Some(TiersDef::On { soft, hard })
}
