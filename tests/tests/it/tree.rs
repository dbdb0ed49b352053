//! Runs made of runs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::memory::MemoryBudget;
use executus_core::port::{Audit, Budget};
use executus_core::{
    Effect, Executor, HoldId, Model, Ports, Reply, RunId, RunRequest, RunStatus, Tool, ToolContext,
    ToolError, ToolOutput, ToolSpec, Toolbox, Usage,
};
use executus_testkit::faulty::{Fault, Faulty, Plan, Site};
use executus_testkit::scripted::{Say, ScriptedModel};
use executus_tests::soak::ledger::Ledger;
use executus_tests::soak::routed::Routes;
use executus_tests::soak::stage::paused;
use parking_lot::Mutex;
use serde_json::{Value, json};

const WIDTH: u32 = 3;
const DEPTH: u32 = 3;
const TOKENS: u64 = 7;

/// Delegates to a run that delegates in turn, down to the leaves, which never end by themselves.
struct Delegate {
    spec: ToolSpec,
    begun: Arc<Mutex<Vec<RunId>>>,
}

fn request(below: u32, begun: &Arc<Mutex<Vec<RunId>>>) -> RunRequest {
    let usage = Usage { output_tokens: TOKENS, ..Usage::default() };
    let calls = match below {
        // A leaf spends too, before it hangs.
        0 => Reply::call("nothing", json!({})),
        _ => (0..WIDTH).fold(Reply::default(), |reply, _| {
            reply.and_call("delegate", json!({"below": below - 1}))
        }),
    };
    let model: Arc<dyn Model> =
        ScriptedModel::new([Say::Reply(calls.using(usage)), Say::Hang]).shared();
    let spec = ToolSpec::new("delegate", "Starts a run.").effect(Effect::Idempotent);
    let delegate = Delegate { spec, begun: Arc::clone(begun) };
    let tools = Toolbox::new([Arc::new(delegate) as Arc<dyn Tool>]).unwrap();
    RunRequest::new(model).tools(tools).caller("someone")
}

#[async_trait]
impl Tool for Delegate {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let below = args["below"].as_u64().unwrap_or(0) as u32;
        let run = context.delegate(request(below, &self.begun)).unwrap();
        self.begun.lock().push(run.run_id().clone());
        let outcome = run.outcome().await;
        Ok(ToolOutput::text(outcome.status.as_str()))
    }
}

/// RK-08, RK-10, RK-12: a cancel at the root ends every run of the tree, each is recorded once, and
/// all that they spent is on the root's hold.
#[test]
fn a_cancel_at_the_root_ends_the_tree() {
    paused(async {
        let (ledger, budget, plan) = (Ledger::default(), MemoryBudget::unlimited(), Plan::new());
        let audit: Arc<dyn Audit> = Arc::new(ledger.clone());
        // Children take their time to close: a root that does not wait for them is seen.
        let late = Plan::new().always(Site::AuditClose, Fault::Late(Duration::from_millis(20)));
        let late: Arc<dyn Audit> = Faulty::new(Arc::clone(&audit), &late);
        let routes = Routes::new(Ports { audit: Some(late), ..Ports::default() });
        let id = RunId::random();
        routes.send(&id, Ports { audit: Some(audit), ..Ports::default() });
        let counted: Arc<dyn Budget> = Arc::new(budget.clone());
        let executor =
            Executor::builder().audit(Arc::new(routes)).budget(Faulty::new(counted, &plan)).build();
        let begun = Arc::default();
        let root = executor.start(request(DEPTH, &begun).run_id(id)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let runs: u64 = (0..=DEPTH).map(|level| u64::from(WIDTH.pow(level))).sum();
        assert_eq!(executor.counts().active, runs);

        root.cancel();
        let asked = tokio::time::Instant::now();
        assert_eq!(root.outcome().await.status, RunStatus::Cancelled);
        assert!(asked.elapsed() <= Duration::from_millis(50));
        let settled = root.settled().await;
        assert!(settled.failures.is_empty(), "{:?}", settled.failures);
        assert_eq!(executor.counts().active, 0, "the root settled before its children");

        let mut all = begun.lock().clone();
        all.push(root.run_id().clone());
        assert_eq!((all.len() as u64, ledger.begun() as u64), (runs, runs));
        for run in &all {
            assert_eq!(ledger.closes(run), [RunStatus::Cancelled], "{run}");
        }
        // One hold for all of them, with all that they spent on it.
        assert_eq!((plan.count(Site::Reserve), plan.count(Site::Settle)), (1, 1));
        assert_eq!(plan.count(Site::Release), 0);
        let hold = HoldId { run: root.run_id().clone(), attempt: 1 };
        assert_eq!(budget.settled(&hold).unwrap().tokens, TOKENS * runs);
        assert_eq!(budget.account("someone").spent.tokens, TOKENS * runs);
        assert!(budget.holds().is_empty());
    });
}

/// RK-12: a root whose handle is dropped takes its tree along.
#[test]
fn a_dropped_root_ends_the_tree() {
    paused(async {
        let ledger = Ledger::default();
        let executor = Executor::builder().audit(Arc::new(ledger.clone())).build();
        let begun = Arc::default();
        let root = executor.start(request(DEPTH, &begun)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let observer = root.observe();
        drop(root);
        observer.settled().await;
        assert_eq!(executor.counts().active, 0);
        for run in begun.lock().iter() {
            assert_eq!(ledger.closes(run), [RunStatus::Cancelled], "{run}");
        }
    });
}
