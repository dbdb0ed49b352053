//! Results that come in pieces.

use std::time::Duration;

use executus_capability::driver::DriverError;
use executus_capability::kernel::{CANCELLED, FrameStream, InvokeError, KernelLimits};
use executus_capability::{Frame, Mode};
use serde_json::{Value, json};

use crate::support::{Act, Fault, Piece, Scene, Scripted, Setup, rows};

fn pieces(count: usize) -> Vec<Piece> {
    (0..count).map(|n| Piece::Data(json!([{"id": n, "password": "hunter2hunter2"}]))).collect()
}

fn streaming(pieces: Vec<Piece>) -> Scene {
    Setup::new([Scripted::streaming("a", pieces)]).budget(100_000, 200).build()
}

async fn read(stream: &mut FrameStream) -> (Vec<Frame>, Option<InvokeError>) {
    let mut frames = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

async fn served(scene: &Scene, mode: Mode) -> Vec<Frame> {
    let mut stream = scene.kernel.invoke_stream(scene.as_admin().mode(mode)).await.unwrap();
    let (frames, error) = read(&mut stream).await;
    assert_eq!(error, None);
    assert_eq!(stream.next().await, Ok(None));
    frames
}

/// SI-01
#[tokio::test(start_paused = true)]
async fn every_piece_is_a_frame_and_the_last_one_is_marked() {
    for mode in [Mode::Summary, Mode::Table, Mode::Raw, Mode::HandleOnly] {
        let mut given = pieces(3);
        given.push(Piece::Last(json!([{"id": 3}])));
        let scene = streaming(given);
        let frames = served(&scene, mode).await;
        assert_eq!(frames.len(), 4);
        let finals: Vec<bool> = frames.iter().map(|frame| frame.is_final).collect();
        assert_eq!(finals, [false, false, false, true]);
        let record = scene.record().await;
        assert!(frames.iter().all(|frame| frame.action_id == record.action_id));
        assert!(!serde_json::to_string(&frames).unwrap().contains("hunter2"), "{frames:#?}");
        assert_eq!((record.counts.frame_count, record.error), (4, None));
        assert_eq!(frames[3].handle.is_some(), mode != Mode::Raw);
        assert_eq!(record.counts.has_handle, mode != Mode::Raw);
    }
}

/// SI-01
#[tokio::test(start_paused = true)]
async fn a_stream_without_a_last_piece_ends_with_an_empty_frame() {
    let scene = streaming(pieces(3));
    let frames = served(&scene, Mode::Table).await;
    assert_eq!((frames.len(), frames[3].is_final), (4, true));
    assert!(frames[..3].iter().all(|frame| !frame.is_final));
    assert!(frames[3].rows.is_empty() && frames[3].facts.is_empty());
}

/// SI-01: nothing is read behind the last piece.
#[tokio::test(start_paused = true)]
async fn what_comes_behind_the_last_piece_is_not_read() {
    let scene = streaming(vec![Piece::Last(json!([])), Piece::Panic]);
    assert_eq!(served(&scene, Mode::Table).await.len(), 1);
    assert_eq!(scene.record().await.error, None);
}

/// SI-02
#[tokio::test(start_paused = true)]
async fn an_empty_stream_is_one_last_frame_and_a_success() {
    let scene = streaming(Vec::new());
    let frames = served(&scene, Mode::Summary).await;
    assert_eq!((frames.len(), frames[0].is_final), (1, true));
    let record = scene.record().await;
    assert_eq!((record.error, record.counts.frame_count), (None, 1));
    assert_eq!(scene.stats().invocations_ok, 1);
}

/// SI-03
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_recorded_with_the_reason() {
    let broken = DriverError::Dropped { message: "reset, token=abcdefgh12".into() };
    for (piece, said) in [
        (Piece::Fail(broken), "reset"),
        (Piece::Panic, "planned panic"),
        (Piece::Hang, "within 60 s"),
    ] {
        let mut given = pieces(2);
        given.push(piece);
        let scene = streaming(given);
        let mut stream = scene.kernel.invoke_stream(scene.invocation()).await.unwrap();
        let (frames, error) = read(&mut stream).await;
        assert_eq!(frames.len(), 2);
        let error = error.unwrap();
        let record = scene.record().await;
        let found = record.error.unwrap();
        assert_eq!((found.code.as_str(), &found.message), ("driver", &error.to_string()));
        assert!(found.message.contains(said) && !found.message.contains("abcdefgh12"), "{found:?}");
        assert_eq!((record.driver_id.as_str(), record.counts.frame_count), ("a", 2));
        assert_eq!(stream.next().await, Ok(None));
        scene.assert_settled(100_000);
    }
}

/// SI-03: what the firewall, the counter and the store of handles do to a stream.
#[tokio::test(start_paused = true)]
async fn whatever_fails_behind_a_streaming_driver_is_recorded_once() {
    for (site, code) in [
        ("chunks", "firewall"),
        ("push", "firewall"),
        ("finish", "firewall"),
        ("count", "count"),
        ("store", "handle_store"),
    ] {
        for fault in [Fault::Error, Fault::Panic] {
            let scene = streaming(pieces(2));
            scene.faults.set(site, fault);
            let mut stream = scene.kernel.invoke_stream(scene.invocation()).await.unwrap();
            let (frames, error) = read(&mut stream).await;
            assert!(frames.iter().all(|frame| !frame.is_final));
            let expected = if fault == Fault::Panic { "panicked" } else { code };
            assert_eq!(error.unwrap().code(), expected, "{site}");
            let record = scene.record().await;
            assert_eq!(
                (record.driver_id.as_str(), record.error.unwrap().code.as_str()),
                ("a", expected)
            );
            assert_eq!(scene.driver("a").alive(), 0);
            scene.assert_settled(100_000);
        }
    }
}

/// SI-05
#[tokio::test(start_paused = true)]
async fn the_first_driver_that_streams_is_used() {
    let drivers = [
        Scripted::new("a", Act::Give(rows(1))),
        Scripted::streaming("b", pieces(2)),
        Scripted::new("c", Act::Give(rows(1))),
    ];
    let scene = Setup::new(drivers).build();
    assert_eq!(served(&scene, Mode::Summary).await.len(), 3);
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("b", 0));
    assert!(scene.driver("a").calls().is_empty());
}

