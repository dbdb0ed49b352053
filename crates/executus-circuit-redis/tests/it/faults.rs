//! The server is down, stopped, empty or full: calls go on by what each process knows, and the
//! fleet learns of it once.

use std::time::Duration;

use executus_circuit::{Admission, CircuitStore, Outcome, State};
use executus_circuit_redis::{Config, RedisCircuits, RedisError};
use executus_redis::{Redis, redis};
use executus_testkit::redis::{RedisServer, Settings};
use tokio::time::{Instant, sleep, timeout};

use crate::stage::{
    PATIENCE, circuit, cool, fail, is_open, key, merged, open, owner, patient, policy, probe, seen,
    store, until,
};

async fn kept() -> RedisServer {
    RedisServer::started(Settings { append_only: true, ..Settings::default() }).await
}

/// CB-16: the server is killed and comes back with its data: what a process saw meanwhile is
/// merged, once, and holds for all.
#[tokio::test]
async fn a_server_that_is_back_is_told_once() {
    let mut server = kept().await;
    let (store, elsewhere) = (store(&server.url()), store(&server.url()));
    let (one, other) = (patient(&store), patient(&elsewhere));
    fail(&one).await;
    other.acquire().await.unwrap().neutral().await;
    server.kill();
    // Its own state: one failure that it saw, and two more.
    fail(&one).await;
    fail(&one).await;
    assert_eq!(one.snapshot().await.state, State::Open);
    assert_eq!(one.acquire().await.unwrap_err().state, State::Open);
    assert_eq!(other.snapshot().await.state, State::Closed, "it has seen no failure");
    server.restart().await.unwrap();
    until(&store, |seen| seen.state == State::Closed && seen.failure_count == 1).await;
    let told = async {
        while !is_open(&seen(&store).await) {
            let _ = one.acquire().await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    assert_eq!(seen(&store).await.failure_count, 3);
    // And from now on the store decides again.
    for _ in 0..5 {
        if let Ok(probe) = one.acquire().await {
            probe.neutral().await;
        }
        sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(merged(&store).await, 1, "told more than once");
    cool(&store).await;
    probe(&other).await.success().await;
    assert_eq!(seen(&store).await, executus_circuit::Snapshot::default());
}

/// CB-16: a server that hangs holds no call up, and what it was asked meanwhile takes no place when
/// it goes on.
#[tokio::test]
async fn a_server_that_hangs_blocks_nobody() {
    let server = RedisServer::plain().await;
    let (store, elsewhere) = (store(&server.url()), store(&server.url()));
    let (one, other) = (circuit(&store), circuit(&elsewhere));
    open(&one).await;
    cool(&store).await;
    server.pause();
    let start = Instant::now();
    // The server has the request and will grant it; nobody waits for the answer.
    let mine = one.acquire().await.unwrap();
    assert!(mine.is_probe(), "it probes by itself");
    assert!(one.acquire().await.unwrap_err().probing);
    assert!(start.elapsed() < Duration::from_secs(2), "waited for {:?}", start.elapsed());
    drop(mine);
    server.resume();
    // The default lease of the place would be a quarter of an hour.
    let probe = probe(&other).await;
    probe.success().await;
    until(&store, |seen| seen.state == State::Closed).await;
}

/// CB-16: a server that lost its data: circuits are closed, calls from before do not count, and all
/// goes on.
#[tokio::test]
async fn a_server_that_forgot_lets_pass() {
    let mut server = RedisServer::plain().await;
    let store = store(&server.url());
    let one = circuit(&store);
    let Admission::Admitted { ticket: late, .. } =
        store.admit(&key(), &policy(), &owner(), Duration::from_secs(9)).await.unwrap()
    else {
        panic!("a closed circuit refuses")
    };
    open(&one).await;
    server.restart().await.unwrap();
    until(&store, |seen| seen.state == State::Closed).await;
    let change = store.record(&key(), &policy(), &late, Outcome::Failure, 3).await.unwrap();
    assert!(!change.applied, "a call from before counts");
    let permit = one.acquire().await.unwrap();
    let change = store.record(&key(), &policy(), &late, Outcome::Failure, 3).await.unwrap();
    assert!(!change.applied, "a call from before counts in the new record");
    permit.failure().await;
    fail(&one).await;
    fail(&one).await;
    assert_eq!(seen(&store).await.state, State::Open);
}

/// S1: the server forgets the scripts, at every step of a circuit's way.
#[tokio::test]
async fn scripts_that_are_forgotten_are_sent_again() {
    let server = RedisServer::plain().await;
    let store = store(&server.url());
    let one = circuit(&store);
    let redis = Redis::new(Config::new(&server.url()).unwrap().server);
    let mut forget = redis::cmd("SCRIPT");
    forget.arg("FLUSH");
    for _ in 0..3 {
        redis.command(&forget).await.unwrap();
        let permit = one.acquire().await.unwrap();
        redis.command(&forget).await.unwrap();
        permit.failure().await;
    }
    assert_eq!(seen(&store).await.state, State::Open);
    cool(&store).await;
    redis.command(&forget).await.unwrap();
    probe(&one).await.success().await;
    redis.command(&forget).await.unwrap();
    assert_eq!(one.force_dormant().await.unwrap().state, State::Dormant);
}

/// A server without memory is one that is away; resetting a circuit works all the same.
#[tokio::test]
async fn a_full_server_fails_nobody() {
    let settings = Settings { max_memory: 3 << 20, ..Settings::default() };
    let server = RedisServer::started(settings).await;
    let store = store(&server.url());
    let one = circuit(&store);
    open(&one).await;
    let redis = Redis::new(Config::new(&server.url()).unwrap().server);
    let mut fill = redis::cmd("APPEND");
    fill.arg("ballast").arg(vec![b'x'; 64 * 1024]);
    while redis.command(&fill).await.is_ok() {}
    let other = executus_circuit::CircuitKey::transport("http://10.0.0.8:8080");
    let lease = Duration::from_secs(9);
    let refused = store.admit(&other, &policy(), &owner(), lease).await;
    assert!(refused.is_err(), "{refused:?}");
    one.reset().await.unwrap();
    assert_eq!(seen(&store).await.state, State::Closed);
    // By itself: closed, and open after three failures.
    open(&one).await;
    assert_eq!(one.acquire().await.unwrap_err().state, State::Open);
}

/// A server that may evict is refused: it would forget circuits without a word.
#[tokio::test]
async fn a_server_that_evicts_is_unfit() {
    let settings = Settings { policy: "allkeys-lru".into(), ..Settings::default() };
    let server = RedisServer::started(settings).await;
    let refused = RedisCircuits::connect(&Config::new(&server.url()).unwrap()).await;
    assert!(matches!(refused, Err(RedisError::Unfit { .. })), "{refused:?}");
    open(&circuit(&store(&server.url()))).await;
}

/// An idle circuit is forgotten, and its keys are gone.
#[tokio::test]
async fn an_idle_circuit_is_forgotten() {
    let server = RedisServer::plain().await;
    let config = Config::new(&server.url()).unwrap().idle(Duration::from_secs(1));
    let store = std::sync::Arc::new(RedisCircuits::new(&config));
    open(&circuit(&store)).await;
    assert!(store.stored(&key()).await.unwrap().is_some());
    // Its cooldown, and a second.
    let gone = async {
        while store.stored(&key()).await.unwrap().is_some() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(seen(&store).await.state, State::Closed);
}

/// A record of another version is left alone, and said; a reset is the way out.
#[tokio::test]
async fn a_record_of_another_version_is_not_touched() {
    let server = RedisServer::plain().await;
    let store = store(&server.url());
    let redis = Redis::new(Config::new(&server.url()).unwrap().server);
    for text in ["{\"version\":2}", "no record", "[]"] {
        let mut set = redis::cmd("SET");
        set.arg(format!("{{executus:circuit:{}}}:record", key())).arg(text);
        redis.command(&set).await.unwrap();
        let error = store.snapshot(&key()).await.unwrap_err().to_string();
        assert!(error.contains("reset the circuit"), "{error}");
        assert!(store.stored(&key()).await.is_err());
        store.reset(&key()).await.unwrap();
        assert_eq!(seen(&store).await.state, State::Closed);
    }
}
