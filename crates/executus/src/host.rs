//! A process that performs runs: its store, its budget, its executor.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_audit_files::FileAudit;
use executus_core::executor::{Executor, LeftState, ResumeError};
use executus_core::memory::FanOutAudit;
use executus_core::port::Audit;
use executus_core::text::scrub_json;
use executus_core::{ErrorKind, Model, ModelError, Outcome, Reply, RunId, RunRequest, Turn};
use tokio::sync::watch;

use crate::asks::Asks;
use crate::budget::Spending;
use crate::config::{Config, Keeping};
use crate::critic::Critics;
use crate::deliver::Delivering;
use crate::fault::{Fault, chain};
use crate::palette::Palettes;
use crate::recorded::Telling;
use crate::store::{self, Store};
use crate::time::rfc3339;

/// How long closing a part may take.
const CLOSING: Duration = Duration::from_secs(5);

/// What runs are performed with.
pub(crate) struct Host {
    pub(crate) store: Store,
    pub(crate) executor: Executor,
    /// What its runs may delegate to.
    pub(crate) palettes: Palettes,
    /// Who watches runs, where somebody does.
    pub(crate) critics: Option<Critics>,
    spending: Spending,
    delivering: Option<Delivering>,
    actions: Option<FileAudit>,
    recorded: watch::Receiver<u64>,
}

/// What closed in time.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    pub(crate) store: bool,
    pub(crate) budget: bool,
    /// What is to be said of results that wait.
    pub(crate) undelivered: Option<String>,
}

impl Closed {
    /// Nothing is left open.
    pub(crate) const ALL: Self = Self { store: true, budget: true, undelivered: None };
}

impl Host {
    /// With this store.
    ///
    /// # Errors
    /// Limits of the budget that mean nothing.
    pub(crate) async fn of(
        store: Store,
        keeping: &Keeping,
        config: &Config,
        critics: Option<Critics>,
    ) -> Result<Self, Fault> {
        let delivering = Delivering::open(config, store.path())?;
        let spending = Spending::open(&config.budget).await?;
        let actions = keeping.audit.action_log()?;
        let mut audit: Arc<dyn Audit> = Arc::new(store.audit().clone());
        if let Some(actions) = &actions {
            let both = FanOutAudit::new().required(audit);
            audit = Arc::new(both.optional(Arc::new(actions.clone()), CLOSING));
        }
        let (audit, recorded) = Telling::of(audit);
        let palettes = Palettes::default();
        let mut executor =
            Executor::builder().audit(Arc::new(audit)).palette(Arc::new(palettes.clone()));
        if let Some(checkpoints) = store.checkpoints() {
            executor = executor
                .checkpointer(Arc::new(checkpoints.clone()))
                .lease(keeping.checkpoint.lease())
                .attempt_limit(keeping.checkpoint.attempt_limit);
        }
        if let Some(critics) = &critics {
            executor = executor.critic(Arc::new(critics.clone()));
        }
        if let Some(budget) = spending.port() {
            executor = executor.budget(budget);
        }
        if let Some(delivering) = &delivering {
            executor = executor.delivery(delivering.port());
        }
        let executor = executor.build();
        Ok(Self { store, executor, palettes, critics, spending, delivering, actions, recorded })
    }

    /// Records what died, and settles what it held. Nothing is resumed, and nothing of it changes
    /// what this process was asked to do.
    pub(crate) async fn recover(&self) {
        if self.store.checkpoints().is_none() {
            return;
        }
        let left = match self.executor.recover().await {
            Ok(left) => left,
            Err(error) => return tracing::warn!(error = chain(&error), "runs were left"),
        };
        for left in left {
            let run = left.run.as_str();
            match left.state {
                LeftState::Interrupted { died: true } => tracing::info!(run, "its process died"),
                LeftState::Unusable { error } => {
                    tracing::warn!(run, error = chain(&error), "it cannot be resumed");
                }
                _ => {}
            }
        }
    }

    /// How far the trail of the run under way is durable.
    pub(crate) fn recorded(&self) -> watch::Receiver<u64> {
        let mut recorded = self.recorded.clone();
        recorded.mark_unchanged();
        recorded
    }

    /// Where others ask for the end of a run.
    pub(crate) fn asks(&self) -> Asks {
        Asks::of(self.store.path())
    }

    /// Ends a kept run as `cancelled`, or settles one that had ended: no model or tool is called.
    ///
    /// # Errors
    /// As of a resume.
    pub(crate) async fn end_kept(&self, run: &RunId) -> Result<Outcome, ResumeError> {
        let request = |_: &_| RunRequest::new(Arc::new(Nobody));
        let handle = self.executor.cancel_kept(run, request).await?;
        Ok(Outcome::clone(&handle.settled().await.outcome))
    }

    /// What to do for a run that waits for somebody.
    pub(crate) async fn waits(&self, outcome: &Outcome) -> Option<String> {
        let error = outcome.error.as_ref()?;
        match error.kind {
            ErrorKind::AwaitingApproval => Some(self.awaits(&outcome.run_id).await),
            ErrorKind::Interrupted if self.store.checkpoints().is_some() => {
                let run = store::quoted(&outcome.run_id);
                Some(format!("  help: `executus resume {run}` goes on with it"))
            }
            _ => None,
        }
    }

    /// The calls of a run that wait, and what to type.
    async fn awaits(&self, run: &RunId) -> String {
        let calls = self.executor.awaited(run).await.unwrap_or_default();
        let run = store::quoted(run);
        let mut text = format!("run {run} awaits approval:");
        for call in calls {
            let (place, args) = (format!("{}.{}", call.step, call.call), scrub_json(&call.args));
            let until = rfc3339(call.until);
            text.push_str(&format!(
                "\n  {} {args}, until {until}\n    executus approve {run} {place}\n    executus deny \
                 {run} {place} --reason TEXT",
                call.name
            ));
        }
        text
    }

    /// Writes what is left. Returns what was done in time.
    pub(crate) async fn close(self) -> Closed {
        let undelivered = match self.delivering {
            Some(delivering) => delivering.close().await,
            None => None,
        };
        if let Some(actions) = &self.actions
            && tokio::time::timeout(CLOSING, actions.close()).await.is_err()
        {
            tracing::warn!("the action log was not closed in time");
        }
        let budget = tokio::time::timeout(CLOSING, self.spending.close()).await.unwrap_or(false);
        let store = tokio::time::timeout(CLOSING, self.store.close()).await.is_ok();
        Closed { store, budget, undelivered }
    }
}

/// Decides nothing: a run that is ended is not asked anything.
struct Nobody;

#[async_trait]
impl Model for Nobody {
    async fn decide(&self, _: &Turn) -> Result<Reply, ModelError> {
        Err(ModelError::Failed { message: "the run was cancelled".to_owned() })
    }
}