/// SI-05: one that does not open is a failed attempt, and the next one is tried.
#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_open_falls_back() {
    for act in [Act::Fail(DriverError::failed("no")), Act::Panic("opening"), Act::Hang] {
        let drivers = [
            Scripted::new("a", Act::Give(rows(1))),
            Scripted::streaming("b", pieces(2)).opening(act),
        ];
        let scene = Setup::new(drivers).build();
        assert_eq!(served(&scene, Mode::Summary).await.len(), 1);
        let record = scene.record().await;
        assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("a", 1));
    }
}

/// SI-06
#[tokio::test(start_paused = true)]
async fn without_a_streaming_driver_the_plain_ones_give_one_frame() {
    let drivers = [Scripted::failing("a", "no"), Scripted::new("b", Act::Give(rows(2)))];
    let scene = Setup::new(drivers).build();
    let frames = served(&scene, Mode::Table).await;
    assert_eq!((frames.len(), frames[0].is_final), (1, true));
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("b", 1));

    let scene = Setup::new([Scripted::failing("a", "no"), Scripted::failing("b", "nor I")]).build();
    let mut stream = scene.kernel.invoke_stream(scene.invocation()).await.unwrap();
    let (frames, error) = read(&mut stream).await;
    assert!(frames.is_empty() && error.unwrap().to_string().contains("nor I"));
    assert_eq!(scene.record().await.driver_id, "b");
}

/// SI-08
#[tokio::test(start_paused = true)]
async fn a_stream_reserves_and_settles_like_a_single_result() {
    let scene = streaming(pieces(3));
    let mut stream = scene.kernel.invoke_stream(scene.as_admin().mode(Mode::Raw)).await.unwrap();
    assert_eq!(scene.remaining(), 99_800);
    let (frames, error) = read(&mut stream).await;
    assert_eq!(error, None);
    let cost = frames.iter().filter_map(|frame| frame.raw.as_ref());
    let cost: u64 = cost.map(|raw| raw.to_string().len() as u64 / 4).sum();
    assert!(cost > 0);
    assert_eq!(scene.record().await.counts.cost_tokens, cost);
    scene.assert_settled(100_000 - cost);

    let scene = Setup::new([Scripted::streaming("a", pieces(1))]).budget(100, 200).build();
    let held = scene.budget.as_ref().unwrap().reserve(100).unwrap();
    let error = scene.kernel.invoke_stream(scene.invocation()).await.unwrap_err();
    assert_eq!(error.code(), "budget_exhausted");
    assert_eq!(scene.record().await.error.unwrap().code, "budget_exhausted");
    assert!(scene.driver("a").calls().is_empty());
    drop(held);
}

