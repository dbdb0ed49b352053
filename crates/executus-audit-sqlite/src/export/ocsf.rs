//! Events in the shape of the Open Cybersecurity Schema Framework, one on each line.

use std::io::{self, Write};

use executus_core::{RunStatus, Timestamp};
use serde_json::{Map, Value, json};

use super::{Exported, Form};
use crate::anchor::Mark;
use crate::note::Note;
use crate::query::{AuditRecord, RunSummary};

/// The version of the framework whose fields these are.
const VERSION: &str = "1.3.0";

pub(super) struct Events<'a> {
    out: &'a mut dyn Write,
}

/// A class of events.
#[derive(Clone, Copy)]
enum Class {
    Lifecycle,
    Activity,
}

impl Class {
    const fn uid(self) -> u32 {
        match self {
            Self::Lifecycle => 6002,
            Self::Activity => 6003,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "Application Lifecycle",
            Self::Activity => "API Activity",
        }
    }
}

/// What was done, by the framework's number and name. 99 is what it has no number for.
type Activity<'a> = (u32, &'a str);

const START: Activity<'static> = (3, "Start");
const STOP: Activity<'static> = (4, "Stop");
const RESTART: Activity<'static> = (5, "Restart");

/// How it went.
#[derive(Clone, Copy)]
enum Went {
    Unknown,
    Well,
    Badly,
}

impl<'a> Events<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    fn line(&mut self, event: &Map<String, Value>) -> io::Result<()> {
        let mut text = serde_json::to_vec(event)?;
        text.push(b'\n');
        self.out.write_all(&text)
    }
}

