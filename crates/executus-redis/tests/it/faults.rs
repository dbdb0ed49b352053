//! Calls to a server that hangs, ends, or is cut off.

use std::time::Duration;

use executus_redis::{Config, Redis, RedisError, Script, redis};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer, Settings};
use tokio::time::Instant;

fn script() -> Script {
    Script::new("return redis.call('SADD', KEYS[1], ARGV[1])")
}

fn quick(url: &str) -> Config {
    Config::new(url).unwrap().with_deadline(Duration::from_millis(400))
}

#[tokio::test]
async fn a_paused_server_is_given_up_within_the_deadline_and_used_again() {
    let server = RedisServer::plain().await;
    let redis = Redis::connect(quick(&server.url())).await.unwrap();
    server.pause();
    let began = Instant::now();
    let error = redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap_err();
    assert!(matches!(&error, RedisError::Silent { .. }) && error.maybe_applied(), "{error:?}");
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    server.resume();
    redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap();
}

#[tokio::test]
async fn a_busy_server_is_refused_within_the_deadline() {
    let settings = Settings {
        more: vec![("busy-reply-threshold".into(), "20".into())],
        ..Settings::default()
    };
    let server = RedisServer::started(settings).await;
    let redis = Redis::connect(quick(&server.url())).await.unwrap();
    let other = Redis::connect(quick(&server.url())).await.unwrap();
    let endless = Script::new("while true do end");
    other.eval(&endless, &["{x}:s"], &[]).await.unwrap_err();
    let answer = redis.eval(&script(), &["{x}:s"], &[b"a"]).await;
    assert!(matches!(answer, Err(RedisError::Silent { .. })), "{answer:?}");
    // A busy server takes no new connection of ours: this one does not ask what it is.
    let client = redis::Client::open(server.url()).unwrap();
    let mut bare = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SCRIPT").arg("KILL").exec_async(&mut bare).await.unwrap();
    redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap();
}

#[tokio::test]
async fn a_lost_request_and_a_lost_answer_are_asked_again() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let redis = Redis::connect(Config::new(&proxy.url()).unwrap()).await.unwrap();
    for (fault, added) in [(Fault::LoseRequest, 1), (Fault::LoseAnswer, 0)] {
        proxy.set(fault);
        let member = format!("{fault:?}");
        let answer = redis.eval(&script(), &["{x}:s"], &[member.as_bytes()]).await.unwrap();
        // What was lost before it was applied is added by the second call, else by the first.
        assert_eq!(answer, redis::Value::Int(added), "{fault:?}");
        assert_eq!(proxy.fault(), Fault::None);
    }
}

#[tokio::test]
async fn a_server_that_starts_again_is_connected_to_again() {
    let settings = Settings { append_only: true, ..Settings::default() };
    let mut server = RedisServer::started(settings).await;
    let redis = Redis::connect(Config::new(&server.url()).unwrap()).await.unwrap();
    redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap();
    server.kill();
    let away = redis.eval(&script(), &["{x}:s"], &[b"b"]).await.unwrap_err();
    assert!(away.retry(), "{away:?}");
    server.restart().await.unwrap();
    let answer = redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap();
    assert_eq!(answer, redis::Value::Int(0), "what was acknowledged is still there");
}

#[tokio::test]
async fn a_partition_is_an_error_within_the_deadline() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let redis = Redis::connect(quick(&proxy.url())).await.unwrap();
    for fault in [Fault::Silent, Fault::Cut] {
        proxy.set(fault);
        let began = Instant::now();
        redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
        proxy.set(Fault::None);
        redis.eval(&script(), &["{x}:s"], &[b"a"]).await.unwrap();
    }
}
