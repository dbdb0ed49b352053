//! The guarantees of a palette.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::memory::MemoryBudget;
use executus_core::port::{Amounts, Budget, EntryKind, Palette, PaletteError, RunStart};
use executus_core::{Executor, Outcome, Reply, RunId, RunRequest, RunStatus};
use serde_json::Value;

use super::{given, guarantee};
use crate::faulty::{Faulty, Plan, Site};
use crate::sample;
use crate::scripted::{ScriptedCritic, ScriptedModel};

/// Entries of a palette to try.
#[async_trait]
pub trait PaletteProbe: Send + Sync {
    /// An agent whose run ends well, and arguments for it.
    async fn agent(&self) -> (Arc<str>, Value);

    /// An agent whose run never ends by itself, and arguments for it.
    async fn hanging(&self) -> (Arc<str>, Value);
}

/// Runs all guarantees of a palette. Delegating is done by runs of an executor of its own.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn palette(palette: &Arc<dyn Palette>, probe: &dyn PaletteProbe) {
    names_are_resolved(&**palette, probe).await;
    delegated_runs_are_children(palette, probe).await;
    children_end_with_their_parent(palette, probe).await;
    children_take_no_place(palette, probe).await;
}

/// P1: each name has its entry, or the missing one is named.
async fn names_are_resolved(palette: &dyn Palette, probe: &dyn PaletteProbe) {
    let start = sample::start(&RunId::random(), 1);
    let known = (EntryKind::Agent, probe.agent().await.0);
    let other = (EntryKind::Agent, probe.hanging().await.0);
    let unknown = (EntryKind::Agent, Arc::<str>::from("nobody-5f3a91c7"));
    let none = given("P1", "resolve of nothing", palette.resolve(&start, &[]).await);
    guarantee!("P1", none.is_empty(), "no names, and {none:?}");
    let names = [known.clone(), other];
    let entries = given("P1", "resolve", palette.resolve(&start, &names).await);
    let same = names
        .iter()
        .all(|(kind, name)| entries.iter().any(|entry| entry.kind == *kind && entry.name == *name));
    guarantee!("P1", same && entries.len() == 2, "resolved to {entries:?}");
    let missing = palette.resolve(&start, &[known, unknown]).await;
    let named = match &missing {
        Err(PaletteError::Unknown { name, .. }) => name == "nobody-5f3a91c7",
        _ => false,
    };
    guarantee!("P1", named, "a missing entry: {missing:?}");
}

struct Delegated {
    outcome: Arc<Outcome>,
    parent: RunStart,
    child: Option<RunStart>,
    executor: Executor,
}

/// Runs a model that delegates once; `cancel` stops it a second later.
async fn delegate(
    id: &str,
    palette: &Arc<dyn Palette>,
    agent: (Arc<str>, Value),
    budget: Option<Arc<dyn Budget>>,
    cancel: bool,
) -> Delegated {
    let critic = ScriptedCritic::new();
    let mut executor =
        Executor::builder().palette(Arc::clone(palette)).critic(Arc::new(critic.clone()));
    if let Some(budget) = budget {
        executor = executor.budget(budget);
    }
    let executor = executor.build();
    let (name, args) = agent;
    let lines = [Reply::call(format!("agent__{name}"), args), Reply::text("done")];
    let request = RunRequest::new(ScriptedModel::new(lines).shared())
        .caller("a caller")
        .channel("a channel")
        .delegate_to(EntryKind::Agent, name);
    let run = given(id, "start", executor.start(request));
    if cancel {
        tokio::time::sleep(Duration::from_secs(1)).await;
        run.cancel();
    }
    let settled = run.settled().await;
    let starts = critic.starts();
    let (parent, child): (Vec<_>, Vec<_>) =
        starts.into_iter().partition(|start| start.spec.run_id == *run.run_id());
    let Some(parent) = parent.into_iter().next() else {
        panic!("{id} cannot be shown: the run was not admitted: {:?}", settled.outcome);
    };
    let child = child.into_iter().next();
    Delegated { outcome: Arc::clone(&settled.outcome), parent, child, executor }
}

/// P2: a delegated run is a child: its parent's id, caller and channel, an earlier deadline.
async fn delegated_runs_are_children(palette: &Arc<dyn Palette>, probe: &dyn PaletteProbe) {
    let done = delegate("P2", palette, probe.agent().await, None, false).await;
    guarantee!("P2", done.outcome.status == RunStatus::Ok, "ended {:?}", done.outcome);
    let Some(child) = done.child else { panic!("P2 is violated: no child run began") };
    let (parent, child) = (&done.parent.spec, &child.spec);
    let theirs = child.parent_run_id.as_ref();
    guarantee!("P2", theirs == Some(&parent.run_id), "the child's parent is {theirs:?}");
    guarantee!("P2", child.depth == parent.depth + 1, "at depth {}", child.depth);
    guarantee!("P2", child.deadline < parent.deadline, "the deadlines are not nested");
    let same = child.caller_id == parent.caller_id && child.channel_id == parent.channel_id;
    guarantee!("P2", same, "caller or channel did not reach the child: {child:?}");
}

/// P2: a child ends with its parent.
async fn children_end_with_their_parent(palette: &Arc<dyn Palette>, probe: &dyn PaletteProbe) {
    let done = delegate("P2", palette, probe.hanging().await, None, true).await;
    guarantee!("P2", done.child.is_some(), "no child run began");
    guarantee!("P2", done.outcome.status == RunStatus::Cancelled, "ended {:?}", done.outcome);
    let active = done.executor.counts().active;
    // The parent's own task is about to end.
    tokio::task::yield_now().await;
    let left = done.executor.counts().active;
    guarantee!("P2", left == 0, "{active}, then {left} runs left after the parent settled");
}

/// P3: a child reserves no place of its own.
async fn children_take_no_place(palette: &Arc<dyn Palette>, probe: &dyn PaletteProbe) {
    let plan = Plan::new();
    let many = Amounts::MAX;
    let one = Amounts { tokens: many, runtime_ms: many, cost_micros: many, runs: 1 };
    let budget: Arc<dyn Budget> = Arc::new(MemoryBudget::new(one));
    let budget = Faulty::new(budget, &plan);
    let done = delegate("P3", palette, probe.agent().await, Some(budget), false).await;
    guarantee!("P3", done.outcome.status == RunStatus::Ok, "with one place: {:?}", done.outcome);
    let reserved = plan.count(Site::Reserve);
    guarantee!("P3", reserved == 1, "{reserved} reservations of a run and its child");
}
