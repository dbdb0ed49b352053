//! `executus explain`: the whole record of a run, in order, or one action.

use std::collections::BTreeSet;

use executus_audit_sqlite::{AuditReader, AuditRecord, NoteFilter, RunSummary};
use executus_core::{Key, Timestamp};
use serde_json::{Value, json};

use crate::cli::ExplainArgs;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::time::{milliseconds, rfc3339};
use crate::{json, output, store};

mod action;
mod verdict;

/// Shows what a run did, or an action.
///
/// # Errors
/// When there is no such run or action, or it cannot be read.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Fault> {
    let note = store::note(&args.store, &args.run)?;
    if let Some(shown) = note.and_then(|note| action::show(note, args.json)) {
        return shown;
    }
    let (reader, run) = store::find(&args.store, &args.run)?;
    let records = reader.records(&run.run_id).map_err(|error| store::not_read(&error))?;
    let actions = Actions::of_run(&reader, &run)?;
    let verdicts = verdict::of_run(&reader, &run)?;
    if args.json {
        let with_action = |record: &AuditRecord| {
            let mut fields = json::record(record);
            if let Some(action) = actions.of(record) {
                fields["action_id"] = json!(action);
            }
            fields
        };
        let records: Vec<_> = records.iter().map(with_action).collect();
        let mut explained = json!({"run": json::run(&run), "records": records});
        if let Some(verdicts) = verdict::json(&verdicts) {
            explained["verdicts"] = verdicts;
        }
        output::line(&explained.to_string())?;
    } else {
        let verdicts = verdict::text(&run, &verdicts);
        output::result(&(heading(&run) + &body(&run, &records, &actions) + &verdicts))?;
    }
    Ok(Exit::Ok)
}

fn heading(run: &RunSummary) -> String {
    let status = run.status.map_or("running", |status| status.as_str());
    let mut text = format!("run {} · {} · {status}\n", run.run_id, run.name);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<9}{value}\n"));
        }
    };
    line("caller", &run.caller_id);
    line("channel", &run.spec.channel_id);
    line("parent", run.parent_run_id.as_ref().map_or("", |parent| parent.as_str()));
    line("inputs", &plain(&run.spec.inputs));
    line("labels", &plain(&run.spec.labels));
    line("started", &rfc3339(run.started_at));
    line("ended", &run.ended_at.map(rfc3339).unwrap_or_default());
    if let Some(stats) = &run.stats {
        let tally = &stats.tally;
        let tokens = tally.tokens();
        line(
            "stats",
            &format!(
                "{} replies, {} calls, {tokens} tokens, {}",
                tally.steps,
                tally.tool_calls,
                milliseconds(stats.runtime_ms)
            ),
        );
    }
    text.push('\n');
    text
}

/// The actions that the calls of a run led to.
struct Actions<'r> {
    run: &'r RunSummary,
    ids: BTreeSet<String>,
}

impl<'r> Actions<'r> {
    fn of_run(reader: &AuditReader, run: &'r RunSummary) -> Result<Self, Fault> {
        let filter = NoteFilter { run: Some(run.run_id.clone()), ..NoteFilter::default() };
        let notes = reader.notes(&filter).map_err(|error| store::not_read(&error))?;
        Ok(Self { run, ids: notes.into_iter().map(|note| note.id).collect() })
    }

    /// The action of an executed call: its id is the key of the call.
    fn of(&self, record: &AuditRecord) -> Option<&str> {
        // As a tool knows its call: by its place.
        let key = Key { args: None, ..record.key };
        let id = (record.kind == "acted").then(|| key.in_run(&self.run.run_id))?;
        self.ids.get(&id).map(String::as_str)
    }
}

fn body(run: &RunSummary, records: &[AuditRecord], actions: &Actions<'_>) -> String {
    let lines = records.iter().map(|record| line(run.started_at, record, actions.of(record)));
    let mut text: String = lines.collect();
    if let Some(error) = &run.error {
        text.push_str(&format!("\nerror: {error}\n"));
    }
    if let Some(output) = run.output.as_deref().filter(|output| !output.is_empty()) {
        text.push_str(&format!("\noutput:\n{}\n", output.trim_end()));
    }
    text
}

