//! How long an attempt may take.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::kernel::{InvokeError, KernelLimits, Stage, StageError};
use executus_capability::{Constraints, DriverError};
use executus_core::Clock;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Act, Fault, Piece, Scripted, Setup, rows};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn slow(id: &str, seconds: u64) -> Scripted {
    Scripted::new(id, Act::Slow(secs(seconds), rows(1)))
}

/// DL-01
#[tokio::test(start_paused = true)]
async fn without_a_limit_of_the_token_the_kernel_bounds_the_attempt() {
    let scene = Setup::new([slow("a", 59)]).build();
    scene.kernel.invoke(scene.invocation()).await.unwrap();
    let scene = Setup::new([slow("a", 61)]).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert!(error.to_string().contains("within 60 s"), "{error}");
    // The run's end bounds it too.
    let scene = Setup::new([slow("a", 30)]).build();
    let at = scene.kernel.clock().now().after(secs(20));
    let began = scene.kernel.clock().now();
    scene.kernel.invoke(scene.invocation().deadline(at)).await.unwrap_err();
    assert_eq!(scene.kernel.clock().now().since(began), secs(20));
}

/// DL-02
#[tokio::test(start_paused = true)]
async fn whole_and_broken_seconds_are_limits() {
    for (limit, expected) in [(json!(5), secs(5)), (json!(0.25), Duration::from_millis(250))] {
        let scene = Setup::new([Scripted::new("a", Act::Hang)]).build();
        let began = scene.kernel.clock().now();
        scene.kernel.invoke(scene.limited(limit)).await.unwrap_err();
        assert_eq!(scene.kernel.clock().now().since(began), expected);
    }
    // No token makes an attempt longer than the kernel has it.
    let limits = KernelLimits { attempt: secs(2), ..KernelLimits::default() };
    let scene = Setup::new([Scripted::new("a", Act::Hang)]).with(move |b| b.limits(limits)).build();
    let began = scene.kernel.clock().now();
    scene.kernel.invoke(scene.limited(5)).await.unwrap_err();
    assert_eq!(scene.kernel.clock().now().since(began), secs(2));
}

fn meaningless() -> Vec<Value> {
    vec![json!(0), json!(-1), json!("5"), json!(true), json!([5]), json!(1e300), json!(86_401)]
}

/// DL-03, DL-04
#[tokio::test(start_paused = true)]
async fn a_limit_that_means_nothing_is_refused_before_anything_is_done() {
    for limit in meaningless() {
        let scene = Setup::good().budget(1_000, 200).build();
        let error = scene.kernel.invoke(scene.limited(limit.clone())).await.unwrap_err();
        let InvokeError::Driver { error: DriverError::Constraint(why), driver_id, .. } = &error
        else {
            panic!("{limit}: {error:?}");
        };
        assert_eq!((why.field, driver_id.as_str()), ("invoke_timeout_s", ""));
        assert!(error.to_string().contains("invoke_timeout_s"), "{error}");
        assert!(scene.driver("a").calls().is_empty());
        assert_eq!(scene.budget.as_ref().unwrap().state().reservations, 0);
        let record = scene.record().await;
        assert_eq!(record.error.unwrap().code, "invalid_constraint");
        assert_eq!((record.driver_id.as_str(), scene.stats().invocations_refused), ("", 1));
    }
}

/// DL-03: the other constraints that mean nothing are refused as early.
#[tokio::test(start_paused = true)]
async fn any_constraint_that_means_nothing_is_refused_before_anything_is_done() {
    for (name, value) in
        [("max_rows", json!(-1)), ("allowed_fields", json!("id")), ("scope", json!({"a": []}))]
    {
        let scene = Setup::good().budget(1_000, 200).build();
        let constraints = Constraints::default().with(name, value);
        let error = scene.kernel.invoke(scene.constrained(constraints)).await.unwrap_err();
        assert!(
            error.code() == "invalid_constraint" && error.to_string().contains(name),
            "{error}"
        );
        assert!(scene.driver("a").calls().is_empty());
        scene.assert_settled(1_000);
    }
}

/// DL-06
#[tokio::test(start_paused = true)]
async fn a_slow_driver_is_a_failed_attempt_and_the_next_one_is_tried() {
    let scene = Setup::new([slow("a", 10), slow("b", 1)]).build();
    let frame = scene.kernel.invoke(scene.limited(5)).await.unwrap();
    assert!(frame.is_final);
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("b", 1));
    assert_eq!(record.duration_ms, 6_000);

    let scene = Setup::new([slow("a", 10)]).build();
    let error = scene.kernel.invoke(scene.limited(2.5)).await.unwrap_err().to_string();
    for named in ["`a`", "2.5 s", "`tickets.list`"] {
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(scene.driver("a").alive(), 0);
}

/// DL-07
#[tokio::test(start_paused = true)]
async fn every_attempt_gets_the_smaller_one_of_limit_and_time_left() {
    let hang = |id| Scripted::new(id, Act::Hang);
    let scene = Setup::new([hang("a"), hang("b"), hang("c"), hang("d")]).build();
    let began = scene.kernel.clock().now();
    let until = began.after(secs(12));
    let error = scene.kernel.invoke(scene.limited(5).deadline(until)).await.unwrap_err();
    assert_eq!(scene.kernel.clock().now(), until);
    // 5 s, 5 s, and the 2 s that were left; nothing was left for the last one.
    assert!(error.to_string().contains("`c` gave no result"), "{error}");
    let deadlines: Vec<_> = ["a", "b", "c", "d"]
        .map(|id| scene.driver(id).calls().first().map(|call| call.deadline.since(began)))
        .into();
    assert_eq!(deadlines, [Some(secs(5)), Some(secs(10)), Some(secs(12)), None]);
    assert_eq!(scene.record().await.driver_id, "c");
}

