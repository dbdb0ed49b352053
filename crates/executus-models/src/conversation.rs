//! A run's brief and transcript as a conversation, free of any provider's words.

use std::collections::HashSet;
use std::sync::Arc;

use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Brief, Call, Entry, Reply, ToolSpec, Toolbox, Transcript, Turn};
use serde_json::Value;

/// What a model is asked.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) system: Option<String>,
    /// The first is the user's.
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<ToolSpec>,
}

/// One message. Every [`Message::Assistant`] with calls is followed by one [`Message::Results`]
/// that answers each of them, in their order.
#[derive(Debug)]
pub(crate) enum Message {
    /// The task, or somebody steering.
    User(String),
    /// What the model said: some text, some calls, or both.
    Assistant { text: String, calls: Vec<Asked> },
    /// What came back.
    Results(Vec<Answered>),
}

/// A call that the model asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Never empty, unique within the conversation, of ASCII letters, digits, `_` and `-`.
    pub(crate) id: String,
    /// Of a tool, or of ASCII letters, digits, `_` and `-`.
    pub(crate) name: Arc<str>,
    /// An object.
    pub(crate) args: Value,
    pub(crate) signature: Option<Arc<str>>,
}

/// What came back of a call.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The id of the call.
    pub(crate) id: String,
    pub(crate) name: Arc<str>,
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

impl Conversation {
    /// The conversation of a turn; `None` when nobody said what the model is asked.
    pub(crate) fn of(turn: &Turn) -> Option<Self> {
        Some(Self::build(turn.brief()?, turn.transcript(), turn.tools()))
    }

    fn build(brief: &Brief, transcript: &Transcript, tools: &Toolbox) -> Self {
        let mut messages = vec![Message::User(brief.prompt.clone())];
        let entries = transcript.entries();
        let mut at = 0;
        let mut step = 0;
        let mut ids = HashSet::new();
        while let Some(entry) = entries.get(at) {
            at += 1;
            match entry {
                Entry::Reply(reply) => {
                    step += 1;
                    let results = &entries[at..];
                    let results: Vec<_> = results.iter().map_while(result).collect();
                    at += results.len();
                    exchange(&mut messages, &mut ids, tools, step, reply, &results);
                }
                Entry::Steer(steer) => {
                    messages.push(Message::User(format!("[{}] {}", steer.source, steer.text)));
                }
                // A result without its reply tells the model nothing.
                Entry::Result(_) => {}
            }
        }
        let system = brief.system.clone().filter(|system| !system.trim().is_empty());
        let tools = tools.iter().map(|tool| tool.spec().clone()).collect();
        Self { system, messages, tools }
    }
}

fn result(entry: &Entry) -> Option<&Acted> {
    match entry {
        Entry::Result(acted) => Some(acted),
        Entry::Reply(_) | Entry::Steer(_) => None,
    }
}

/// A reply, and the answers to its calls.
fn exchange(
    messages: &mut Vec<Message>,
    ids: &mut HashSet<String>,
    tools: &Toolbox,
    step: usize,
    reply: &Reply,
    results: &[&Acted],
) {
    let mut calls: Vec<Asked> = Vec::with_capacity(reply.calls.len());
    for (place, call) in reply.calls.iter().enumerate() {
        let id = id(call, ids).unwrap_or_else(|| {
            let mut made = format!("call_{step}_{place}");
            while ids.contains(&made) {
                made.push('x');
            }
            made
        });
        ids.insert(id.clone());
        let args = if call.args.is_object() { call.args.clone() } else { serde_json::json!({}) };
        let (name, signature) = (name(&call.name, tools), call.signature.clone());
        calls.push(Asked { id, name, args, signature });
    }
    let answers: Vec<_> = (0..)
        .zip(&calls)
        .map(|(place, call): (u32, _)| {
            let acted = results.iter().find(|acted| acted.call == place);
            let (text, is_error) = match acted {
                Some(acted) => told(&acted.outcome),
                None => ("there is no answer to this call".to_owned(), true),
            };
            Answered { id: call.id.clone(), name: Arc::clone(&call.name), text, is_error }
        })
        .collect();
    if !calls.is_empty() || !reply.text.is_empty() {
        messages.push(Message::Assistant { text: reply.text.clone(), calls });
    }
    if !answers.is_empty() {
        messages.push(Message::Results(answers));
    }
}

/// The call's own id, where every provider would take it.
fn id(call: &Call, earlier: &HashSet<String>) -> Option<String> {
    let fits = (1..=64).contains(&call.id.len())
        && call.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !earlier.contains(&*call.id);
    fits.then(|| call.id.to_string())
}

/// The name of a tool. One that no tool has is anything that a model came up with, and a provider
/// that takes letters, digits, `_` and `-` would refuse to read it again.
fn name(name: &Arc<str>, tools: &Toolbox) -> Arc<str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if tools.get(name).is_some() || (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Arc::clone(name);
    }
    let plain: String = name.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    if plain.is_empty() { "unnamed".into() } else { plain.into() }
}

/// What the model reads of a call, and whether it is an error.
fn told(outcome: &CallOutcome) -> (String, bool) {
    match outcome {
        CallOutcome::Output(output) => {
            let mut text = match &output.data {
                Some(data) if output.text.is_empty() => data.to_string(),
                Some(_) | None => output.text.clone(),
            };
            for artifact in &output.artifacts {
                let separator = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{separator}[artifact: {}]", artifact.name));
            }
            (text, false)
        }
        CallOutcome::Failed(error) => (error.to_string(), true),
        CallOutcome::Unknown => {
            let text =
                "the outcome is unknown: the call was cut off, and may have been carried out";
            (text.to_owned(), true)
        }
    }
}

#[cfg(test)]
mod tests;
