//! Caps on a server that processes share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_budget_redis::{Config, RedisCaps};
use executus_core::caps::{Cap, CapAsk, CapLimits, Caps, CapsError};
use executus_core::{RunId, Timestamp};
use executus_testkit::conformance::{self, CapsProbe};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer};
use tokio::time::{Instant, sleep};

use crate::stage::quick;

struct View(RedisCaps);

#[async_trait]
impl CapsProbe for View {
    async fn key(&self, limits: CapLimits) -> Arc<str> {
        let key: Arc<str> = RunId::random().as_str().into();
        self.0.set_limits(&key, limits).await.unwrap();
        key
    }

    async fn now(&self) -> Timestamp {
        self.0.now().await.unwrap()
    }

    async fn advance(&self, by: Duration) {
        sleep(by).await;
    }

    fn is_paused(&self) -> bool {
        false
    }
}

const NOW: CapAsk = CapAsk { tokens: 0, patience: Duration::ZERO };
const PATIENT: CapAsk = CapAsk { tokens: 0, patience: Duration::from_secs(10) };

const fn at_once(limit: u64) -> CapLimits {
    CapLimits { at_once: Some(limit), requests_per_minute: None, tokens_per_minute: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_keep_what_they_promise() {
    let server = RedisServer::plain().await;
    let caps = RedisCaps::open(&Config::new(&server.url()).unwrap(), CapLimits::default());
    let view = View(caps.clone());
    let caps: Arc<dyn Caps> = Arc::new(caps);
    conformance::caps(&caps, &view).await;
}

#[tokio::test]
async fn a_cap_is_shared_and_the_dead_give_back() {
    let server = RedisServer::plain().await;
    let config = Config::new(&server.url()).unwrap().lease(Duration::from_millis(300));
    let key: Arc<str> = "provider".into();
    let (first, second) =
        (RedisCaps::open(&config, at_once(1)), RedisCaps::open(&config, at_once(1)));
    let held = first.acquire(&key, NOW).await.unwrap();
    sleep(Duration::from_millis(700)).await;
    let full = second.acquire(&key, NOW).await.unwrap_err();
    assert!(
        matches!(full, CapsError::Full { cap: Cap::AtOnce, limit: 1, .. }),
        "renewed: {full:?}"
    );
    // Nobody renews what a process that is gone held.
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let dying = RedisCaps::open(&quick(&proxy.url()).lease(Duration::from_millis(300)), at_once(1));
    drop(held);
    let lost = dying.acquire(&key, PATIENT).await.unwrap();
    proxy.set(Fault::Cut);
    let began = Instant::now();
    let _next = second.acquire(&key, PATIENT).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1300), "{:?}", began.elapsed());
    drop(lost);
}

#[tokio::test]
async fn a_lost_answer_is_one_permit() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let limits =
        CapLimits { requests_per_minute: Some(2), tokens_per_minute: Some(50), ..at_once(9) };
    let caps = RedisCaps::open(&Config::new(&proxy.url()).unwrap(), limits);
    let key: Arc<str> = "provider".into();
    let ask = CapAsk { tokens: 30, ..NOW };
    caps.now().await.unwrap();
    proxy.set(Fault::LoseAnswer);
    caps.acquire(&key, ask).await.unwrap().used(10);
    assert_eq!(proxy.fault(), Fault::None);
    // Counted once, and corrected to what was used.
    let second = caps.acquire(&key, CapAsk { tokens: 40, ..PATIENT }).await.unwrap();
    let full = caps.acquire(&key, NOW).await.unwrap_err();
    assert!(
        matches!(full, CapsError::Full { cap: Cap::Requests, limit: 2, again: Some(_), .. }),
        "{full:?}"
    );
    drop(second);
}

#[tokio::test]
async fn without_redis_nobody_goes_ahead() {
    let server = RedisServer::plain().await;
    let caps = RedisCaps::open(&quick(&server.url()), CapLimits::default());
    let key: Arc<str> = "provider".into();
    caps.acquire(&key, NOW).await.unwrap().used(1);
    server.pause();
    let began = Instant::now();
    let away = caps.acquire(&key, PATIENT).await.unwrap_err();
    assert!(matches!(away, CapsError::Unavailable { .. }), "{away:?}");
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    server.resume();
}
