//! Events and results as JSON: what scripts read.

use executus_audit_sqlite::{AuditRecord, RunSummary};
use executus_core::event::Event;
use executus_core::{Outcome, RunError, Timestamp};
use serde_json::{Map, Value, json};

use crate::store;
use crate::time::rfc3339;

/// One event, a line of `run --json`. `None` for the end of the run: [`finished`] tells it once
/// everything is settled.
pub(crate) fn event(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Started { run_id, name } => {
            json!({"type": "run.started", "run_id": run_id, "name": name})
        }
        Event::StepStarted { step } => json!({"type": "step.started", "step": step}),
        Event::Delta { step, index, text } => {
            json!({"type": "step.delta", "step": step, "index": index, "text": text})
        }
        Event::DeltaReset { step } => json!({"type": "step.reset", "step": step}),
        Event::AttemptFailed { step, model, error } => {
            json!({"type": "step.attempt_failed", "step": step, "model": model, "error": error})
        }
        Event::Decided { step, text, calls } => {
            json!({"type": "step.decided", "step": step, "text": text, "calls": calls})
        }
        Event::ToolStarted { step, call, name, args } => {
            json!({"type": "tool.started", "step": step, "call": call, "tool": name, "args": args})
        }
        Event::ToolProgress { step, call, text } => {
            json!({"type": "tool.progress", "step": step, "call": call, "text": text})
        }
        Event::ToolFinished { step, call, name, error, duration_ms } => json!({
            "type": "tool.finished", "step": step, "call": call, "tool": name, "error": error,
            "duration_ms": duration_ms,
        }),
        Event::ApprovalAsked { step, call, name, args, until } => json!({
            "type": "approval.asked", "step": step, "call": call, "tool": name, "args": args,
            "until": rfc3339(*until),
        }),
        Event::ApprovalAnswered { step, call, approved, by } => json!({
            "type": "approval.answered", "step": step, "call": call, "approved": approved,
            "by": by,
        }),
        Event::Steered { source, text } => {
            json!({"type": "run.steered", "source": source, "text": text})
        }
        Event::Finishing { status } => json!({"type": "run.finishing", "status": status}),
        // Ended, or of a kind that this version cannot name.
        _ => return None,
    })
}

/// How far the trail of the run is durable now.
pub(crate) fn recorded(seq: u64) -> Value {
    json!({"type": "run.recorded", "seq": seq})
}

/// The last line of `run --json`.
pub(crate) fn finished(outcome: &Outcome) -> Value {
    let mut line = Map::new();
    line.insert("type".to_owned(), json!("run.finished"));
    line.extend(result(outcome));
    Value::Object(line)
}

/// How a run ended.
pub(crate) fn result(outcome: &Outcome) -> Map<String, Value> {
    let tally = &outcome.stats.tally;
    let mut result = Map::new();
    result.insert("run_id".to_owned(), json!(outcome.run_id));
    result.insert("status".to_owned(), json!(outcome.status));
    result.insert("output".to_owned(), json!(outcome.output));
    result.insert("error".to_owned(), outcome.error.as_ref().map_or(Value::Null, error));
    result.insert(
        "stats".to_owned(),
        json!({
            "steps": tally.steps,
            "tool_calls": tally.tool_calls,
            "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens,
            "thinking_tokens": tally.thinking_tokens,
            "cached_tokens": tally.cached_tokens,
            "cost_micros": tally.cost_micros,
            "runtime_ms": outcome.stats.runtime_ms,
        }),
    );
    result
}

/// A run as it is kept: how it ended, who asked, for what.
pub(crate) fn run(run: &RunSummary) -> Map<String, Value> {
    let mut fields = match store::outcome(run) {
        Some(outcome) => result(&outcome),
        None => Map::from_iter([
            ("run_id".to_owned(), json!(run.run_id)),
            ("status".to_owned(), json!("running")),
            ("output".to_owned(), Value::Null),
            ("error".to_owned(), Value::Null),
            ("stats".to_owned(), Value::Null),
        ]),
    };
    for (name, value) in [
        ("name", json!(run.name)),
        ("subject_id", json!(run.spec.subject_id)),
        ("caller_id", json!(run.caller_id)),
        ("channel_id", json!(run.spec.channel_id)),
        ("parent_run_id", json!(run.parent_run_id)),
        ("inputs", json!(run.spec.inputs)),
        ("labels", json!(run.spec.labels)),
        ("started_at", json!(rfc3339(run.started_at))),
        ("ended_at", json!(run.ended_at.map(rfc3339))),
        ("attempts", json!(run.attempts)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    fields
}

/// One record of a run. Only the record of an executed call has a `tool`.
pub(crate) fn record(record: &AuditRecord) -> Value {
    let mut fields = Map::new();
    for (name, value) in [
        ("seq", json!(record.seq)),
        ("kind", json!(record.kind)),
        ("at", json!(rfc3339(record.at))),
        ("step", json!(record.key.step)),
        ("call", json!(record.key.call)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    if let Value::Object(body) = &record.body {
        fields.extend(body.clone());
    }
    match record.kind.as_str() {
        // The start of a call is not yet an executed one.
        "started" => {
            fields.remove("args");
            if let Some(tool) = fields.remove("tool") {
                fields.insert("starts".to_owned(), tool);
            }
        }
        // A call that waits, and what was said to it.
        "asked" | "answered" => {
            let role = if record.kind == "asked" { "asks_for" } else { "answers" };
            if let Some(tool) = fields.remove("tool") {
                fields.insert(role.to_owned(), tool);
            }
            for name in ["until", "given_at"] {
                if let Some(at) = fields.get_mut(name).filter(|at| at.is_i64()) {
                    let micros = at.as_i64().unwrap_or_default();
                    *at = json!(rfc3339(Timestamp::from_micros(micros)));
                }
            }
        }
        "acted" => flatten(&mut fields),
        _ => {}
    }
    fields.insert("fact".to_owned(), json!(record.fact));
    fields.insert("state".to_owned(), json!(record.state));
    Value::Object(fields)
}

/// The result of a call as its text, its data beside it; an unknown outcome as an error.
fn flatten(fields: &mut Map<String, Value>) {
    if let Some(Value::Object(mut result)) = fields.remove("result") {
        let text = result.remove("text").unwrap_or_default();
        fields.insert("result".to_owned(), text);
        fields.extend(result);
    } else if !fields.contains_key("error") {
        fields.insert(
            "error".to_owned(),
            json!({
                "kind": "unknown",
                "message": "the outcome is not known: the run stopped during the call",
                "retryable": false,
            }),
        );
    }
}

/// Why a run did not end well.
pub(crate) fn error(error: &RunError) -> Value {
    json!({"kind": error.kind, "message": error.message, "retryable": error.retryable})
}
