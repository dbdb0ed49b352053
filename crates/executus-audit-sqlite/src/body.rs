//! The body of a record: what people read of a fact, scrubbed, as a JSON object.
//!
//! | kind | fields |
//! |---|---|
//! | `opened` | those of the spec |
//! | `admitted` | `gate` |
//! | `refused` | `gate`, `status`, `error`, `unknown` |
//! | `attempted` | `model`, `error` (a text), `usage` |
//! | `decided` | `text`, `calls` (each `id`, `name`, `args`, and `broken` where they could not be read), `usage`, `model`, and `cut` where the text is not whole |
//! | `undecided` | `error` |
//! | `asked` | `tool`, `args`, `until` |
//! | `answered` | `tool`, `approved`, `by`, `reason`, `given_at` |
//! | `started` | `tool`, `args` |
//! | `acted` | `tool`, `args`, one of `result` (`text`, `data`, `artifacts`), `error` (`kind`, `message`, `retryable`) and `unknown` (true), `duration_ms` |
//! | `steered` | `source`, `text` |
//! | `stopped` | `status`, `error` |
//! | `settled` | `phase`, `error` |
//! | `resumed` | `from_seq`, `attempt`, `deadline` |
//!
//! `error` is `kind`, `message` and `retryable`, or a text where a phase failed. Fields without a
//! value are left out. A fact of a kind that this version does not know has its kind alone.

use std::borrow::Cow;

use executus_core::record::Fact;
use executus_core::text::{Scrubbed, scrub, scrub_json};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Reply, RunError, ToolError, ToolOutput, Usage};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Appends the body of a fact. `reply` is the one whose calls are under way.
pub(crate) fn write(
    out: &mut Vec<u8>,
    fact: &Fact,
    reply: Option<&Reply>,
) -> serde_json::Result<()> {
    let mut json = |body: &Body<'_>| serde_json::to_writer(&mut *out, body);
    let call = |call: u32| reply.and_then(|reply| reply.calls.get(call as usize));
    match fact {
        Fact::Opened(spec) => serde_json::to_writer(out, &scrubbed(spec)?),
        Fact::Admitted(gate) => json(&Body { gate: Some(gate), ..Body::default() }),
        Fact::Refused { gate, stop, unknown } => json(&Body {
            gate: Some(gate),
            status: Some(stop.status.as_str()),
            error: stop.error.as_ref().map(Failure::of_run),
            unknown: *unknown,
            ..Body::default()
        }),
        Fact::Attempted(attempt) => json(&Body {
            model: Some(Text(&attempt.model)),
            error: Some(Failure::Text(Text(&attempt.error))),
            usage: Some(&attempt.usage),
            ..Body::default()
        }),
        Fact::Decided(decided) => json(&Body {
            text: Some(Text(&decided.reply.text)),
            calls: Some(decided.reply.calls.iter().map(CallBody::new).collect()),
            usage: Some(&decided.reply.usage),
            model: decided.reply.model.as_deref().map(Text),
            cut: decided.reply.cut.as_deref().map(Text),
            ..Body::default()
        }),
        Fact::Undecided { error, .. } => {
            json(&Body { error: Some(Failure::of_run(error)), ..Body::default() })
        }
        Fact::Asked { call: at, until, .. } => json(&Body {
            tool: call(*at).map(|call| Text(&call.name)),
            args: call(*at).map(|call| Scrubbed(&call.args)),
            until: Some(until.as_micros()),
            ..Body::default()
        }),
        Fact::Answered(answer) => json(&Body {
            tool: call(answer.call).map(|call| Text(&call.name)),
            approved: Some(answer.approved),
            by: Some(Text(&answer.by)),
            reason: answer.reason.as_deref().map(Text),
            given_at: Some(answer.given_at.as_micros()),
            ..Body::default()
        }),
        Fact::Started { call: at, .. } => json(&Body {
            tool: call(*at).map(|call| Text(&call.name)),
            args: call(*at).map(|call| Scrubbed(&call.args)),
            ..Body::default()
        }),
        Fact::Acted(acted) => json(&acted_body(acted, call(acted.call).map(|call| &call.args))?),
        Fact::Steered(steer) => json(&Body {
            source: Some(Text(&steer.source)),
            text: Some(Text(&steer.text)),
            ..Body::default()
        }),
        Fact::Stopped(stop) => json(&Body {
            status: Some(stop.status.as_str()),
            error: stop.error.as_ref().map(Failure::of_run),
            ..Body::default()
        }),
        Fact::Settled { phase, error } => json(&Body {
            phase: Some(phase.as_str()),
            error: error.as_deref().map(|error| Failure::Text(Text(error))),
            ..Body::default()
        }),
        Fact::Resumed { from_seq, attempt, deadline } => json(&Body {
            from_seq: Some(*from_seq),
            attempt: Some(*attempt),
            deadline: Some(deadline.as_micros()),
            ..Body::default()
        }),
        _ => json(&Body::default()),
    }
}