/// CI-13, SI-08: a reader that is gone ends the stream, as does one that was never there.
#[tokio::test(start_paused = true)]
async fn a_stream_dropped_by_its_reader_is_one_cancelled_record() {
    for read in 0..3 {
        let mut given = pieces(2);
        given.push(Piece::Hang);
        let scene = streaming(given);
        let mut stream = scene.kernel.invoke_stream(scene.invocation()).await.unwrap();
        for _ in 0..read {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        let record = scene.record().await;
        assert_eq!(record.error.unwrap().message, CANCELLED);
        assert_eq!((scene.driver("a").alive(), scene.stats().invocations_cancelled), (0, 1));
        scene.assert_settled(100_000);
    }
    let scene = streaming(pieces(1));
    scene.faults.set("get", Fault::Hang);
    let begin = scene.kernel.invoke_stream(scene.invocation().action_id("x"));
    assert!(tokio::time::timeout(Duration::from_secs(1), begin).await.is_err());
    assert_eq!(scene.record().await.error.unwrap().message, CANCELLED);
}

/// AR-01: a reader that is there and does not read does not hold an invocation for ever.
#[tokio::test(start_paused = true)]
async fn an_idle_reader_ends_a_stream() {
    let limits = KernelLimits { reader: Duration::from_secs(5), ..KernelLimits::default() };
    let setup = Setup::new([Scripted::streaming("a", pieces(10))]).budget(1_000, 100);
    let scene = setup.with(move |builder| builder.limits(limits)).build();
    let mut stream = scene.kernel.invoke_stream(scene.invocation()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(scene.record().await.error.unwrap().code, "late");
    scene.assert_settled(1_000);
    let (frames, error) = read(&mut stream).await;
    assert_eq!((frames.len(), error.unwrap().code()), (1, "late"));
}

/// DL-07: a stream is over when its run is, however it is read.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_run() {
    let scene = streaming(vec![Piece::Data(json!([1])), Piece::Data(json!([2])), Piece::Hang]);
    let at = scene.kernel.clock().now().after(Duration::from_secs(20));
    let stream = scene.kernel.invoke_stream(scene.invocation().deadline(at)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(scene.record().await.error.unwrap().code, "deadline");
    scene.assert_settled(100_000);
    drop(stream);
}

/// BR-13: the last frame waits for its record.
#[tokio::test(start_paused = true)]
async fn the_last_frame_is_not_served_without_a_record() {
    let scene = streaming(pieces(2));
    scene.faults.set("record", Fault::Error);
    let mut stream = scene.kernel.invoke_stream(scene.invocation()).await.unwrap();
    let (frames, error) = read(&mut stream).await;
    assert!(frames.len() == 2 && frames.iter().all(|frame| !frame.is_final));
    assert_eq!(error.unwrap().code(), "unrecorded");
    assert_eq!(scene.budget.as_ref().unwrap().state().settled, 1);
}

/// CI-17: a stream is refused before it begins.
#[tokio::test(start_paused = true)]
async fn a_stream_is_refused_like_a_single_result() {
    let scene = streaming(pieces(2));
    let invocation = scene.invocation();
    scene.authority.revoke(&invocation.token.token_id);
    let error = scene.kernel.invoke_stream(invocation).await.unwrap_err();
    assert_eq!(error.code(), "token_revoked");
    assert_eq!(scene.record().await.error.unwrap().code, "token_revoked");
    assert!(scene.driver("a").calls().is_empty());
}

/// FW-01: the whole of a stream lies behind the handle of its last frame.
#[tokio::test(start_paused = true)]
async fn a_stream_too_long_to_keep_has_no_handle() {
    let limits = KernelLimits { kept: 100, ..KernelLimits::default() };
    let long = vec![Piece::Data(Value::from("x".repeat(200)))];
    let setup = Setup::new([Scripted::streaming("a", long)]);
    let scene = setup.with(move |builder| builder.limits(limits)).build();
    let frames = served(&scene, Mode::Summary).await;
    assert_eq!(frames[1].handle, None);
    assert!(frames[1].warnings.iter().any(|warning| warning.contains("too long")), "{frames:?}");
}
