//! Caps in memory, and models under caps.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::caps::{CapAsk, CapLimits, Capped, Caps, MemoryCaps};
use executus_core::{
    Clock, Executor, Model, Ports, Reply, RunId, RunRequest, RunStatus, Timestamp, Usage,
};
use executus_testkit::conformance::{self, CapsProbe};
use executus_testkit::scripted::ScriptedModel;

struct View {
    caps: MemoryCaps,
    clock: Clock,
}

#[async_trait]
impl CapsProbe for View {
    async fn key(&self, limits: CapLimits) -> Arc<str> {
        let key: Arc<str> = RunId::random().as_str().into();
        self.caps.set_limits(Arc::clone(&key), limits);
        key
    }

    async fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    fn is_paused(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn caps_in_memory_conform() {
    let caps = MemoryCaps::new(CapLimits::default());
    let port: Arc<dyn Caps> = Arc::new(caps.clone());
    conformance::caps(&port, &View { caps, clock: Clock::system() }).await;
}

/// However the calls come, no minute sees more than its limit, and nobody waits for nothing.
#[tokio::test(start_paused = true)]
async fn no_minute_has_more_than_its_limit() {
    let limits = CapLimits { requests_per_minute: Some(10), ..CapLimits::default() };
    let caps = MemoryCaps::new(limits);
    let (key, began) = (Arc::<str>::from("provider"), Clock::system());
    let mut granted = Vec::new();
    for n in 0..60_u64 {
        let ask = CapAsk { tokens: 0, patience: Duration::from_secs(3600) };
        caps.acquire(&key, ask).await.unwrap().used(0);
        granted.push(began.now());
        tokio::time::advance(Duration::from_millis(n * 37 % 900)).await;
    }
    for pair in granted.windows(11) {
        let span = pair[10].since(pair[0]);
        assert!(span >= Duration::from_secs(60), "eleven within {span:?}");
    }
    let span = granted[59].since(granted[0]);
    assert!(span < Duration::from_secs(6 * 62), "{span:?} for sixty at ten a minute");
}

/// Keys that nobody uses any more are forgotten.
#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten() {
    let limits = CapLimits { requests_per_minute: Some(1), ..CapLimits::default() };
    let caps = MemoryCaps::new(limits);
    for n in 0..5000 {
        let key = format!("caller {n}").into();
        caps.acquire(&key, CapAsk::default()).await.unwrap().used(0);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(caps.keys() < 2048, "{} keys are kept", caps.keys());
}

fn request(model: Arc<dyn Model>, caller: &str) -> RunRequest {
    RunRequest::new(model).caller(caller)
}

fn answer(tokens: u64) -> Arc<dyn Model> {
    let usage = Usage { input_tokens: tokens, ..Usage::default() };
    ScriptedModel::new([Reply::text("done").using(usage)]).shared()
}

/// A model without a permit is not asked; one that waits gets its turn.
#[tokio::test(start_paused = true)]
async fn a_model_is_asked_under_its_caps() {
    let caps = MemoryCaps::new(CapLimits { at_once: Some(1), ..CapLimits::default() });
    let port: Arc<dyn Caps> = Arc::new(caps.clone());
    let executor = Executor::new(Ports::default());
    let (key, held) = (Arc::<str>::from("provider"), CapAsk::default());
    let permit = caps.acquire(&key, held).await.unwrap();

    let inner = ScriptedModel::answering("never");
    let inner = inner.shared();
    let capped = Capped::new(inner.clone(), Arc::clone(&port), "provider");
    let run = executor.start(request(Arc::new(capped), "anna")).unwrap();
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Error);
    let error = settled.outcome.error.as_ref().unwrap().to_string();
    assert!(error.contains("`provider` is at its cap: 1 at once"), "{error}");
    assert_eq!(inner.asked(), 0);

    let capped = Capped::new(answer(10), port, "provider").patience(Duration::from_secs(10));
    let run = executor.start(request(Arc::new(capped), "anna")).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(caps.waiting("provider"), 1);
    drop(permit);
    assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    assert_eq!((caps.at_once("provider"), caps.waiting("provider")), (0, 0));
}

/// What a call used takes the place of its estimate, for the provider and for the caller.
#[tokio::test(start_paused = true)]
async fn an_estimate_becomes_what_was_used() {
    let caps = MemoryCaps::new(CapLimits { tokens_per_minute: Some(100), ..CapLimits::default() });
    let port: Arc<dyn Caps> = Arc::new(caps.clone());
    let executor = Executor::new(Ports::default());
    for _ in 0..4 {
        let capped = Capped::new(answer(10), Arc::clone(&port), "provider").estimate(60);
        let capped = capped.per_caller("caller:");
        let run = executor.start(request(Arc::new(capped), "anna")).unwrap();
        assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    }
    for key in ["provider", "caller:anna"] {
        let key = Arc::<str>::from(key);
        let ask = |tokens| CapAsk { tokens, patience: Duration::ZERO };
        assert!(caps.acquire(&key, ask(61)).await.is_err(), "40 of 100 were used");
        assert!(caps.acquire(&key, ask(60)).await.is_ok());
    }
}

/// A run that is cancelled while it waits leaves the queue.
#[tokio::test(start_paused = true)]
async fn a_cancelled_run_leaves_the_queue() {
    let caps = MemoryCaps::new(CapLimits { at_once: Some(1), ..CapLimits::default() });
    let port: Arc<dyn Caps> = Arc::new(caps.clone());
    let _held = caps.acquire(&"provider".into(), CapAsk::default()).await.unwrap();
    let capped = Capped::new(answer(1), port, "provider").patience(Duration::from_secs(60));
    let run = Executor::new(Ports::default()).start(request(Arc::new(capped), "anna")).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(caps.waiting("provider"), 1);
    run.cancel();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Cancelled);
    assert_eq!(caps.waiting("provider"), 0);
}
