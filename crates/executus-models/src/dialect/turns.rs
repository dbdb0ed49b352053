//! A conversation for providers whose two sides must take turns, from the user to the user.

use serde_json::Value;

use crate::conversation::{Answered, Asked, Message};

/// Said where the user would say nothing, or has not yet answered.
const GO_ON: &str = "Go on.";

/// What one side says in a row: its role and the pieces of it.
pub(super) type Turn = (&'static str, Vec<Value>);

/// How a provider writes what is said.
pub(super) struct Words<C, R> {
    /// What it calls the other side than `user`.
    pub(super) model: &'static str,
    /// A text that is not blank.
    pub(super) text: fn(&str) -> Value,
    /// The calls of one message.
    pub(super) calls: C,
    /// The result of a call, which the user brings.
    pub(super) result: R,
}

/// The turns: the first and the last of them are the user's, and none is empty.
pub(super) fn turns<C, R>(messages: &[Message], words: &Words<C, R>) -> Vec<Turn>
where
    C: Fn(&[Asked]) -> Vec<Value>,
    R: Fn(&Answered) -> Value,
{
    let mut turns: Vec<Turn> = Vec::new();
    // A blank text is refused.
    let said = |text: &str| (!text.trim().is_empty()).then(|| (words.text)(text));
    let go_on = || (words.text)(GO_ON);
    let mut push = |role, mut content: Vec<Value>| {
        if content.is_empty() && turns.is_empty() {
            // The first word is the user's, even if there is none.
            content = vec![go_on()];
        }
        match turns.last_mut() {
            _ if content.is_empty() => {}
            Some((last, so_far)) if *last == role => so_far.extend(content),
            _ => turns.push((role, content)),
        }
    };
    for message in messages {
        match message {
            Message::User(text) => push("user", said(text).into_iter().collect()),
            Message::Assistant { text, calls } => {
                push(words.model, said(text).into_iter().chain((words.calls)(calls)).collect());
            }
            Message::Results(results) => push("user", results.iter().map(&words.result).collect()),
        }
    }
    if turns.last().is_none_or(|(role, _)| *role != "user") {
        turns.push(("user", vec![go_on()]));
    }
    turns
}
