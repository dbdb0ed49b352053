//! What a record holds, and how records are kept.

use std::time::Duration;

use executus_capability::kernel::Invocation;
use executus_capability::record::{
    ActionError, ActionKind, ActionLog, ActionLogError, ActionQuery, ActionRecord, Counts,
    MemoryActions,
};
use executus_capability::token::Grant;
use executus_capability::{Capability, CapabilityId, Mode, Safety};
use executus_core::secret::Secret;
use executus_core::{RunId, Timestamp};
use serde_json::{Value, json};

use crate::support::{Act, Fault, Scripted, Setup, ann};

fn record(id: &str, second: i64) -> ActionRecord {
    ActionRecord {
        action_id: id.into(),
        kind: ActionKind::Invoke,
        at: Timestamp::from_micros(second * 1_000_000),
        duration_ms: 1,
        principal_id: "ann".into(),
        capability_id: "a.b".into(),
        token_id: None,
        run_id: None,
        driver_id: String::new(),
        mode: None,
        args: Value::Null,
        counts: Counts::default(),
        error: None,
    }
}

async fn ids(log: &dyn ActionLog, query: ActionQuery) -> Vec<String> {
    let found = log.query(&query).await.unwrap();
    found.into_iter().map(|record| record.action_id).collect()
}

/// AR-02
#[tokio::test(start_paused = true)]
async fn a_failure_is_recorded_under_the_mode_that_was_used() {
    for (held, expected) in [(0, Mode::Raw), (600, Mode::Table), (980, Mode::HandleOnly)] {
        let scene = Setup::new([Scripted::failing("a", "no")]).budget(1_000, 10).build();
        let _held = scene.budget.as_ref().unwrap().reserve(held).unwrap();
        scene.kernel.invoke(scene.as_admin().mode(Mode::Raw)).await.unwrap_err();
        let record = scene.record().await;
        assert_eq!((record.mode, record.error.is_some()), (Some(expected), true));
    }
    let scene = Setup::new([Scripted::new("a", Act::Hang)]).build();
    let invoke = scene.kernel.invoke(scene.invocation().mode(Mode::Raw));
    assert!(tokio::time::timeout(Duration::from_secs(1), invoke).await.is_err());
    assert_eq!(scene.record().await.mode, Some(Mode::Summary));
}

/// AR-03
#[tokio::test(start_paused = true)]
async fn arguments_are_recorded_without_what_is_sensitive() {
    let named = CapabilityId::new("memory.write").unwrap();
    let capability = Capability::new(named.clone(), Safety::Write, "Remembers.");
    let secrets = [("key".to_owned(), Secret::new("hunter2-hunter2"))];
    let args = json!({
        "content": "what is remembered", "key": "k", "password": "x",
        "note": "by hunter2-hunter2", "deep": {"text": "remembered", "api_key": "y"},
    });
    let setup = Setup::new([Scripted::failing("a", "hunter2-hunter2 is wrong, token=abcdefgh12")]);
    let scene = setup.capability(capability).build();
    let token = scene.authority.issue(Grant::new(&ann(), &named)).unwrap();
    let mut invocation = Invocation::new(token, ann()).args(args.as_object().unwrap().clone());
    invocation.secrets = secrets.into_iter().collect();
    let error = scene.kernel.invoke(invocation).await.unwrap_err();
    assert_eq!(*scene.driver("a").calls()[0].args, *args.as_object().unwrap());
    let record = scene.record().await;
    let hidden = "[redacted]";
    assert_eq!(
        record.args,
        json!({
            "content": hidden, "key": "k", "password": hidden, "note": "by [redacted]",
            "deep": {"text": hidden, "api_key": hidden},
        })
    );
    for text in [error.to_string(), serde_json::to_string(&record).unwrap()] {
        assert!(!text.contains("hunter2") && !text.contains("abcdefgh12"), "{text}");
    }
}

/// AR-03: what a panic says is scrubbed too, and bounded.
#[tokio::test(start_paused = true)]
async fn what_a_panic_says_is_scrubbed_and_bounded() {
    let said = format!("password=hunter2hunter2 {}", "x".repeat(100_000));
    let said = Box::leak(said.into_boxed_str());
    let scene = Setup::new([Scripted::new("a", Act::Panic(said))]).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    let record = scene.record().await;
    for text in [error.to_string(), record.error.unwrap().message] {
        assert!(text.contains("planned panic") && !text.contains("hunter2"), "{text}");
        assert!(text.len() < 5_000, "{}", text.len());
    }
}

/// AR-08
#[tokio::test]
async fn a_full_log_drops_its_oldest_and_counts() {
    assert_eq!(MemoryActions::CAPACITY, 10_000);
    let log = MemoryActions::with_capacity(3);
    for n in 0..5 {
        log.record(&record(&format!("{n}"), 10 - n)).await.unwrap();
    }
    // The oldest one is the one that was written first, whatever its time.
    assert_eq!(ids(&log, ActionQuery::default()).await, ["4", "3", "2"]);
    assert_eq!((log.len(), log.dropped()), (3, 2));
    assert_eq!(log.get("0").await, Ok(None));
    // An id that is gone may come again.
    log.record(&record("0", 0)).await.unwrap();
    assert_eq!(log.dropped(), 3);
}

