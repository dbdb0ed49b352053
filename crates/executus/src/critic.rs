//! The critics of run files: one port for all runs of the process.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_audit_sqlite::{Note, SqliteAudit};
use executus_core::RunId;
use executus_core::event::{Event, EventStream};
use executus_core::port::{Critic, CriticError, RunStart, Watcher};
use executus_core::secret::Secret;
use executus_critic::{CriticConfig, Judge, JudgeLimits, Judged, RuleCritic, Tiers};
use executus_playbook::RunFile;
use executus_playbook::guardrails::{CriticDef, TiersDef};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::fault::{Fault, chain};
use crate::models::{self, Asking};

/// What the notes of verdicts are called.
pub(crate) const KIND: &str = "verdict";

/// How many verdicts may wait to be written.
const WAITING: usize = 256;

/// How long writing the last of them may take.
const CLOSING: Duration = Duration::from_secs(5);

/// The critic of a file, and the keys of its judge.
pub(crate) type OfFile = (RuleCritic, Vec<(String, Secret)>);

/// The critic that a file asks for, if it does. One whose guards end the run has one without rules.
///
/// # Errors
/// Rules that mean nothing, a judge that cannot be asked.
pub(crate) fn of_file(file: &RunFile, folder: &Path) -> Result<Option<OfFile>, Fault> {
    let Some(def) = &file.critic else {
        let ends_run = file.guard.as_ref().is_some_and(|guard| guard.stop_ends_run);
        let silent = || RuleCritic::new(CriticConfig::silent());
        let silent = ends_run.then(silent).transpose();
        let silent = silent.map_err(|error| Fault::usage(error.to_string()))?;
        return Ok(silent.map(|critic| (critic, Vec::new())));
    };
    let critic = RuleCritic::new(config(def)).map_err(|error| Fault::usage(error.to_string()))?;
    let Some(judge) = &def.judge else { return Ok(Some((critic, Vec::new()))) };
    let names = [judge.clone()];
    let asking = Asking { names: &names, folder, stream: false, needs_prices: false };
    let Some(models) = models::of_names(file, asking)? else {
        return Ok(Some((critic, Vec::new())));
    };
    let base = JudgeLimits::default();
    let limits = JudgeLimits {
        calls: def.judge_calls.unwrap_or(base.calls),
        tokens: def.judge_tokens.unwrap_or(base.tokens),
        deadline: def.judge_deadline.unwrap_or(base.deadline),
    };
    Ok(Some((critic.judge(Judge::new(models.model).limits(limits)), models.keys)))
}

fn config(def: &CriticDef) -> CriticConfig {
    let base = CriticConfig::default();
    let tiers = |def: Option<TiersDef>, base| match def {
        None => base,
        Some(TiersDef::Off) => None,
        Some(TiersDef::On { soft, hard }) => Some(Tiers::new(soft, hard)),
    };
    CriticConfig {
        idle: true,
        soft_idle: def.soft_idle,
        hard_idle: def.hard_idle,
        same_call: tiers(def.same_call, base.same_call),
        same_tool: tiers(def.same_tool, base.same_tool),
        errors: tiers(def.errors, base.errors),
        tokens: tiers(def.tokens, base.tokens),
        max_extensions: def.max_extensions.unwrap_or(base.max_extensions),
        max_nudges: def.max_nudges.unwrap_or(base.max_nudges),
    }
}

/// The port: each run is watched by the critic of its file, if that has one.
#[derive(Clone, Default)]
pub(crate) struct Critics(Arc<Mutex<HashMap<String, RuleCritic>>>);

impl Critics {
    /// Runs of the file with this digest are watched by this one.
    pub(crate) fn add(&self, digest: String, critic: RuleCritic) {
        self.0.lock().insert(digest, critic);
    }

    fn of(&self, start: &RunStart) -> Option<RuleCritic> {
        let digest = start.spec.labels.get("file_digest").and_then(Value::as_str)?;
        self.0.lock().get(digest).cloned()
    }
}

#[async_trait]
impl Critic for Critics {
    async fn monitor(
        &self,
        start: &RunStart,
        soft_timeout: Duration,
    ) -> Result<Option<Box<dyn Watcher>>, CriticError> {
        match self.of(start) {
            Some(critic) => critic.monitor(start, soft_timeout).await,
            None => Ok(None),
        }
    }
}

/// Tells the critic what the port does not report: a model that speaks, a tool that gets on.
pub(crate) fn touch(critic: RuleCritic, run: RunId, mut events: EventStream) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "ends with the events, or is aborted")]
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Delta { .. } | Event::ToolProgress { .. }) {
                critic.touch(&run);
            }
        }
    })
}

/// Keeps verdicts as notes beside the runs.
pub(crate) struct Verdicts {
    given: mpsc::Sender<Option<Judged>>,
    task: JoinHandle<()>,
}

impl Verdicts {
    /// In this database.
    pub(crate) fn start(audit: SqliteAudit) -> Self {
        let (given, taken) = mpsc::channel(WAITING);
        #[expect(clippy::disallowed_methods, reason = "ended by `close`")]
        let task = tokio::spawn(keep(audit, taken));
        Self { given, task }
    }

    /// The critic, with its verdicts kept.
    pub(crate) fn of(&self, critic: RuleCritic) -> RuleCritic {
        let given = self.given.clone();
        critic.on_verdict(move |judged| {
            if given.try_send(Some(judged.clone())).is_err() {
                tracing::warn!(run = %judged.run_id, "a verdict of the critic was not kept");
            }
        })
    }

    /// Waits until all are written.
    pub(crate) async fn close(self) {
        let closing = async {
            // Critics hold the other ends.
            let _ = self.given.send(None).await;
            let _ = self.task.await;
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("verdicts of the critic were not kept in time");
        }
    }
}

async fn keep(audit: SqliteAudit, mut taken: mpsc::Receiver<Option<Judged>>) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    while let Some(Some(judged)) = taken.recv().await {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let note = Note {
            id: format!("{}/verdict/{}-{number}", judged.run_id, judged.at.as_micros()),
            run_id: Some(judged.run_id.clone()),
            at: judged.at,
            kind: KIND.to_owned(),
            body: serde_json::to_value(&judged).unwrap_or_default(),
        };
        if let Err(error) = audit.note(&note).await {
            tracing::warn!(run = %judged.run_id, error = chain(&error), "a verdict was not kept");
        }
    }
}
