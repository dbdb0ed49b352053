//! Calls to a server that is there.

use executus_redis::{Config, Redis, RedisError, Script, redis};
use executus_testkit::redis::{RedisServer, Settings};

async fn connect(url: &str) -> Result<Redis, RedisError> {
    Redis::connect(Config::new(url).unwrap()).await
}

/// How often the server ran a command.
async fn count(redis: &Redis, command: &str) -> u64 {
    let info = redis.command(redis::cmd("INFO").arg("commandstats")).await.unwrap();
    let text: String = redis::from_redis_value(info).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn a_script_is_sent_once_and_again_after_a_flush() {
    let server = RedisServer::plain().await;
    let redis = connect(&server.url()).await.unwrap();
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for expected in 1..=3 {
        let answer = redis.eval(&script, &["{x}:n"], &[b"1"]).await.unwrap();
        assert_eq!(answer, redis::Value::Int(expected));
    }
    assert_eq!(count(&redis, "eval").await, 1);
    redis.command(redis::cmd("SCRIPT").arg("FLUSH")).await.unwrap();
    redis.eval(&script, &["{x}:n"], &[b"1"]).await.unwrap();
    redis.eval(&script, &["{x}:n"], &[b"1"]).await.unwrap();
    assert_eq!(count(&redis, "eval").await, 2, "evaluated once more, no more");
}

#[tokio::test]
async fn the_clock_is_the_servers() {
    let server = RedisServer::plain().await;
    let redis = connect(&server.url()).await.unwrap();
    let (first, second) = (redis.time().await.unwrap(), redis.time().await.unwrap());
    assert!(first.as_micros() > 1_600_000_000_000_000 && second >= first);
}

#[tokio::test]
async fn a_server_that_evicts_is_refused() {
    for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random"] {
        let settings = Settings { policy: policy.into(), ..Settings::default() };
        let server = RedisServer::started(settings).await;
        let error = connect(&server.url()).await.unwrap_err();
        assert!(matches!(&error, RedisError::Unfit { .. }), "{error:?}");
        assert!(error.to_string().contains(policy), "{error}");
        assert!(!error.retry());
    }
}

#[tokio::test]
async fn a_script_that_fails_is_refused_with_its_message() {
    let server = RedisServer::plain().await;
    let redis = connect(&server.url()).await.unwrap();
    // What it wrote before stays: scripts look at everything before they write.
    let script =
        Script::new("redis.call('SET', KEYS[1], 'written') return redis.call('INCR', KEYS[1])");
    let error = redis.eval(&script, &["{x}:k"], &[]).await.unwrap_err();
    assert!(matches!(&error, RedisError::Refused { .. }) && error.maybe_applied(), "{error:?}");
    let kept = redis.command(redis::cmd("GET").arg("{x}:k")).await.unwrap();
    assert_eq!(kept, redis::Value::BulkString(b"written".to_vec()));
}

#[tokio::test]
async fn no_memory_is_told_apart() {
    let server = RedisServer::started(Settings { max_memory: 1, ..Settings::default() }).await;
    let redis = connect(&server.url()).await.unwrap();
    let set = Script::new("return redis.call('SET', KEYS[1], 'x')");
    let error = redis.eval(&set, &["{x}:k"], &[]).await.unwrap_err();
    assert!(matches!(error, RedisError::OutOfMemory { .. }), "{error:?}");
    // After a write that frees, a script goes on.
    let removed =
        Script::new("redis.call('ZREM', KEYS[1], 'a') return redis.call('SET', KEYS[2], 'x')");
    redis.eval(&removed, &["{x}:z", "{x}:k"], &[]).await.unwrap();
}
