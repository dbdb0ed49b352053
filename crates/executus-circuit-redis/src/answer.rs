//! What the scripts say, and what it means to the port.

use std::str::SplitAsciiWhitespace;
use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{Admission, Change, Owner, Snapshot, State, StoreError, Ticket};
use executus_redis::RedisError;
use executus_redis::redis::Value;

/// A failed call as the port has it.
pub(crate) fn failed(error: RedisError) -> StoreError {
    match error {
        RedisError::Silent { after, .. } => StoreError::TimedOut { limit: after },
        error => {
            StoreError::Unavailable { message: error.to_string(), source: Some(Arc::new(error)) }
        }
    }
}

/// The words of an answer.
pub(crate) struct Words<'a>(SplitAsciiWhitespace<'a>);

/// The text of an answer.
pub(crate) fn text(value: &Value) -> Result<&str, StoreError> {
    let said = match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.as_str()),
        _ => None,
    };
    said.ok_or_else(|| unknown(&format!("{value:?}")))
}

fn unknown(said: &str) -> StoreError {
    StoreError::Unreadable { message: format!("the server answered `{said}`") }
}

impl<'a> Words<'a> {
    pub(crate) fn of(said: &'a str) -> Self {
        Self(said.split_ascii_whitespace())
    }

    pub(crate) fn word(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    pub(crate) fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        self.word()?.parse().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number::<u8>()? == 1)
    }

    fn time(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_micros)
    }

    fn state(&mut self) -> Option<State> {
        match self.word()? {
            "closed" => Some(State::Closed),
            "open" => Some(State::Open),
            "dormant" => Some(State::Dormant),
            _ => None,
        }
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        let (state, failure_count, probe_count) = (self.state()?, self.number()?, self.number()?);
        let (next_probe, probing) = (self.time()?, self.flag()?);
        let open = state == State::Open;
        let cooldown_remaining = if open { next_probe } else { Duration::ZERO };
        Some(Snapshot {
            state,
            failure_count,
            probe_count,
            cooldown_remaining,
            next_probe,
            probing,
        })
    }
}

/// Reads an answer that begins with the word that is expected, or says what is wrong with it.
fn read<'a, T>(
    said: &'a str,
    parse: impl FnOnce(&mut Words<'a>) -> Option<T>,
) -> Result<T, StoreError> {
    if said == "unreadable" {
        let message = "another version wrote it".to_owned();
        return Err(StoreError::Unreadable { message });
    }
    parse(&mut Words::of(said)).ok_or_else(|| unknown(said))
}

pub(crate) fn admission(said: &str, owner: &Owner) -> Result<Admission, StoreError> {
    read(said, |words| match words.word()? {
        "admitted" => {
            let (generation, probe) = (words.number()?, words.flag()?);
            let ticket = Ticket::new(generation, owner.clone(), probe);
            Some(Admission::Admitted { ticket, seen: words.snapshot()? })
        }
        "refused" => {
            let retry_after = words.time()?;
            Some(Admission::Refused { seen: words.snapshot()?, retry_after })
        }
        _ => None,
    })
}

pub(crate) fn change(said: &str) -> Result<Change, StoreError> {
    read(said, |words| {
        words.word().filter(|word| *word == "changed")?;
        let (applied, from, became_dormant) = (words.flag()?, words.state()?, words.flag()?);
        Some(Change { applied, from, seen: words.snapshot()?, became_dormant })
    })
}

pub(crate) fn snapshot(said: &str) -> Result<Snapshot, StoreError> {
    read(said, |words| {
        words.word().filter(|word| *word == "seen")?;
        words.snapshot()
    })
}

/// The term of a lease that is held; `None` for one that is not.
pub(crate) fn term(said: &str) -> Result<Option<u64>, StoreError> {
    read(said, |words| match words.word()? {
        "held" => words.number().map(Some),
        "taken" | "lost" => Some(None),
        _ => None,
    })
}
