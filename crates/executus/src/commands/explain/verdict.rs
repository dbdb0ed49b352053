//! What the critic of a run said.

use executus_audit_sqlite::{AuditReader, Note, NoteFilter, RunSummary};
use serde_json::{Value, json};

use crate::critic::KIND;
use crate::fault::Fault;
use crate::store;

/// The verdicts on a run, oldest first.
pub(super) fn of_run(reader: &AuditReader, run: &RunSummary) -> Result<Vec<Note>, Fault> {
    let filter = NoteFilter {
        run: Some(run.run_id.clone()),
        kind: Some(KIND.to_owned()),
        ..NoteFilter::default()
    };
    reader.notes(&filter).map_err(|error| store::not_read(&error))
}

/// As JSON; nothing where there is none.
pub(super) fn json(verdicts: &[Note]) -> Option<Value> {
    let bodies: Vec<_> = verdicts.iter().map(|note| &note.body).collect();
    (!bodies.is_empty()).then(|| json!(bodies))
}

/// In words, a line each.
pub(super) fn text(run: &RunSummary, verdicts: &[Note]) -> String {
    if verdicts.is_empty() {
        return String::new();
    }
    let mut text = "\nverdicts of the critic:\n".to_owned();
    for note in verdicts {
        let since = note.at.since(run.started_at);
        let since = format!("+{}.{:03}", since.as_secs(), since.subsec_millis());
        let word = |name: &str| note.body.get(name).and_then(Value::as_str).unwrap_or_default();
        let (verdict, by, rule, found) = (word("verdict"), word("by"), word("rule"), word("found"));
        text.push_str(&format!("     {since:>9}  {verdict} by {by} ({rule}): {found}\n"));
        if !word("void").is_empty() {
            text.push_str(&format!("{:16}  it did not count: {}\n", "", word("void")));
        }
    }
    text
}
