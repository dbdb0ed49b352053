//! The seam for recovery: a failed step is handed to another model.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Model, ModelError, Reply, RunStatus, Turn};
use executus_playbook::Playbook;
use serde_json::json;

use crate::support::{Bench, GOOD};

/// Makes one call with a tool of the playbook, then answers or fails.
struct Rescue {
    succeeds: bool,
}

#[async_trait]
impl Model for Rescue {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let calls = turn.transcript().last_results().next().map(|acted| acted.id.clone());
        match calls.as_deref() {
            Some("history#2") => Ok(Reply::call("log", json!({"n": 1}))),
            _ if self.succeeds => Ok(Reply::text("rescued")),
            _ => Err(ModelError::Failed { message: "no idea".into() }),
        }
    }
}

fn recovering(succeeds: bool) -> (Bench, Playbook) {
    let text = GOOD
        .replace("name = \"report\"", "name = \"report\"\nmodel = \"a:b\"")
        .replace("failure_message = \"No history in {repo}\"", "")
        .replace("on_failure = \"abort\"", "");
    let bench = Bench::new(&text, &[("log", &[Err("first"), Err("second"), Ok("a b")])]);
    let rescue = Arc::new(Rescue { succeeds });
    let playbook = Playbook::with_recovery(Arc::clone(&bench.file), rescue).unwrap();
    (bench, playbook)
}

#[tokio::test(start_paused = true)]
async fn a_recovery_takes_over_after_two_attempts() {
    let (bench, playbook) = recovering(true);
    let ran = bench.run(playbook).await;
    assert_eq!(ran.outcome.status, RunStatus::Ok, "{:?}", ran.outcome);
    assert_eq!(ran.outcome.output.as_deref(), Some("rescued"));
    assert_eq!(ran.seen.len(), 3);
    let report = recovering(true).1.report(&ran.inputs, &ran.transcript);
    assert!(report.handed_over && report.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failed_recovery_tells_both_errors() {
    let (bench, playbook) = recovering(false);
    let ran = bench.run(playbook).await;
    assert_eq!(ran.error(), "step error: second; recovery error: no idea");
}
