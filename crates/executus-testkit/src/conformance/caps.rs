//! What caps keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_core::Timestamp;
use executus_core::caps::{Cap, CapAsk, CapLimits, Caps, CapsError};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{given, guarantee};

/// Sets limits, and moves what the store keeps time by.
#[async_trait]
pub trait CapsProbe: Send + Sync {
    /// A key that nobody used before, with these limits.
    async fn key(&self, limits: CapLimits) -> Arc<str>;

    /// The store's own clock.
    async fn now(&self) -> Timestamp;

    /// Returns when the store's clock has moved on by this much, or a little more.
    async fn advance(&self, by: Duration);

    /// Whether a minute costs nothing: with a paused clock. Otherwise none is waited for.
    fn is_paused(&self) -> bool;
}

/// Runs everything that caps keep.
///
/// # Panics
/// With what is not kept first.
pub async fn caps(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    never_more_at_once(caps, probe).await;
    served_in_order(caps, probe).await;
    patience_ends(caps, probe).await;
    a_dropped_call_leaves_the_queue(caps, probe).await;
    requests_a_minute(caps, probe).await;
    tokens_are_corrected(caps, probe).await;
}

const REFUSED: CapAsk = CapAsk { tokens: 0, patience: Duration::ZERO };
const PATIENT: CapAsk = CapAsk { tokens: 0, patience: Duration::from_secs(20) };
/// Long enough for a call to have reached its store.
const A_MOMENT: Duration = Duration::from_millis(50);

const fn at_once(limit: u64) -> CapLimits {
    CapLimits { at_once: Some(limit), requests_per_minute: None, tokens_per_minute: None }
}

async fn never_more_at_once(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    let key = probe.key(at_once(3)).await;
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let (caps, key, now, most) =
            (Arc::clone(caps), Arc::clone(&key), Arc::clone(&now), Arc::clone(&most));
        tasks.spawn(async move {
            let permit = given("caps", "a patient acquire", caps.acquire(&key, PATIENT).await);
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        });
    }
    while let Some(done) = tasks.join_next().await {
        given("caps", "an asker", done);
    }
    let most = most.load(Ordering::SeqCst);
    guarantee!("at once", most <= 3, "{most} permits of 3 at once");

    let key = probe.key(at_once(1)).await;
    let held = given("caps", "acquire", caps.acquire(&key, REFUSED).await);
    let refused = caps.acquire(&key, REFUSED).await;
    let full = matches!(&refused, Err(CapsError::Full { cap: Cap::AtOnce, limit: 1, .. }));
    guarantee!("at once", full, "a second of one: {refused:?}");
    drop(held);
    given("caps", "acquire of what came back", caps.acquire(&key, PATIENT).await).used(0);
}

async fn served_in_order(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    let key = probe.key(at_once(1)).await;
    let held = given("caps", "acquire", caps.acquire(&key, REFUSED).await);
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for n in 0..5 {
        let (caps, key, served) = (Arc::clone(caps), Arc::clone(&key), Arc::clone(&served));
        tasks.spawn(async move {
            let permit = given("caps", "a patient acquire", caps.acquire(&key, PATIENT).await);
            served.lock().push(n);
            drop(permit);
        });
        probe.advance(A_MOMENT).await;
    }
    drop(held);
    while let Some(done) = tasks.join_next().await {
        given("caps", "an asker", done);
    }
    let served = served.lock().clone();
    guarantee!("order", served == [0, 1, 2, 3, 4], "served in the order {served:?}");
}

async fn patience_ends(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    let key = probe.key(at_once(1)).await;
    let held = given("caps", "acquire", caps.acquire(&key, REFUSED).await);
    let ask = CapAsk { tokens: 0, patience: Duration::from_millis(200) };
    let began = probe.now().await;
    let refused = caps.acquire(&key, ask).await;
    let waited = probe.now().await.since(began);
    guarantee!("patience", refused.is_err(), "granted while another holds the only place");
    guarantee!("patience", waited >= Duration::from_millis(190), "refused after {waited:?}");
    guarantee!("patience", waited < Duration::from_secs(5), "waited for {waited:?}");
    drop(held);
    given("caps", "acquire after it", caps.acquire(&key, PATIENT).await).used(0);
}

async fn a_dropped_call_leaves_the_queue(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    let key = probe.key(at_once(1)).await;
    let held = given("caps", "acquire", caps.acquire(&key, REFUSED).await);
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let (caps, key) = (Arc::clone(caps), Arc::clone(&key));
        tasks.spawn(async move { caps.acquire(&key, PATIENT).await });
        probe.advance(A_MOMENT).await;
    }
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    drop(held);
    given("caps", "acquire behind dropped ones", caps.acquire(&key, PATIENT).await).used(0);
}

async fn requests_a_minute(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    let limits = CapLimits { requests_per_minute: Some(3), ..CapLimits::default() };
    let key = probe.key(limits).await;
    let began = probe.now().await;
    for _ in 0..3 {
        given("caps", "acquire", caps.acquire(&key, REFUSED).await).used(0);
    }
    let refused = caps.acquire(&key, REFUSED).await;
    let Err(CapsError::Full { cap: Cap::Requests, limit: 3, again: Some(again), .. }) = &refused
    else {
        panic!("requests is violated: a fourth of three in a minute: {refused:?}");
    };
    let wait = again.since(began);
    guarantee!("requests", wait >= Duration::from_secs(59), "again after {wait:?} already");
    guarantee!("requests", wait <= Duration::from_secs(65), "again only after {wait:?}");
    if probe.is_paused() {
        let ask = CapAsk { patience: Duration::from_secs(62), ..REFUSED };
        given("caps", "acquire in the next minute", caps.acquire(&key, ask).await).used(0);
        let waited = probe.now().await.since(began);
        guarantee!("requests", waited >= Duration::from_secs(60), "granted after {waited:?}");
    }
}

async fn tokens_are_corrected(caps: &Arc<dyn Caps>, probe: &dyn CapsProbe) {
    let limits = CapLimits { tokens_per_minute: Some(100), ..CapLimits::default() };
    let key = probe.key(limits).await;
    let ask = |tokens| CapAsk { tokens, ..PATIENT };
    let first = given("caps", "acquire", caps.acquire(&key, ask(80)).await);
    let refused = caps.acquire(&key, CapAsk { tokens: 30, ..REFUSED }).await;
    let full = matches!(&refused, Err(CapsError::Full { cap: Cap::Tokens, limit: 100, .. }));
    guarantee!("tokens", full, "30 with 20 left: {refused:?}");
    first.used(10);
    let second = given("caps", "acquire of what was not used", caps.acquire(&key, ask(90)).await);
    // More than its estimate: what was used was used.
    second.used(95);
    probe.advance(A_MOMENT).await;
    let refused = caps.acquire(&key, CapAsk { tokens: 1, ..REFUSED }).await;
    guarantee!("tokens", refused.is_err(), "105 of 100 used, and 1 more granted");
    let never = caps.acquire(&key, ask(101)).await;
    let never = matches!(never, Err(CapsError::Full { again: None, .. }));
    guarantee!("tokens", never, "what never fits is waited for");
}