/// A value as JSON, scrubbed.
pub(crate) fn scrubbed(value: &impl Serialize) -> serde_json::Result<Value> {
    Ok(scrub_json(&serde_json::to_value(value)?))
}

/// A value as JSON text, scrubbed.
pub(crate) fn scrubbed_text(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(&scrubbed(value)?)
}

fn acted_body<'a>(acted: &'a Acted, args: Option<&'a Value>) -> serde_json::Result<Body<'a>> {
    let mut body = Body {
        tool: Some(Text(&acted.name)),
        args: args.map(Scrubbed),
        duration_ms: Some(acted.duration_ms),
        ..Body::default()
    };
    match &acted.outcome {
        CallOutcome::Output(output) => body.result = Some(ResultBody::new(output)?),
        CallOutcome::Failed(error) => body.error = Some(Failure::of_tool(error)),
        CallOutcome::Unknown => body.unknown = true,
    }
    Ok(body)
}

/// All bodies but that of `opened`: what a kind does not have is left out.
#[derive(Default, Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<&'a executus_core::record::Gate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Vec<CallBody<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Scrubbed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_at: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<i64>,
}

/// A text that is scrubbed as it is written.
struct Text<'a>(&'a str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&scrub(self.0))
    }
}

#[derive(Serialize)]
struct CallBody<'a> {
    id: &'a str,
    name: Text<'a>,
    args: Scrubbed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Text<'a>>,
}

impl<'a> CallBody<'a> {
    fn new(call: &'a executus_core::Call) -> Self {
        Self {
            id: &call.id,
            name: Text(&call.name),
            args: Scrubbed(&call.args),
            broken: call.broken.as_deref().map(Text),
        }
    }
}

#[derive(Serialize)]
struct ResultBody<'a> {
    text: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Scrubbed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Value>,
}

impl<'a> ResultBody<'a> {
    fn new(output: &'a ToolOutput) -> serde_json::Result<Self> {
        let artifacts = match output.artifacts.as_slice() {
            [] => None,
            artifacts => Some(scrubbed(&artifacts)?),
        };
        Ok(Self { text: Text(&output.text), data: output.data.as_ref().map(Scrubbed), artifacts })
    }
}

enum Failure<'a> {
    Typed { kind: &'static str, message: Cow<'a, str>, retryable: bool },
    Text(Text<'a>),
}

impl<'a> Failure<'a> {
    fn of_run(error: &'a RunError) -> Self {
        Self::Typed {
            kind: error.kind.as_str(),
            message: scrub(&error.message),
            retryable: error.retryable,
        }
    }

    fn of_tool(error: &'a ToolError) -> Self {
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
        let message = Cow::Owned(scrub(&error.to_string()).into_owned());
        Self::Typed { kind, message, retryable: error.retry() }
    }
}

impl Serialize for Failure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Typed { kind, message, retryable } => {
                let mut fields = serializer.serialize_struct("error", 3)?;
                fields.serialize_field("kind", kind)?;
                fields.serialize_field("message", message)?;
                fields.serialize_field("retryable", retryable)?;
                fields.end()
            }
        }
    }
}