/// DL-07: when nothing is left before the first attempt, none starts, and nothing is reserved.
#[tokio::test(start_paused = true)]
async fn with_no_time_left_nothing_is_done() {
    let scene = Setup::good().budget(1_000, 200).build();
    let at = scene.kernel.clock().now();
    let error = scene.kernel.invoke(scene.invocation().deadline(at)).await.unwrap_err();
    assert_eq!(error, InvokeError::Deadline { at });
    assert!(scene.driver("a").calls().is_empty());
    assert_eq!(scene.record().await.error.unwrap().code, "deadline");
    assert_eq!(scene.budget.as_ref().unwrap().state().reservations, 0);
}

/// DL-08
#[tokio::test(start_paused = true)]
async fn a_drivers_own_timeout_claims_no_seconds() {
    let error = DriverError::Timeout { message: "no answer from the peer".into() };
    let scene = Setup::new([Scripted::new("a", Act::Fail(error))]).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("timed out") && !text.contains(|c: char| c.is_ascii_digit()), "{text}");
    assert!(error.retry());
}

/// DL-09
#[tokio::test(start_paused = true)]
async fn a_limit_that_was_edited_breaks_the_signature() {
    let scene = Setup::good().build();
    let mut token = scene.limited(5).token.as_ref().clone();
    token.constraints = token.constraints.with("invoke_timeout_s", 50);
    let mut invocation = scene.invocation();
    invocation.token = Arc::new(token);
    let error = scene.kernel.invoke(invocation).await.unwrap_err();
    assert_eq!(error.code(), "token_signature");
    assert!(scene.driver("a").calls().is_empty());
}

/// DL-10
#[tokio::test(start_paused = true)]
async fn a_gap_that_is_too_long_ends_a_stream_and_its_length_does_not() {
    let pieces = |gap, last| {
        let mut pieces: Vec<_> = (0..20).map(|n| Piece::After(gap, json!([{"id": n}]))).collect();
        pieces.push(last);
        pieces
    };
    let done = Piece::Last(json!([]));
    let scene = Setup::new([Scripted::streaming("a", pieces(secs(4), done))]).build();
    let began = scene.kernel.clock().now();
    let mut stream = scene.kernel.invoke_stream(scene.limited(5)).await.unwrap();
    while stream.next().await.unwrap().is_some() {}
    assert_eq!(scene.kernel.clock().now().since(began), secs(80));
    assert_eq!(scene.record().await.error, None);

    let late = Piece::After(secs(6), json!([]));
    let scene = Setup::new([Scripted::streaming("a", pieces(secs(1), late))]).build();
    let mut stream = scene.kernel.invoke_stream(scene.limited(5)).await.unwrap();
    let error = loop {
        match stream.next().await {
            Ok(frame) => assert!(!frame.unwrap().is_final),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("within 5 s"), "{error}");
    assert_eq!(scene.record().await.error.unwrap().code, "driver");
}

/// DL-10: how long the reader takes is not the driver's gap.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_make_a_driver_late() {
    let pieces = (0..4).map(|n| Piece::Data(json!([n])));
    let scene = Setup::new([Scripted::streaming("a", pieces)]).build();
    let mut stream = scene.kernel.invoke_stream(scene.limited(1)).await.unwrap();
    while stream.next().await.unwrap().is_some() {
        tokio::time::sleep(secs(100)).await;
    }
    assert_eq!(scene.record().await.error, None);
}

/// DL-12
#[tokio::test(start_paused = true)]
async fn what_follows_the_driver_has_limits_of_its_own() {
    // Slower than the attempt may be: it is not an attempt.
    let scene = Setup::good().build();
    scene.faults.set("store", Fault::Late(secs(8)));
    scene.kernel.invoke(scene.limited(1)).await.unwrap();

    // Slower than the limit of the store.
    let scene = Setup::good().budget(1_000, 200).build();
    scene.faults.set("store", Fault::Late(secs(11)));
    let error = scene.kernel.invoke(scene.limited(60)).await.unwrap_err();
    let late = StageError::Late { stage: Stage::Handle, limit: secs(10) };
    assert_eq!(error, InvokeError::Stage(late));
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.error.unwrap().code.as_str()), ("a", "late"));
    scene.assert_settled(1_000);

    // Slower than the run has left.
    let scene = Setup::good().budget(1_000, 200).build();
    scene.faults.set("store", Fault::Late(secs(8)));
    let until = scene.kernel.clock().now().after(secs(3));
    scene.kernel.invoke(scene.limited(60).deadline(until)).await.unwrap_err();
    assert_eq!(scene.kernel.clock().now(), until);
    assert_eq!(scene.record().await.driver_id, "a");
    scene.assert_settled(1_000);
}

proptest! {
    /// DL-02, DL-07: an attempt is never longer than any of its limits.
    #[test]
    fn an_attempt_takes_its_smallest_limit(token in 1_u64..100_000, left in 1_u64..100_000) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let scene = Setup::new([Scripted::new("a", Act::Hang)]).build();
            let clock: Clock = scene.kernel.clock();
            let began = clock.now();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let invocation = scene.limited(token as f64 / 1000.0);
            let until = began.after(Duration::from_millis(left));
            scene.kernel.invoke(invocation.deadline(until)).await.unwrap_err();
            let took = clock.now().since(began).as_millis();
            let expected = u128::from(token.min(left).min(60_000));
            assert!((expected..=expected + 1).contains(&took), "{took} for {token} and {left}");
        });
    }
}
