//! A record as it is written: a line of the trail, and the file of an action.

use executus_core::record::Fact;
use executus_core::text::scrub_json;
use executus_core::{Record, Reply, RunId};
use serde_json::{Value, json};

use crate::cut::cut_texts;
use crate::entry::Entry;

/// A rendered record.
pub(crate) struct Row {
    pub(crate) seq: u64,
    /// The line without its end: what follows is the name of the action's file, or nothing.
    line: Vec<u8>,
    pub(crate) action: Option<Action>,
}

/// The file of an action.
pub(crate) struct Action {
    pub(crate) stem: String,
    pub(crate) bytes: Vec<u8>,
}

impl Row {
    /// Renders a record; `reply` is the one whose calls are under way.
    pub(crate) fn new(
        run: &RunId,
        record: &Record,
        reply: Option<&Reply>,
        playbook: bool,
    ) -> serde_json::Result<Self> {
        let mut line = json!({
            "seq": record.seq, "at": record.at, "step": record.key.step,
            "call": record.key.call, "kind": record.fact.kind(),
        });
        let action = match &record.fact {
            Fact::Acted(acted) => {
                let mut entry = Entry::of_acted(acted, reply, playbook);
                entry.run_id = Some(run.clone());
                entry.seq = Some(record.seq);
                entry.at = record.at;
                Some(Action::new(&entry)?)
            }
            fact => {
                line["body"] = body(fact, playbook)?;
                None
            }
        };
        let mut line = serde_json::to_vec(&line)?;
        // The closing brace.
        line.pop();
        Ok(Self { seq: record.seq, line, action })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.line.len() + self.action.as_ref().map_or(0, |action| action.bytes.len()) + 200
    }

    /// Puts the line to others; `file`: where the action is.
    pub(crate) fn write(&self, out: &mut Vec<u8>, file: Option<&str>) {
        out.extend_from_slice(&self.line);
        if let Some(file) = file {
            // Names are safe: there is nothing to escape.
            out.extend_from_slice(b",\"file\":\"");
            out.extend_from_slice(file.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b"}\n");
    }
}

impl Action {
    pub(crate) fn new(entry: &Entry) -> serde_json::Result<Self> {
        let mut bytes = serde_json::to_vec_pretty(entry)?;
        bytes.push(b'\n');
        Ok(Self { stem: entry.stem(), bytes })
    }
}

/// What a fact holds, scrubbed.
fn body(fact: &Fact, playbook: bool) -> serde_json::Result<Value> {
    let value = serde_json::to_value(fact)?;
    let inner = value.get(fact.kind()).cloned().unwrap_or_default();
    let mut body = scrub_json(&inner);
    if let Fact::Decided(_) = fact
        && let Some(calls) = body.pointer_mut("/reply/calls").and_then(Value::as_array_mut)
    {
        for call in calls {
            match call.get_mut("args") {
                // What a playbook types and sends is in no file.
                Some(args) if playbook => *args = Value::Null,
                Some(args) => cut_texts(args),
                None => {}
            }
        }
    }
    Ok(body)
}
