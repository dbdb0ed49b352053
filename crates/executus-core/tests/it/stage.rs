//! A stage for runs: all six ports, in memory, behind one plan of faults that logs every call.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::{MemoryAudit, MemoryBudget, MemoryCheckpointer, MemoryDelivery, Trail};
use executus_core::port::{Audit, Budget, Checkpointer, Critic, Delivery, EntryKind, Palette};
use executus_core::{
    Executor, Model, Outcome, Ports, Reply, RunId, RunRequest, RunStatus, Settled, Tool, Toolbox,
    Usage,
};
use executus_testkit::faulty::{Faulty, Plan, Site};
use executus_testkit::scripted::{
    Behind, Do, Say, ScriptedCritic, ScriptedModel, ScriptedPalette, ScriptedTool,
};
use serde_json::json;

/// See the module.
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) audit: MemoryAudit,
    pub(crate) budget: MemoryBudget,
    pub(crate) critic: ScriptedCritic,
    pub(crate) checkpointer: MemoryCheckpointer,
    pub(crate) palette: Arc<ScriptedPalette>,
    pub(crate) delivery: MemoryDelivery,
}

impl Stage {
    /// On which this goes wrong.
    pub(crate) fn with(plan: Plan) -> Self {
        let agent = ScriptedModel::new([Reply::text("from the agent")]).shared();
        let palette = ScriptedPalette::new()
            .with(EntryKind::Skill, "foo", Behind::Text("from the skill".into()))
            .with(EntryKind::Agent, "bar", Behind::Run(agent, Toolbox::default()));
        Self {
            plan,
            audit: MemoryAudit::default(),
            budget: MemoryBudget::unlimited(),
            critic: ScriptedCritic::new(),
            checkpointer: MemoryCheckpointer::default(),
            palette: Arc::new(palette),
            delivery: MemoryDelivery::default(),
        }
    }

    /// On which nothing goes wrong.
    pub(crate) fn new() -> Self {
        Self::with(Plan::new())
    }

    pub(crate) fn ports(&self) -> Ports {
        let audit: Arc<dyn Audit> = Arc::new(self.audit.clone());
        let budget: Arc<dyn Budget> = Arc::new(self.budget.clone());
        let critic: Arc<dyn Critic> = Arc::new(self.critic.clone());
        let checkpointer: Arc<dyn Checkpointer> = Arc::new(self.checkpointer.clone());
        let palette: Arc<dyn Palette> = self.palette.clone();
        let delivery: Arc<dyn Delivery> = Arc::new(self.delivery.clone());
        Ports {
            audit: Some(Faulty::new(audit, &self.plan)),
            budget: Some(Faulty::new(budget, &self.plan)),
            critic: Some(Faulty::new(critic, &self.plan)),
            checkpointer: Some(Faulty::new(checkpointer, &self.plan)),
            palette: Some(Faulty::new(palette, &self.plan)),
            delivery: Some(Faulty::new(delivery, &self.plan)),
        }
    }

    pub(crate) fn executor(&self) -> Executor {
        Executor::new(self.ports())
    }

    /// Runs to the end, and checks what holds for every run.
    pub(crate) async fn run(&self, request: RunRequest) -> Ended {
        let run = self.executor().start(request).unwrap();
        let settled = run.settled().await;
        self.ended(run.run_id().clone(), settled)
    }

    pub(crate) fn ended(&self, run: RunId, settled: Settled) -> Ended {
        self.check(&run, &settled.outcome);
        Ended { run, settled }
    }

    /// What holds for every run, however it ended.
    pub(crate) fn check(&self, run: &RunId, outcome: &Outcome) {
        let trail = self.trail(run);
        if self.plan.count(Site::AuditStart) > 0 && !trail.starts.is_empty() {
            let (closed, open) = (trail.closed.len(), trail.suspended.len());
            match outcome.status {
                RunStatus::Interrupted => assert!(closed == 0 && open > 0, "{outcome:?}"),
                _ => assert_eq!(closed, 1, "{outcome:?}"),
            }
            let recorded = trail.suspended.iter().chain(&trail.closed).next_back();
            let recorded = recorded.map(|recorded| recorded.status);
            assert_eq!(recorded, Some(outcome.status), "record and caller differ");
        }
        let held = self.budget.holds();
        assert!(held.is_empty(), "still held: {held:?}");
        assert_eq!(self.critic.watching(), 0, "the critic was not stopped");
    }

    pub(crate) fn trail(&self, run: &RunId) -> Trail {
        self.audit.trail(run).unwrap_or_default()
    }
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) run: RunId,
    pub(crate) settled: Settled,
}

impl Ended {
    pub(crate) fn outcome(&self) -> &Outcome {
        &self.settled.outcome
    }

    pub(crate) fn status(&self) -> RunStatus {
        self.settled.outcome.status
    }

    /// Kind and message of its error.
    pub(crate) fn error(&self) -> String {
        self.settled.outcome.error.as_ref().expect("an error").to_string()
    }
}

pub(crate) fn model<S: Into<Say>>(lines: impl IntoIterator<Item = S>) -> Arc<ScriptedModel> {
    ScriptedModel::new(lines).shared()
}

/// One call of `echo`, then the final answer; both use tokens.
pub(crate) fn two_steps() -> Arc<ScriptedModel> {
    model([
        Reply::call("echo", json!({"n": 1})).using(usage(10, 5)),
        Reply::text("done").using(usage(20, 7)),
    ])
}

pub(crate) fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, thinking_tokens: 1, ..Usage::default() }
}

pub(crate) fn tools(tools: impl IntoIterator<Item = Arc<ScriptedTool>>) -> Toolbox {
    Toolbox::new(tools.into_iter().map(|tool| tool as Arc<dyn Tool>)).unwrap()
}

pub(crate) fn tool(name: &str, act: Do) -> Arc<ScriptedTool> {
    ScriptedTool::new(name, act).shared()
}

/// A run of a model with the tool `echo`.
pub(crate) fn request(model: Arc<dyn Model>) -> RunRequest {
    RunRequest::new(model).caller("someone").tools(tools([tool("echo", Do::Echo)]))
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
