//! How long a model may take, as a run file says.

use std::time::Duration;

use crate::reader::{Item, Reader, Section};

/// The limits in time of `[timeouts]`; the others keep their defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeoutsDef {
    /// To a connection.
    pub connect: Option<Duration>,
    /// From asking to the first piece of a streamed answer.
    pub first_token: Option<Duration>,
    /// Between two pieces of a streamed answer.
    pub idle: Option<Duration>,
    /// To an answer that is not streamed.
    pub whole: Option<Duration>,
}

const KEYS: [&str; 4] = ["connect", "first_token", "idle", "whole"];

impl TimeoutsDef {
    pub(crate) fn read<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Self {
        let Some(table) = item.table(reader, "a table of durations") else {
            return Self::default();
        };
        let section = Section::strict(reader, "[timeouts]", item.at, table, &KEYS);
        let get = |key| section.get(key);
        Self {
            connect: get("connect").and_then(|item| item.duration(reader)),
            first_token: get("first_token").and_then(|item| item.duration(reader)),
            idle: get("idle").and_then(|item| item.duration(reader)),
            whole: get("whole").and_then(|item| item.duration(reader)),
        }
    }
}