/// A record as it is shown, with the action that it led to.
pub(super) fn line(started_at: Timestamp, record: &AuditRecord, action: Option<&str>) -> String {
    let since = record.at.since(started_at);
    let since = format!("+{}.{:03}", since.as_secs(), since.subsec_millis());
    let (what, mut details) = tell(record);
    details.extend(action.map(|action| format!("action {action}")));
    let mut text = format!("{:>4} {since:>9}  {what}\n", record.seq);
    for detail in details.iter().flat_map(|detail| detail.lines()) {
        text.push_str(&format!("{:16}  {detail}\n", ""));
    }
    text
}

/// A record in words: a line, and what belongs under it.
fn tell(record: &AuditRecord) -> (String, Vec<String>) {
    let body = &record.body;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| body.get(name).and_then(Value::as_i64).unwrap_or_default();
    let error = || body.get("error").map(failure);
    let (step, call) = (record.key.step, record.key.call.unwrap_or_default());
    match record.kind.as_str() {
        "opened" => ("opened".to_owned(), Vec::new()),
        "admitted" => (format!("admitted: {}", text("gate")), Vec::new()),
        "refused" => {
            (format!("refused by {}: {}", text("gate"), text("status")), Vec::from_iter(error()))
        }
        "decided" => {
            let calls = body.get("calls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if calls.is_empty() {
                let cut = Some(text("cut")).filter(|cut| !cut.is_empty());
                let cut = cut.map(|cut| format!("not whole: {cut}"));
                return (format!("step {step}: the final answer"), Vec::from_iter(cut));
            }
            let asks = calls.iter().map(|call| {
                let name = call.get("name").and_then(Value::as_str).unwrap_or_default();
                format!("asks for {name} {}", call.get("args").map(plain).unwrap_or_default())
            });
            (format!("step {step}: {}", text("text")), asks.collect())
        }
        "attempted" => (format!("step {step}: {} failed", text("model")), Vec::from_iter(error())),
        "undecided" => (format!("step {step}: no decision"), Vec::from_iter(error())),
        "asked" => {
            let until = rfc3339(Timestamp::from_micros(number("until")));
            let what = format!("step {step}: {} awaits approval until {until}", text("tool"));
            let args = body.get("args").map(plain).unwrap_or_default();
            (what, vec![format!("call {step}.{call} {args}")])
        }
        "answered" => {
            let approved = body.get("approved").and_then(Value::as_bool).unwrap_or_default();
            let by = if text("by").is_empty() { "nobody in time" } else { text("by") };
            let said = if approved { "approved" } else { "not approved" };
            let reason = Some(text("reason").to_owned()).filter(|reason| !reason.is_empty());
            let what = format!("step {step}: {} {said}, call {step}.{call}: {by}", text("tool"));
            (what, Vec::from_iter(reason))
        }
        "started" => (format!("step {step}: {} begins", text("tool")), Vec::new()),
        "acted" => {
            let took = body.get("duration_ms").and_then(Value::as_u64).map(milliseconds);
            let took = took.unwrap_or_default();
            let tool = text("tool");
            match (body.get("result"), error()) {
                (Some(result), _) => {
                    let text = result.get("text").and_then(Value::as_str).unwrap_or_default();
                    (format!("step {step}: {tool} answers, {took}"), vec![excerpt(text)])
                }
                (None, Some(error)) => (format!("step {step}: {tool} fails, {took}"), vec![error]),
                (None, None) => {
                    (format!("step {step}: {tool} was under way: outcome unknown"), Vec::new())
                }
            }
        }
        "steered" => (format!("{} steers", text("source")), vec![text("text").to_owned()]),
        "stopped" => (format!("stopped: {}", text("status")), Vec::from_iter(error())),
        "settled" => (format!("settled: {}", text("phase")), Vec::from_iter(error())),
        "resumed" => ("resumed in another life".to_owned(), Vec::new()),
        other => (other.to_owned(), vec![plain(body)]),
    }
}

fn failure(error: &Value) -> String {
    match error.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => error.as_str().map_or_else(|| error.to_string(), str::to_owned),
    }
}

/// The beginning of a long text; `--json` has all of it.
fn excerpt(text: &str) -> String {
    const LINES: usize = 12;
    let lines = text.lines().count();
    if lines <= LINES {
        return text.to_owned();
    }
    let head: Vec<_> = text.lines().take(LINES - 1).collect();
    format!("{}\n… {} lines more", head.join("\n"), lines - head.len())
}

/// An object as `name=value`, anything else as JSON; nothing for what is empty.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name}={text:?}"),
                None => format!("{name}={value}"),
            })
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    }
}
