//! What the scripts answer.

use std::sync::Arc;

use executus_core::port::{Amounts, BudgetError, Limit, Window};
use executus_core::{HoldId, Timestamp};
use executus_redis::redis::Value;

use crate::error::lost;

/// The answer of a script.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Done; with the server's count, its epoch where the caller named another, and what else it answered.
    Done { count: u64, epoch: Option<Arc<str>>, rest: Vec<Value> },
    /// A limit does not cover it.
    Exceeded(Box<BudgetError>),
    /// The hold is over.
    Closed,
    /// The hold was never granted, or its lease ran out.
    Unknown,
    /// The server may have forgotten what was spent.
    Lost,
}

impl Answer {
    /// Reads an answer; `None` for one that is none of these.
    pub(crate) fn read(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let mut parts = parts.into_iter();
        let state = text(&parts.next()?)?;
        Some(match state.as_str() {
            "ok" => Self::Done {
                count: number(&parts.next()?)?,
                epoch: parts.next().as_ref().and_then(text).map(Arc::from),
                rest: parts.collect(),
            },
            "exceeded" => Self::Exceeded(Box::new(exceeded(&parts.collect::<Vec<_>>())?)),
            "closed" => Self::Closed,
            "lapsed" | "none" => Self::Unknown,
            "lost" => Self::Lost,
            _ => return None,
        })
    }

    /// What it means to a caller who asked something of a hold that has to be there.
    pub(crate) fn granted(self, hold: &HoldId) -> Result<(), BudgetError> {
        match self {
            Self::Done { .. } => Ok(()),
            Self::Exceeded(error) => Err(*error),
            Self::Closed => Err(BudgetError::Closed { hold: hold.to_string() }),
            Self::Unknown => Err(BudgetError::Unknown { hold: hold.to_string() }),
            Self::Lost => Err(lost()),
        }
    }

    /// What it means to a caller who ended a hold: one that is over already is no error.
    pub(crate) fn ended(self, hold: &HoldId) -> Result<(), BudgetError> {
        match self {
            Self::Closed => Ok(()),
            other => other.granted(hold),
        }
    }
}

/// A refusal: account, limit, what was asked, what is held, the server's time, buckets.
fn exceeded(parts: &[Value]) -> Option<BudgetError> {
    let [account, limit, more, held, now, Value::Array(pairs)] = parts else { return None };
    let (account, limit) = (text(account)?, read_limit(&text(limit)?)?);
    let (more, held) = (amounts(&text(more)?)?, amounts(&text(held)?)?);
    let buckets: Option<Vec<_>> = pairs
        .chunks(2)
        .map(|pair| Some((number(pair.first()?)?, amounts(&text(pair.get(1)?)?)?)))
        .collect();
    let now = Timestamp::from_millis(number(now)?);
    BudgetError::exceeded(&account, &limit, more, held, &buckets?, now)
}

pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// Amounts as the scripts keep them: doubles, little endian, which count to 2^53.
pub(crate) fn pack(amounts: &[Amounts]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(amounts.len() * 32);
    for amounts in amounts {
        for (_, number) in amounts.dimensions() {
            bytes.extend(double(number));
        }
    }
    bytes
}

/// Exact below 2^53.
fn double(number: u64) -> [u8; 8] {
    (number as f64).to_le_bytes()
}

fn write_amounts(amounts: Amounts) -> String {
    let Amounts { tokens, runtime_ms, cost_micros, runs } = amounts;
    format!("{tokens},{runtime_ms},{cost_micros},{runs}")
}

pub(crate) fn amounts(text: &str) -> Option<Amounts> {
    let mut parts = text.split(',').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    let (tokens, runtime_ms, cost_micros, runs) = (next()?, next()?, next()?, next()?);
    Some(Amounts { tokens, runtime_ms, cost_micros, runs })
}

/// Limits in words: `window,amounts`, one after the other.
pub(crate) fn write_limits(limits: &[Limit]) -> String {
    let write = |limit: &Limit| format!("{},{}", limit.window, write_amounts(limit.amounts));
    limits.iter().map(write).collect::<Vec<_>>().join(";")
}

/// Limits as the scripts reckon with them: the length of the window, that of a bucket, how many
/// count, and the amounts, packed.
pub(crate) fn pack_limits(limits: &[Limit]) -> Vec<u8> {
    let pack_one = |limit: &Limit| {
        let window = limit.window;
        let buckets = window.length_ms().map_or(0, |_| window.buckets());
        let of_window = [window.length_ms().unwrap_or(0), window.bucket_ms().unwrap_or(0), buckets];
        let mut bytes: Vec<u8> = of_window.into_iter().flat_map(double).collect();
        bytes.extend(pack(&[limit.amounts]));
        bytes
    };
    limits.iter().flat_map(pack_one).collect()
}

pub(crate) fn read_limit(text: &str) -> Option<Limit> {
    let (window, most) = text.split_once(',')?;
    let window: Window = window.parse().ok()?;
    Some(Limit { window, amounts: amounts(most)? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_are_read_as_written() {
        let most = Amounts { tokens: Amounts::MAX, runtime_ms: 0, cost_micros: 7, runs: 1 };
        for window in [Window::Total, Window::rolling(Duration::from_secs(60))] {
            let limit = Limit::new(window, most);
            assert_eq!(read_limit(&write_limits(&[limit])), Some(limit));
        }
        let two = [Limit::total(most), Limit::new(Window::fixed(Duration::from_secs(1)), most)];
        assert_eq!(
            write_limits(&two),
            "total,9007199254740991,0,7,1;fixed:1000,9007199254740991,0,7,1"
        );
        assert_eq!(pack_limits(&two).len(), 2 * 7 * 8, "as book.lua opens them");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for value in [Value::Nil, Value::Array(vec![]), Value::Array(vec![Value::Int(1)])] {
            assert!(Answer::read(value.clone()).is_none(), "{value:?}");
        }
    }
}
