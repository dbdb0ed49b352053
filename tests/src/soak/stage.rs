//! A stage for whole runs: ports that outlive executors, one run that calls all of them, and a judge.

use std::collections::BTreeSet;
use std::sync::{Arc, Once};
use std::time::Duration;

use executus_core::executor::RunTask;
use executus_core::machine::replay;
use executus_core::memory::{MemoryAudit, MemoryBudget, MemoryCheckpointer, Trail};
use executus_core::port::{Audit, Budget, Checkpointer, Critic, Delivery, EntryKind, Palette};
use executus_core::{
    Effect, Executor, HoldId, Model, ModelError, Ports, Reply, RunHandle, RunId, RunRequest,
    RunStatus, Settled, Tool, Toolbox, Usage,
};
use executus_testkit::faulty::{Faulty, Plan, Site};
use executus_testkit::scripted::{
    Behind, Do, Say, ScriptedCritic, ScriptedModel, ScriptedPalette, ScriptedTool,
};
use serde_json::json;

use super::mailbox::Mailbox;

/// How long the hold of a dead run lasts.
const LEASE: Duration = Duration::from_secs(120);

/// Tokens of one reply.
pub const TOKENS: u64 = 16;

/// How a process that dies leaves its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Dropped: their destructors run.
    Dropped,
    /// Gone: nothing of them runs any more.
    Killed,
}

