//! A record as it is written: a line of the trail, and the file of an action.

use std::sync::Arc;

use executus_core::record::Fact;
use executus_core::text::scrub_json;
use executus_core::transcript::CallOutcome;
use executus_core::{Record, Reply, RunId};
use serde_json::{Value, json};

use crate::cut::cut_texts;
use crate::entry::Entry;

/// A record on its way to the writer, which renders it: the run's own path pays for a few clones.
pub(crate) struct Draft {
    record: Record,
    reply: Option<Arc<Reply>>,
    playbook: bool,
    row: Option<Row>,
}

impl Draft {
    /// `reply` is the one whose calls are under way.
    pub(crate) fn new(record: &Record, reply: Option<&Arc<Reply>>, playbook: bool) -> Self {
        // No other record needs it.
        let reply = matches!(record.fact, Fact::Acted(_)).then(|| reply.cloned()).flatten();
        Self { record: record.clone(), reply, playbook, row: None }
    }

    /// The bytes it holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        const FRAME: usize = 500;
        FRAME
            + match &self.record.fact {
                Fact::Decided(decided) => {
                    let calls = decided.reply.calls.iter().map(|call| size(&call.args));
                    decided.reply.text.len() + calls.sum::<usize>()
                }
                Fact::Acted(acted) => match &acted.outcome {
                    CallOutcome::Output(output) => {
                        output.text.len() + output.data.as_ref().map_or(0, size)
                    }
                    CallOutcome::Failed(_) | CallOutcome::Unknown => 0,
                },
                Fact::Opened(spec) => size(&spec.inputs),
                _ => 0,
            }
    }

    pub(crate) fn render(&mut self, run: &RunId) -> serde_json::Result<()> {
        let reply = self.reply.as_deref();
        self.row = Some(Row::new(run, &self.record, reply, self.playbook)?);
        Ok(())
    }

    /// What was rendered.
    pub(crate) const fn row(&self) -> Option<&Row> {
        self.row.as_ref()
    }
}

/// The bytes of a value as text, roughly.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum(),
        Value::Object(map) => map.iter().map(|(name, item)| name.len() + size(item) + 4).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

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
    fn new(
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
