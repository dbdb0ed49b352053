//! One action of a capability: who asked for what, what became of it.

use executus_audit_sqlite::Note;
use executus_capability::record::{ActionRecord, Counts};
use serde_json::{Value, json};

use super::plain;
use crate::capabilities::action;
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::output;
use crate::time::{milliseconds, rfc3339};

/// Shows the action that a note keeps; `None` for a note of something else.
pub(super) fn show(note: Note, as_json: bool) -> Option<Result<Exit, Fault>> {
    let id = note.id.clone();
    let record = match action(note)? {
        Ok(record) => record,
        Err(error) => {
            let why = chain(&error);
            return Some(Err(Fault::error(format!("the action `{id}` cannot be read: {why}"))));
        }
    };
    let shown = if as_json {
        json(&record).and_then(|line| output::line(&line.to_string()))
    } else {
        output::result(&text(&record))
    };
    Some(shown.map(|()| Exit::Ok))
}

fn json(record: &ActionRecord) -> Result<Value, Fault> {
    let mut fields = serde_json::to_value(record)
        .map_err(|error| Fault::error(format!("the action cannot be written: {error}")))?;
    fields["at"] = json!(rfc3339(record.at));
    Ok(json!({ "action": fields }))
}

fn text(record: &ActionRecord) -> String {
    let kind = word(&json!(record.kind));
    let end = record.error.as_ref().map_or("ok", |error| &error.code);
    let mut text = format!("action {} · {kind} · {end}\n", record.action_id);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<12}{value}\n"));
        }
    };
    line("capability", &record.capability_id);
    line("principal", &record.principal_id);
    line("run", record.run_id.as_ref().map_or("", |run| run.as_str()));
    line("token", record.token_id.as_deref().unwrap_or_default());
    line("driver", &record.driver_id);
    line("mode", record.mode.map_or("", |mode| mode.as_str()));
    line("args", &plain(&record.args));
    line("began", &rfc3339(record.at));
    line("took", &milliseconds(record.duration_ms));
    line("shown", &counts(&record.counts));
    if let Some(error) = &record.error {
        text.push_str(&format!("\nerror: {} ({})\n", error.message, error.code));
    }
    text
}

/// The counts that are not zero, in words.
fn counts(counts: &Counts) -> String {
    let all = [
        (counts.fact_count, "facts"),
        (counts.row_count, "rows"),
        (counts.warning_count, "warnings"),
        (u64::from(counts.has_handle), "handle"),
        (counts.fallback_count, "fallbacks"),
        (counts.cost_tokens, "tokens"),
        (counts.overrun_tokens, "tokens too many"),
    ];
    let some = all.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