/// AR-09
#[tokio::test]
async fn queries_are_ordered_and_bounded_and_pages_are_checked() {
    let log = MemoryActions::default();
    for (id, second) in [("d", 3), ("b", 2), ("a", 2), ("c", 1), ("e", 4)] {
        log.record(&record(id, second)).await.unwrap();
    }
    let other = ActionRecord { principal_id: "bob".into(), ..record("f", 2) };
    log.record(&other).await.unwrap();
    let at = |second: i64| Some(Timestamp::from_micros(second * 1_000_000));
    let all = ActionQuery::default;
    assert_eq!(ids(&log, all()).await, ["c", "a", "b", "f", "d", "e"]);
    let between = ActionQuery { since: at(2), until: at(3), ..all() };
    assert_eq!(ids(&log, between.clone()).await, ["a", "b", "f"]);
    let page = ActionQuery { offset: 1, limit: Some(1), ..between.clone() };
    assert_eq!(ids(&log, page).await, ["b"]);
    let of_bob = ActionQuery { principal_id: Some("bob".into()), ..all() };
    assert_eq!(ids(&log, of_bob).await, ["f"]);
    assert!(ids(&log, ActionQuery { limit: Some(0), ..all() }).await.is_empty());
    assert!(ids(&log, ActionQuery { offset: 100, ..all() }).await.is_empty());
    let of_run = ActionQuery { run_id: Some(RunId::random()), ..all() };
    assert!(ids(&log, of_run).await.is_empty());
    for (query, named) in [
        (ActionQuery { offset: -1, ..all() }, "offset"),
        (ActionQuery { limit: Some(-1), ..all() }, "limit"),
    ] {
        let refused = log.query(&query).await.unwrap_err();
        assert!(matches!(&refused, ActionLogError::Query { field, .. } if *field == named));
    }
}

/// A1, A2, A3
#[tokio::test]
async fn the_log_in_memory_keeps_its_contract() {
    let log = MemoryActions::default();
    let whole = ActionRecord {
        token_id: Some("t".into()),
        run_id: Some(RunId::random()),
        mode: Some(Mode::Table),
        args: json!({"a": [1]}),
        error: Some(ActionError { code: "driver".into(), message: "no".into() }),
        ..record("x", 1)
    };
    log.record(&whole).await.unwrap();
    assert_eq!(log.get("x").await, Ok(Some(whole.clone())));
    assert_eq!(log.get("y").await, Ok(None));
    let second = log.record(&record("x", 2)).await.unwrap_err();
    assert_eq!(second, ActionLogError::Duplicate { action_id: "x".into() });
    assert_eq!(log.get("x").await, Ok(Some(whole.clone())));
    assert_eq!(ids(&log, ActionQuery::default()).await, ["x"]);
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<ActionRecord>(&text).unwrap(), whole);
}

/// A2: a call that a run repeats after a crash has a record of its own.
#[tokio::test(start_paused = true)]
async fn a_repeated_action_gets_a_number() {
    let scene = Setup::good().build();
    for expected in ["run/1/0", "run/1/0~2", "run/1/0~3"] {
        let frame = scene.kernel.invoke(scene.invocation().action_id("run/1/0")).await.unwrap();
        assert_eq!(frame.action_id, expected);
        let key = scene.driver("a").calls().pop().unwrap().idempotency_key;
        assert_eq!(&*key, "run/1/0");
        assert!(scene.kernel.explain(expected).await.unwrap().is_some());
    }
}

/// A2: two at the same time under one id have two records.
#[tokio::test(start_paused = true)]
async fn the_same_id_twice_at_once_is_two_records() {
    let slow = Scripted::new("a", Act::Slow(Duration::from_secs(1), json!([])));
    let scene = Setup::new([slow]).build();
    let one = || scene.kernel.invoke(scene.invocation().action_id("x"));
    let (first, second) = tokio::join!(one(), one());
    let mut found = [first.unwrap().action_id, second.unwrap().action_id];
    found.sort();
    assert_eq!(found, ["x", "x~2"]);
    assert_eq!(scene.records(ActionKind::Invoke).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_says_so_in_time() {
    let scene = Setup::good().build();
    for fault in [Fault::Error, Fault::Panic, Fault::Hang] {
        scene.faults.set("get", fault);
        scene.faults.set("query", fault);
        assert!(scene.kernel.explain("x").await.is_err());
        assert!(scene.kernel.actions(&ActionQuery::default()).await.is_err());
    }
    // An invocation that must know its id is not performed, since it could not be recorded.
    scene.kernel.invoke(scene.invocation().action_id("x")).await.unwrap_err();
    assert_eq!(scene.record().await.error.unwrap().code, "unrecorded");
    assert!(scene.driver("a").calls().is_empty());
    scene.kernel.invoke(scene.invocation()).await.unwrap();
}