impl Death {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dropped, Self::Killed];

    /// Lets a task die.
    pub fn of(self, task: RunTask) {
        match self {
            Self::Dropped => drop(task),
            #[expect(clippy::mem_forget, reason = "a killed process drops nothing")]
            Self::Killed => std::mem::forget(task),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Stage {
    /// Keeps every trail.
    pub audit: MemoryAudit,
    /// Grants everything, for as long as a lease lasts.
    pub budget: MemoryBudget,
    /// Watches.
    pub critic: ScriptedCritic,
    /// Keeps unfinished runs.
    pub checkpointer: MemoryCheckpointer,
    /// Knows the skill `foo`.
    pub palette: Arc<ScriptedPalette>,
    /// Keeps every parcel that arrived.
    pub delivery: Mailbox,
    /// The tool `write`, of which every call counts.
    pub write: Arc<ScriptedTool>,
    /// What the model says.
    pub script: Vec<Say>,
    /// What the lives did that a boot began; nothing goes wrong in them.
    pub booted: Plan,
}

impl Default for Stage {
    fn default() -> Self {
        Self::saying(good())
    }
}

/// Three steps, two of them with calls, one of these delegated.
#[must_use]
pub fn good() -> Vec<Say> {
    let usage =
        Usage { input_tokens: 10, output_tokens: 5, thinking_tokens: 1, ..Usage::default() };
    let lines = [
        Reply::call("write", json!({"n": 1})),
        Reply::call("skill__foo", json!({})).and_call("write", json!({"n": 2})),
        Reply::text("done"),
    ];
    lines.into_iter().map(|line| line.using(usage).into()).collect()
}

/// As [`good`], but the model fails in the end.
#[must_use]
pub fn failing() -> Vec<Say> {
    let mut lines = good();
    lines.truncate(2);
    lines.push(ModelError::Unavailable { message: "gone".into() }.into());
    lines
}

/// As [`good`], but the final answer takes so long.
#[must_use]
pub fn slow(answer: Duration) -> Vec<Say> {
    let mut lines = good();
    if let Some(Say::Reply(reply)) = lines.pop() {
        lines.push(Say::Slowly(answer, reply));
    }
    lines
}

impl Stage {
    /// With this script.
    #[must_use]
    pub fn saying(script: Vec<Say>) -> Self {
        let write = ScriptedTool::new("write", Do::Echo)
            .with(|spec| spec.effect(Effect::Once).timeout(Duration::from_secs(2)));
        let palette = ScriptedPalette::new();
        let palette = palette.with(EntryKind::Skill, "foo", Behind::Text("a skill".into()));
        Self {
            audit: MemoryAudit::with_capacity(100_000),
            budget: MemoryBudget::unlimited().with_lease(LEASE),
            critic: ScriptedCritic::new(),
            checkpointer: MemoryCheckpointer::default(),
            palette: Arc::new(palette),
            delivery: Mailbox::default(),
            write: write.shared(),
            script,
            booted: Plan::new(),
        }
    }

    /// All six ports, under this plan of faults.
    #[must_use]
    pub fn ports(&self, plan: &Plan) -> Ports {
        let audit: Arc<dyn Audit> = Arc::new(self.audit.clone());
        let budget: Arc<dyn Budget> = Arc::new(self.budget.clone());
        let critic: Arc<dyn Critic> = Arc::new(self.critic.clone());
        let checkpointer: Arc<dyn Checkpointer> = Arc::new(self.checkpointer.clone());
        let palette: Arc<dyn Palette> = Arc::<ScriptedPalette>::clone(&self.palette);
        let delivery: Arc<dyn Delivery> = Arc::new(self.delivery.clone());
        Ports {
            audit: Some(Faulty::new(audit, plan)),
            budget: Some(Faulty::new(budget, plan)),
            critic: Some(Faulty::new(critic, plan)),
            checkpointer: Some(Faulty::new(checkpointer, plan)),
            palette: Some(Faulty::new(palette, plan)),
            delivery: Some(Faulty::new(delivery, plan)),
        }
    }

    /// An executor with all six ports, under this plan of faults.
    #[must_use]
    pub fn executor(&self, plan: &Plan) -> Executor {
        Executor::new(self.ports(plan))
    }

    /// The run, its model and its tool under this plan of faults.
    #[must_use]
    pub fn request(&self, plan: &Plan, id: &RunId) -> RunRequest {
        self.request_through(&[plan], id)
    }

    /// The run, its model and its tool under these plans of faults, the outermost last.
    #[must_use]
    pub fn request_through(&self, plans: &[&Plan], id: &RunId) -> RunRequest {
        let mut model: Arc<dyn Model> = ScriptedModel::new(self.script.iter().cloned()).shared();
        let mut write: Arc<dyn Tool> = Arc::<ScriptedTool>::clone(&self.write);
        for plan in plans {
            model = Faulty::new(model, plan);
            write = Faulty::new(write, plan);
        }
        RunRequest::new(model)
            .run_id(id.clone())
            .caller("someone")
            // One tool has no namesake.
            .tools(Toolbox::new([write]).unwrap_or_default())
            .delegate_to(EntryKind::Skill, "foo")
    }

    /// The run and its task, for whoever polls it.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn prepare(&self, plan: &Plan, id: &RunId) -> Result<(RunHandle, RunTask), String> {
        let prepared = self.executor(plan).prepare(self.request(plan, id));
        prepared.map_err(|error| error.to_string())
    }

    /// Waits until the dead are missed, then resumes what is kept until nothing is.
    pub async fn boot(&self) -> Vec<Settled> {
        let mut lives = Vec::new();
        for _ in 0..3 {
            tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
            let plan = &self.booted;
            let executor = self.executor(plan);
            for id in executor.resumable().await.unwrap_or_default() {
                let resumed = executor.resume(&id, |_| self.request(plan, &id)).await;
                if let Ok(run) = resumed {
                    lives.push(run.settled().await);
                }
            }
        }
        lives
    }

    /// The trail of a run.
    #[must_use]
    pub fn trail(&self, id: &RunId) -> Trail {
        self.audit.trail(id).unwrap_or_default()
    }

    /// What no run may do, however often it crashed: close or settle twice, keep a hold, deliver under
    /// another key or another end than was recorded, perform twice what counts, leave facts behind.
    #[must_use]
    pub fn judge(&self, id: &RunId, last: Option<&Settled>) -> Vec<String> {
        let mut broken = Vec::new();
        let trail = self.trail(id);
        if trail.closed.len() > 1 {
            broken.push(format!("closed {} times", trail.closed.len()));
        }
        if let Err(error) = replay(&trail.records)
            && !trail.records.is_empty()
        {
            broken.push(format!("the trail does not replay: {error:?}"));
        }
        let closed = trail.closed.first();
        if let (Some(closed), Some(last)) = (closed, last)
            && closed.status != last.outcome.status
            && last.failures.is_empty()
        {
            broken.push(format!("closed {}, settled {}", closed.status, last.outcome.status));
        }
        for hold in self.budget.holds() {
            broken.push(format!("{} is still held", hold.id));
        }
        let lives: BTreeSet<u32> = trail.starts.iter().map(|start| start.attempt).collect();
        let settled = lives.into_iter().filter_map(|attempt| {
            let hold = HoldId { run: id.clone(), attempt };
            self.budget.settled(&hold)
        });
        let settled: u64 = settled.map(|amounts| amounts.tokens).sum();
        let spent = self.budget.account("someone").spent.tokens;
        if settled > spent {
            broken.push(format!("{settled} tokens were settled, {spent} are spent"));
        }
        for parcel in self.delivery.parcels() {
            if parcel.spec.run_id != *id {
                broken.push(format!("delivered as {}", parcel.spec.run_id));
            }
            if closed.is_some_and(|closed| *closed != *parcel.outcome) {
                broken.push(format!("closed as {closed:?}, delivered as {:?}", parcel.outcome));
            }
        }
        let mut keys = self.write.keys();
        let calls = keys.len();
        keys.sort();
        keys.dedup();
        if keys.len() != calls {
            broken.push(format!("{calls} calls of {} keys that count once", keys.len()));
        }
        if !self.checkpointer.kept().is_empty() {
            broken.push("facts are kept of a run that nobody resumes".into());
        }
        broken
    }

    /// What holds of a run that never crashed, beside the rest: closed once with the status that its
    /// caller reads, settled once, delivered at most once.
    #[must_use]
    pub fn judge_whole(&self, plan: &Plan, id: &RunId, settled: &Settled) -> Vec<String> {
        let mut broken = self.judge(id, Some(settled));
        let trail = self.trail(id);
        if trail.closed.len() != 1 || trail.closed[0] != *settled.outcome {
            broken.push(format!("closed {:?}, settled {:?}", trail.closed, settled.outcome));
        }
        let closes = plan.count(Site::AuditClose);
        if closes != 1 {
            broken.push(format!("asked to close {closes} times"));
        }
        let (reserved, ends) =
            (plan.count(Site::Reserve), plan.count(Site::Settle) + plan.count(Site::Release));
        if ends != reserved {
            broken.push(format!("{reserved} reservations, {ends} ends of them"));
        }
        let delivered = self.delivery.parcels().len();
        if delivered > 1 {
            broken.push(format!("delivered {delivered} times"));
        }
        if settled.outcome.status == RunStatus::Ok {
            let spent = self.budget.account("someone").spent.tokens;
            let used = TOKENS * self.script.len() as u64;
            if spent != used {
                broken.push(format!("{used} tokens were used, {spent} are spent"));
            }
            if delivered != 1 {
                broken.push("not delivered".into());
            }
        }
        broken
    }
}

/// Does something under a paused clock. Panics that a plan or a script made are not shown.
///
/// # Panics
/// When no runtime can be built.
pub fn paused<T>(work: impl Future<Output = T>) -> T {
    quiet();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("no runtime to test in: {error}"));
    runtime.block_on(work)
}

/// From now on panics that a plan or a script made are not shown.
pub fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
            if !text.starts_with("planned panic") && !text.starts_with("the script says so") {
                tell(info);
            }
        }));
    });
}
