//! A tree of agents: 1 + 5 + 25 + 125 runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_audit_sqlite::{AuditReader, Config, RunFilter, SqliteAudit};
use executus_core::memory::MemoryBudget;
use executus_core::port::{EntryKind, PaletteError};
use executus_core::{
    Executor, HoldId, Limits, Model, ModelError, Reply, RunRequest, RunStatus, Turn, Usage,
};
use executus_palette::{Agent, AgentCall, AgentEntry, LocalPalette, PaletteLimits};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

const WIDTH: usize = 5;
const RUNS: usize = 1 + 5 + 25 + 125;
const TOKENS: u64 = 7;

/// Asks the agents of the next level, five times; the last level spends and hangs.
struct Level {
    below: Option<usize>,
    arrived: Arc<Arrived>,
}

/// Counts the runs of the last level.
#[derive(Default)]
struct Arrived {
    count: AtomicUsize,
    all: Notify,
}

#[async_trait]
impl Model for Level {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let usage = Usage { output_tokens: TOKENS, ..Usage::default() };
        match self.below {
            Some(below) if turn.step() == 1 => {
                let call =
                    |reply: Reply, _| reply.and_call(format!("agent__level-{below}"), json!({}));
                Ok((0..WIDTH).fold(Reply::default(), call).using(usage))
            }
            // The last level spends one reply, then never answers.
            None if turn.step() == 1 => Ok(Reply::call("nothing", json!({})).using(usage)),
            _ => {
                let before = self.arrived.count.fetch_add(1, Ordering::SeqCst);
                if before + 1 == WIDTH.pow(3) {
                    self.arrived.all.notify_one();
                }
                std::future::pending().await
            }
        }
    }
}

struct Scripted(AgentEntry, Arc<dyn Model>);

#[async_trait]
impl Agent for Scripted {
    fn entry(&self) -> &AgentEntry {
        &self.0
    }

    async fn request(&self, _: &AgentCall<'_>) -> Result<RunRequest, PaletteError> {
        Ok(RunRequest::new(Arc::clone(&self.1)))
    }
}

/// PL-03, RK-10, RK-12: a cancel at the root of a tree of agents ends all within a second; every run
/// is in the audit with its parent and its end, and the budget holds exactly what they spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_of_agents_ends_together() {
    let arrived = Arc::<Arrived>::default();
    let model =
        |below| -> Arc<dyn Model> { Arc::new(Level { below, arrived: Arc::clone(&arrived) }) };
    let limits = PaletteLimits { max_depth: 3, max_children: 5, max_runs: 155 };
    let mut palette = LocalPalette::builder().limits(limits);
    for level in 1..=3 {
        let mut entry = AgentEntry::new(format!("level-{level}"), "Asks further down.");
        let below = (level < 3).then_some(level + 1);
        if let Some(below) = below {
            entry = entry.delegate_to(EntryKind::Agent, format!("level-{below}"));
        }
        palette = palette.agent(Arc::new(Scripted(entry, model(below))));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let audit = SqliteAudit::open(Config::new(&path)).unwrap();
    let budget = MemoryBudget::unlimited();
    let executor = Executor::builder()
        .palette(Arc::new(palette.build().unwrap()))
        .audit(Arc::new(audit.clone()))
        .budget(Arc::new(budget.clone()))
        .build();
    let request = RunRequest::new(model(Some(1)))
        .caller("someone")
        .limits(Limits::default())
        .delegate_to(EntryKind::Agent, "level-1");
    let root = executor.start(request).unwrap();
    tokio::time::timeout(Duration::from_secs(60), arrived.all.notified()).await.unwrap();
    assert_eq!(executor.counts().active, RUNS as u64);

    root.cancel();
    let asked = Instant::now();
    assert_eq!(root.outcome().await.status, RunStatus::Cancelled);
    let settled = root.settled().await;
    let took = asked.elapsed();
    assert!(settled.failures.is_empty(), "{:?}", settled.failures);
    assert!(took < Duration::from_secs(1), "the tree took {took:?} to end");

    let hold = HoldId { run: root.run_id().clone(), attempt: 1 };
    assert_eq!(budget.settled(&hold).unwrap().tokens, TOKENS * RUNS as u64);
    assert_eq!(budget.account("someone").spent.tokens, TOKENS * RUNS as u64);
    assert!(budget.holds().is_empty());
    let reader = AuditReader::open(&path).unwrap();
    let runs = reader.runs(&RunFilter::default()).unwrap();
    assert_eq!(runs.len(), RUNS);
    let known: HashSet<_> = runs.iter().map(|run| &run.run_id).collect();
    let mut levels = [0; 4];
    for run in &runs {
        assert!(run.closed && run.status == Some(RunStatus::Cancelled), "{run:?}");
        let is_below = run.parent_run_id.as_ref().is_some_and(|parent| known.contains(parent));
        assert_eq!(is_below, run.spec.depth > 0);
        levels[run.spec.depth as usize] += 1;
        assert_eq!(run.stats.unwrap().tally.tokens(), TOKENS);
    }
    assert_eq!(levels, [1, 5, 25, 125]);
}
