//! What a host registers for the end of a run.

use std::io;
use std::sync::Arc;

use executus_core::{Event, Limits, Reply, RunRequest, RunStatus};
use executus_testkit::scripted::Say;
use parking_lot::Mutex;
use tracing_subscriber::util::SubscriberInitExt;

use crate::stage::{Stage, model, request, seconds, two_steps};

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: &str) {
        self.0.lock().push(what.to_owned());
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// Registers a clean-up that says so.
    fn clean_up(&self, request: RunRequest, name: &'static str) -> RunRequest {
        let diary = self.clone();
        request.on_clean_up(name, move || async move {
            diary.note(name);
            Ok(())
        })
    }

    fn persist(&self, request: RunRequest, name: &'static str) -> RunRequest {
        let diary = self.clone();
        request.on_persist(name, move || async move {
            diary.note(name);
            Ok(())
        })
    }
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a future answers, and what it logged.
async fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    // A place that logs is switched off for good when another test reaches it first and nobody
    // listens: so somebody always does.
    let _ = tracing_subscriber::fmt().with_writer(io::sink).try_init();
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().without_time().with_ansi(false);
    let guard = log.with_writer(move || writer.clone()).set_default();
    let answer = work.await;
    drop(guard);
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    (answer, text)
}

/// FN-01: who watches is told first; then what was opened is closed, the newest first, and what is
/// to stay is written, the oldest first.
#[tokio::test(start_paused = true)]
async fn an_end_has_an_order() {
    let (stage, diary) = (Stage::new(), Diary::default());
    let mut request = request(two_steps());
    for name in ["close browser", "upload recording", "stop recording"] {
        request = diary.clean_up(request, name);
    }
    for name in ["write persisted status", "commit storage"] {
        request = diary.persist(request, name);
    }
    let mut events = request.watch(64);
    let order = diary.clone();
    let watching = async {
        while let Some(event) = events.next().await {
            match event {
                Event::Finishing { status } => order.note(&format!("finishing {status}")),
                Event::Finished { outcome } => order.note(&format!("finished {}", outcome.status)),
                _ => {}
            }
        }
    };
    // The watcher is polled first, so that it notes an event before the run goes on.
    let run = stage.executor().start(request).unwrap();
    let (settled, ()) = tokio::join!(run.settled(), watching);
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    let seen = diary.read();
    let of = |what: &str| seen.iter().position(|one| one == what).unwrap();
    let done: Vec<_> = seen.iter().filter(|one| !one.starts_with("fini")).cloned().collect();
    assert_eq!(
        done,
        [
            "stop recording",
            "upload recording",
            "close browser",
            "write persisted status",
            "commit storage"
        ]
    );
    assert!(of("finishing ok") < of("finished ok"), "{seen:?}");
    // The phases, as the record has them.
    let phases = stage.audit.records(run.run_id()).into_iter().filter_map(|it| match it.fact {
        executus_core::Fact::Settled { phase, .. } => Some(phase.as_str()),
        _ => None,
    });
    let phases: Vec<_> = phases.collect();
    let of = |what: &str| phases.iter().position(|one| *one == what).unwrap();
    assert!(of("finishing") < of("clean_up") && of("clean_up") < of("persist"), "{phases:?}");
}

/// FN-02: nobody can be told, and what is to be closed fails in every way: the rest of it is closed,
/// what is to stay is written, a warning says what failed, and the run ends as it did.
#[tokio::test(start_paused = true)]
async fn a_clean_up_that_fails_skips_nothing() {
    let (stage, diary) = (Stage::new(), Diary::default());
    let mut request = diary.clean_up(request(two_steps()), "first");
    request = request
        .on_clean_up("fails", || async { Err("the upload was refused".into()) })
        .on_clean_up("panics", || async { panic!("in the clean-up") })
        .on_clean_up("panics early", || -> std::future::Ready<Result<(), String>> {
            panic!("before the clean-up")
        })
        .on_clean_up("hangs", std::future::pending);
    request = diary.clean_up(request, "last");
    request = diary.persist(request, "status");
    // Who watched is gone: nothing can be published.
    drop(request.watch(1));
    let work = async {
        let run = stage.executor().start(request).unwrap();
        let began = tokio::time::Instant::now();
        let settled = run.settled().await;
        (stage.ended(run.run_id().clone(), settled), began.elapsed())
    };
    let ((ended, took), log) = logged(work).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(diary.read(), ["last", "first", "status"]);
    assert!(took < seconds(10), "{took:?}");
    let [(phase, failures)] = &ended.settled.failures[..] else { panic!("{ended:?}") };
    assert_eq!(phase.as_str(), "clean_up");
    for failed in ["hangs: not done in time", "panics early: ", "fails: the upload was refused"] {
        assert!(failures.contains(failed), "{failures}");
    }
    assert!(log.contains("WARN") && log.contains("the upload was refused"), "{log}");
}

/// FN-04: what cannot be written is warned of; settling ends, and the run as it did.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_persisted_is_told() {
    let (stage, diary) = (Stage::new(), Diary::default());
    let request = request(two_steps()).on_persist("status", || async { Err("disk full".into()) });
    let request = diary.persist(request, "storage");
    let (ended, log) = logged(stage.run(request)).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(diary.read(), ["storage"]);
    assert_eq!(ended.settled.failures.len(), 1);
    assert!(log.contains("WARN") && log.contains("status: disk full"), "{log}");
}

/// FN-06: after a cancel or a deadline the outcome has the last text there was; after a crash
/// the next life has all of it.
#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_end_is_kept() {
    let lines = || {
        let mut said = Reply::call("echo", serde_json::json!({"n": 1}));
        said.text = "found so far".into();
        [Say::Reply(said), Say::Hang]
    };
    let short = Limits { hard_timeout: seconds(5), ..Limits::default() };
    for (limits, status) in [(Limits::default(), RunStatus::Cancelled), (short, RunStatus::Timeout)]
    {
        let stage = Stage::new();
        let run = stage.executor().start(request(model(lines())).limits(limits)).unwrap();
        tokio::time::sleep(seconds(3)).await;
        if status == RunStatus::Cancelled {
            run.cancel();
        }
        let settled = run.settled().await;
        assert_eq!(settled.outcome.status, status);
        assert_eq!(settled.outcome.output.as_deref(), Some("found so far"));
        let closed = stage.trail(run.run_id()).closed;
        assert_eq!(closed[0].output.as_deref(), Some("found so far"));
    }

    let stage = Stage::new();
    let mut slow = lines();
    slow[1] = Say::Hang;
    let (handle, task) = stage.executor().prepare(request(model(slow))).unwrap();
    handle.steer("memory", "remember this");
    // Long enough for a save that is due by itself.
    assert!(tokio::time::timeout(seconds(5), task).await.is_err(), "it was to die");
    let run = handle.run_id().clone();
    drop(handle);
    // Whoever died must be missed.
    tokio::time::sleep(seconds(61)).await;
    let next = stage.executor();
    let resumed = next.resume(&run, |_| request(model([Say::Hang]))).await.unwrap();
    resumed.cancel();
    let settled = resumed.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Cancelled);
    let kept = executus_core::machine::replay(&stage.audit.records(&run)).unwrap();
    let kept = format!("{:?}", kept.transcript().entries());
    assert!(kept.contains("remember this"), "{kept}");
}