/// What every event has.
fn event(
    class: Class,
    (activity, name): Activity<'_>,
    at: Timestamp,
    went: Went,
    uid: String,
) -> Map<String, Value> {
    let (status_id, status, severity_id, severity) = match went {
        Went::Unknown => (0, "Unknown", 1, "Informational"),
        Went::Well => (1, "Success", 1, "Informational"),
        Went::Badly => (2, "Failure", 3, "Medium"),
    };
    let fields = json!({
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": class.uid(),
        "class_name": class.name(),
        "activity_id": activity,
        "activity_name": name,
        "type_uid": class.uid() * 100 + activity,
        "type_name": format!("{}: {name}", class.name()),
        "time": at.as_micros().div_euclid(1000),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "metadata": {
            "version": VERSION,
            "uid": uid,
            "product": {
                "name": "executus",
                "vendor_name": "executus",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Adds whose run it is.
fn of_run(event: &mut Map<String, Value>, run: &RunSummary) {
    if let Some(metadata) = event.get_mut("metadata") {
        metadata["correlation_uid"] = json!(run.run_id.as_str());
    }
    event.insert("actor".into(), json!({"user": {"uid": run.caller_id}}));
    event.insert("app".into(), json!({"name": run.name, "uid": run.spec.subject_id}));
    event.insert("src_endpoint".into(), json!({"name": run.spec.channel_id}));
}

fn went(status: Option<RunStatus>) -> Went {
    match status {
        None => Went::Unknown,
        Some(RunStatus::Ok | RunStatus::DryRun) => Went::Well,
        Some(_) => Went::Badly,
    }
}

impl Form for Events<'_> {
    fn begin(&mut self, _: &Mark) -> io::Result<()> {
        Ok(())
    }

    fn run(&mut self, run: &RunSummary) -> io::Result<()> {
        let uid = format!("{}/start", run.run_id);
        let mut event = event(Class::Lifecycle, START, run.started_at, Went::Well, uid);
        of_run(&mut event, run);
        event.insert("message".into(), json!(format!("run {} began", run.run_id)));
        let parent = run.parent_run_id.as_ref().map(|run| run.as_str());
        event.insert("unmapped".into(), json!({"parent_run_id": parent, "spec": run.spec}));
        self.line(&event)
    }

    fn record(&mut self, run: &RunSummary, record: &AuditRecord) -> io::Result<()> {
        // What the run was asked for is in the event of its start.
        if record.kind == "opened" {
            return Ok(());
        }
        let body = &record.body;
        let failed = body.get("error").is_some_and(|error| !error.is_null());
        let unknown = body.get("unknown").and_then(Value::as_bool).unwrap_or_default();
        let went = match (failed, unknown) {
            (true, _) => Went::Badly,
            (_, true) => Went::Unknown,
            _ => Went::Well,
        };
        let other = (99, record.kind.as_str());
        let (class, activity) = match record.kind.as_str() {
            "resumed" => (Class::Lifecycle, RESTART),
            "admitted" | "refused" | "stopped" | "settled" => (Class::Lifecycle, other),
            _ => (Class::Activity, other),
        };
        let uid = format!("{}/{}", run.run_id, record.seq);
        let mut event = event(class, activity, record.at, went, uid);
        of_run(&mut event, run);
        if let Some(metadata) = event.get_mut("metadata") {
            metadata["sequence"] = json!(record.seq);
            metadata["event_code"] = json!(record.kind);
        }
        if let Class::Activity = class {
            let operation = body.get("tool").and_then(Value::as_str).unwrap_or(&record.kind);
            let request = match record.key.call {
                Some(call) => format!("{}/{}/{call}", run.run_id, record.key.step),
                None => format!("{}/{}", run.run_id, record.key.step),
            };
            let mut api = json!({"operation": operation, "request": {"uid": request}});
            if let Some(model) = body.get("model") {
                api["service"] = json!({"name": model});
            }
            if failed {
                api["response"] = json!({"error": error_text(body)});
            }
            event.insert("api".into(), api);
        }
        if failed {
            event.insert("status_detail".into(), json!(error_text(body)));
        }
        if let Some(duration) = body.get("duration_ms") {
            event.insert("duration".into(), duration.clone());
        }
        let digests = json!({"fact": record.fact, "state": record.state});
        event.insert("unmapped".into(), json!({"body": body, "digests": digests}));
        self.line(&event)
    }

    fn note(&mut self, run: Option<&RunSummary>, note: &Note) -> io::Result<()> {
        let activity = (99, note.kind.as_str());
        let mut event =
            event(Class::Activity, activity, note.at, Went::Unknown, format!("note/{}", note.id));
        match run {
            Some(run) => of_run(&mut event, run),
            None => {
                let app = json!({"name": "executus"});
                event.insert("actor".into(), json!({"app_name": "executus"}));
                event.insert("src_endpoint".into(), app);
            }
        }
        event.insert("api".into(), json!({"operation": note.kind, "request": {"uid": note.id}}));
        event.insert("unmapped".into(), json!({"body": note.body}));
        self.line(&event)
    }

    fn run_end(&mut self, run: &RunSummary) -> io::Result<()> {
        let Some((at, status)) = run.ended_at.zip(run.status) else { return Ok(()) };
        let uid = format!("{}/end", run.run_id);
        let mut event = event(Class::Lifecycle, STOP, at, went(Some(status)), uid);
        of_run(&mut event, run);
        event.insert("message".into(), json!(format!("run {} ended: {status}", run.run_id)));
        event.insert("status_code".into(), json!(status.as_str()));
        if let Some(error) = &run.error {
            event.insert("status_detail".into(), json!(error.to_string()));
        }
        event.insert("duration".into(), json!(at.since(run.started_at).as_millis() as u64));
        let unmapped = json!({
            "closed": run.closed, "output": run.output, "stats": run.stats,
            "artifacts": run.artifacts,
        });
        event.insert("unmapped".into(), unmapped);
        self.line(&event)
    }

    fn end(&mut self, _: &Exported) -> io::Result<()> {
        self.out.flush()
    }
}

/// The text of an error, which is one or has one.
fn error_text(body: &Value) -> &str {
    let error = body.get("error");
    let text = error.and_then(|error| error.as_str().or_else(|| error.get("message")?.as_str()));
    text.unwrap_or("failed")
}
