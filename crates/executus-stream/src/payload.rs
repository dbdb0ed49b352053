//! What readers get of a record: the same whether it is live or stored.
//!
//! Each kind has its list of fields, and what is not on it stays here: inputs of the run, arguments
//! of calls, and what the model said beside its calls.

use executus_core::event::Event;
use executus_core::record::{Fact, Stop};
use executus_core::text::scrub_json;
use executus_core::transcript::CallOutcome;
use executus_core::{Record, Reply, ToolError, ToolOutput};
use serde_json::{Map, Value, json};

use crate::event::StreamEvent;
use crate::stored::StoredEvent;

/// The event of a record; `reply` is the one whose calls are under way.
pub(crate) fn of_record(record: &Record, reply: Option<&Reply>) -> StreamEvent {
    let kind = record.fact.kind();
    let body = body(&record.fact, reply);
    let place = (record.at.as_micros(), record.key.step, record.key.call);
    StreamEvent::new(Some(record.seq), kind, &data(kind, place, &body))
}

/// The event of a stored record.
pub(crate) fn of_stored(stored: &StoredEvent) -> StreamEvent {
    let place = (stored.at.as_micros(), stored.step, stored.call);
    StreamEvent::new(Some(stored.seq), &stored.kind, &data(&stored.kind, place, &stored.body))
}

/// What is shown while it happens. `None` for what comes as a record too.
pub(crate) fn of_event(event: &Event) -> Option<StreamEvent> {
    let (kind, data) = match event {
        Event::StepStarted { step } => ("step_started", json!({"step": step})),
        Event::Delta { step, index, text } => {
            ("delta", json!({"step": step, "index": index, "text": text}))
        }
        Event::DeltaReset { step } => ("delta_reset", json!({"step": step})),
        Event::ToolStarted { step, call, name, .. } => {
            ("tool_started", json!({"step": step, "call": call, "tool": name}))
        }
        Event::ToolProgress { step, call, text } => {
            ("tool_progress", json!({"step": step, "call": call, "text": text}))
        }
        _ => return None,
    };
    Some(StreamEvent::new(None, kind, &scrub_json(&data)))
}

fn data(kind: &str, (at, step, call): (i64, u32, Option<u32>), body: &Value) -> Value {
    let mut data = Map::new();
    data.insert("at".into(), at.into());
    data.insert("step".into(), step.into());
    if let Some(call) = call {
        data.insert("call".into(), call.into());
    }
    for field in shown(kind) {
        if let Some(value) = body.get(field).filter(|value| !value.is_null()) {
            data.insert((*field).into(), scrub_json(value));
        }
    }
    if kind == "decided" {
        decided(&mut data, body);
    }
    Value::Object(data)
}

/// The tools that are asked for; the text only where it is the answer.
fn decided(data: &mut Map<String, Value>, body: &Value) {
    let calls = body.get("calls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tools: Value = calls.iter().map(|call| json!({"name": call.get("name")})).collect();
    if calls.is_empty() {
        let text = body.get("text").cloned().unwrap_or_default();
        data.insert("text".into(), scrub_json(&text));
    }
    data.insert("calls".into(), tools);
}

/// The fields of a kind that are shown as they are.
fn shown(kind: &str) -> &'static [&'static str] {
    match kind {
        "opened" => &["run_id", "name", "parent_run_id", "started_at", "deadline", "dry_run"],
        "admitted" => &["gate"],
        "refused" => &["gate", "status", "error", "unknown"],
        "attempted" => &["model", "error", "usage"],
        "decided" => &["usage", "model", "cut"],
        "undecided" => &["error"],
        "asked" => &["tool", "until"],
        "answered" => &["tool", "approved", "by", "reason", "given_at"],
        "started" => &["tool"],
        "acted" => &["tool", "result", "error", "unknown", "duration_ms"],
        "steered" => &["source", "text"],
        "stopped" => &["status", "error"],
        "settled" => &["phase", "error"],
        "resumed" => &["from_seq", "attempt", "deadline"],
        _ => &[],
    }
}

/// The fields of a fact as an audit keeps them, as far as they are shown.
fn body(fact: &Fact, reply: Option<&Reply>) -> Value {
    let tool = |call: u32| reply.and_then(|reply| reply.calls.get(call as usize)).map(|c| &c.name);
    match fact {
        Fact::Opened(spec) => serde_json::to_value(spec).unwrap_or_default(),
        Fact::Admitted(gate) => json!({"gate": gate}),
        Fact::Refused { gate, stop, unknown } => {
            json!({"gate": gate, "status": stop.status, "error": error(stop), "unknown": flag(*unknown)})
        }
        Fact::Attempted(attempt) => {
            json!({"model": attempt.model, "error": attempt.error, "usage": attempt.usage})
        }
        Fact::Decided(decided) => {
            let reply = &decided.reply;
            let calls: Value = reply.calls.iter().map(|call| json!({"name": call.name})).collect();
            json!({"text": reply.text, "calls": calls, "usage": reply.usage, "model": reply.model, "cut": reply.cut})
        }
        Fact::Undecided { error, .. } => json!({"error": failure(error)}),
        Fact::Asked { call, until, .. } => {
            json!({"tool": tool(*call), "until": until.as_micros()})
        }
        Fact::Answered(answer) => json!({
            "tool": tool(answer.call), "approved": answer.approved, "by": answer.by,
            "reason": answer.reason, "given_at": answer.given_at.as_micros(),
        }),
        Fact::Started { call, .. } => json!({"tool": tool(*call)}),
        Fact::Acted(acted) => {
            let mut body = json!({"tool": acted.name, "duration_ms": acted.duration_ms});
            match &acted.outcome {
                CallOutcome::Output(output) => body["result"] = result(output),
                CallOutcome::Failed(error) => {
                    body["error"] = tool_failure(error);
                }
                CallOutcome::Unknown => body["unknown"] = true.into(),
            }
            body
        }
        Fact::Steered(steer) => json!({"source": steer.source, "text": steer.text}),
        Fact::Stopped(stop) => json!({"status": stop.status, "error": error(stop)}),
        Fact::Settled { phase, error } => json!({"phase": phase, "error": error}),
        Fact::Resumed { from_seq, attempt, deadline } => {
            json!({"from_seq": from_seq, "attempt": attempt, "deadline": deadline.as_micros()})
        }
        _ => Value::Null,
    }
}

fn result(output: &ToolOutput) -> Value {
    let mut result = json!({"text": output.text});
    if let Some(data) = &output.data {
        result["data"] = data.clone();
    }
    if !output.artifacts.is_empty() {
        result["artifacts"] = json!(output.artifacts);
    }
    result
}

fn error(stop: &Stop) -> Option<Value> {
    stop.error.as_ref().map(failure)
}

fn failure(error: &executus_core::RunError) -> Value {
    json!({"kind": error.kind.as_str(), "message": error.message, "retryable": error.retryable})
}

fn tool_failure(error: &ToolError) -> Value {
    let kind = match error {
        ToolError::Arguments { .. } => "arguments",
        ToolError::UnknownTool { .. } => "unknown_tool",
        ToolError::Denied { .. } => "denied",
        ToolError::Timeout { .. } => "timeout",
        ToolError::Unknown { .. } => "unknown",
        ToolError::Panicked { .. } => "panicked",
        ToolError::NotConfigured { .. } => "not_configured",
        _ => "failed",
    };
    json!({"kind": kind, "message": error.to_string(), "retryable": error.retry()})
}

fn flag(set: bool) -> Option<bool> {
    set.then_some(true)
}
