//! How a task fails, in the terms of HTTP and of its credential.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_process::{DROPPED, FailureClass, FailureKind, ProcessError, Task};
use tokio::time::Instant;

use crate::support::{logged, much, scratch, sh};

/// SP-01
#[tokio::test]
async fn an_input_that_is_dropped_is_502() {
    for script in [
        "exec 0<&-; echo unauthorized >&2; exit 1",
        "exit 0",
        "head -c 1 >/dev/null; exit 7",
        // It must not be taken for one that will read on.
        "exec 0<&-; trap '' TERM; sleep 60 & wait; wait",
    ] {
        let begun = Instant::now();
        let (failure, log) = logged(sh(script, "sh").input(much()).run()).await;
        let failure = failure.unwrap_err();
        assert_eq!((failure.status(), failure.kind()), (502, FailureKind::Dropped), "{script}");
        assert_eq!(failure.detail(), DROPPED);
        assert!(matches!(failure.error(), ProcessError::Dropped { .. }));
        assert_eq!(log, [format!("INFO {DROPPED} status=502")], "{script}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{script}: {:?}", begun.elapsed());
    }
}

/// SP-03
#[tokio::test]
async fn any_other_failure_is_500() {
    let cases = [
        (sh("cat >/dev/null; echo broken pipe >&2; exit 1", "sh").input(much()), FailureKind::Exit),
        (sh("echo oh; exit 1", "sh"), FailureKind::Exit),
        (sh("exit 141", "sh"), FailureKind::Exit),
        (Task::new("true").args(["a\0b"]), FailureKind::Arguments),
        (Task::new("true").args(["x".repeat(1 << 19)]), FailureKind::Arguments),
        (Task::new("true").timeout(Duration::ZERO), FailureKind::Arguments),
    ];
    for (task, kind) in cases {
        let (failure, log) = logged(task.run()).await;
        let failure = failure.unwrap_err();
        assert_eq!((failure.status(), failure.kind()), (500, kind));
        assert!(log.len() == 1 && log[0].starts_with("ERROR a task failed: "), "{log:?}");
        assert_ne!(failure.detail(), DROPPED);
    }
}

/// SP-04: also while the input is being written.
#[tokio::test]
async fn a_timeout_is_504() {
    for task in [
        sh("sleep 60", "sh"),
        sh("sleep 60", "sh").input(much()),
        sh("head -c 100000 >/dev/null; sleep 60", "sh").input(much()),
        // It ends by the request, and well.
        sh("trap 'exit 0' TERM; sleep 60 & wait", "sh").input(much()),
    ] {
        let task = task.timeout(Duration::from_millis(200));
        let (failure, log) = logged(task.run()).await;
        let failure = failure.unwrap_err();
        assert_eq!((failure.status(), failure.kind()), (504, FailureKind::Timeout), "{failure}");
        assert_eq!(failure.class(), None);
        assert!(log.len() == 1 && log[0].starts_with("WARN"), "{log:?}");
    }
}

/// SP-05
#[tokio::test]
async fn what_is_not_available_is_503() {
    let plain = scratch("503-not-executable");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    for (task, kind) in [
        (Task::new("executus-no-such-program"), FailureKind::NotFound),
        (Task::new("true").current_dir("/no/such/folder"), FailureKind::NotFound),
        (Task::new(plain.to_str().unwrap()), FailureKind::Permission),
        (Task::new("/"), FailureKind::Permission),
    ] {
        let failure = task.run().await.unwrap_err();
        assert_eq!((failure.status(), failure.kind()), (503, kind), "{failure}");
        // Where another credential comes with another runtime, it may help.
        assert_eq!(failure.class(), Some(FailureClass::Auth));
    }
}

/// SP-06
#[tokio::test]
async fn a_dropped_input_says_nothing_of_the_credential() {
    let script = "exec 0<&-; echo 'Error 401: invalid api key, unauthorized' >&2; exit 1";
    let failure = sh(script, "sh").input(much()).suspect_credential().run().await.unwrap_err();
    assert_eq!((failure.status(), failure.class()), (502, None));
    assert!(failure.said().contains("unauthorized"), "it is kept, to be looked at");
}

/// SP-07: as the exit of a real child; the table of statuses stands with the function.
#[tokio::test]
async fn what_a_failed_child_says_may_speak_of_its_credential() {
    for (script, class) in [
        ("echo 'Please run /login' >&2; exit 1", Some(FailureClass::Auth)),
        ("echo 'OAuth token has expired'; exit 1", Some(FailureClass::Auth)),
        ("echo 'no such file' >&2; exit 1", None),
    ] {
        let failure = sh(script, "sh").run().await.unwrap_err();
        assert_eq!((failure.status(), failure.class()), (500, class), "{script}");
    }
}

/// SP-10
#[tokio::test]
async fn a_child_that_a_signal_ended_is_504() {
    for (script, signal) in [
        ("kill -9 $$", "signal 9 (SIGKILL)"),
        ("kill -11 $$", "signal 11 (SIGSEGV)"),
        ("exit 130", "signal 2 (SIGINT)"),
        ("exit 137", "signal 9 (SIGKILL)"),
        ("exit 143", "signal 15 (SIGTERM)"),
    ] {
        // It used nothing, and speaks of credentials: neither counts.
        let script = format!("echo '{{\"tokens\": 0}}'; echo unauthorized >&2; {script}");
        for input in [None, Some(much())] {
            let mut task = sh(&script, "sh").format(executus_process::Format::Report);
            if let Some(input) = input {
                task = task.input(input);
            }
            let failure = task.suspect_credential().run().await.unwrap_err();
            assert_eq!((failure.status(), failure.kind()), (504, FailureKind::Signal), "{script}");
            assert!(failure.detail().contains(signal), "{failure}");
            assert_eq!(failure.class(), None);
        }
    }
}

/// SP-10: what a child ran and reports of.
#[tokio::test]
async fn a_reported_exit_code_may_tell_of_a_signal() {
    for (code, signal) in [(-9, "SIGKILL"), (-15, "SIGTERM"), (137, "SIGKILL"), (130, "SIGINT")] {
        for exit in [0, 1] {
            let script = format!("echo '{{\"exit_code\": {code}, \"tokens\": 0}}'; exit {exit}");
            let task = sh(&script, "sh").format(executus_process::Format::Report);
            let failure = task.suspect_credential().run().await.unwrap_err();
            assert_eq!((failure.status(), failure.class()), (504, None), "{failure}");
            assert!(failure.detail().contains(signal), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_child_that_used_nothing_is_suspected_on_request() {
    let task = || {
        let script = "echo '{\"tokens\": 0}'; exit 1";
        sh(script, "sh").format(executus_process::Format::Report)
    };
    assert_eq!(task().run().await.unwrap_err().class(), None);
    let failure = task().suspect_credential().run().await.unwrap_err();
    assert_eq!((failure.status(), failure.class()), (500, Some(FailureClass::Auth)));
}

#[tokio::test]
async fn a_task_is_ended_by_whoever_asked_for_it() {
    let stop = tokio::time::sleep(Duration::from_millis(100));
    let failure = Task::new("sleep").args(["60"]).run_until(stop).await.unwrap_err();
    assert_eq!((failure.status(), failure.kind()), (504, FailureKind::Cancelled));
    assert_eq!(failure.class(), None);
}

#[tokio::test]
async fn no_secret_is_told() {
    let script = "echo \"oh $KEY\" >&2; exit 1";
    let task = sh(script, "sh").secret_variable("KEY", Secret::new("hunter2hunter2"));
    let (failure, log) = logged(task.run()).await;
    let failure = failure.unwrap_err();
    let shown = format!("{failure} {} {log:?}", failure.said());
    assert!(!shown.contains("hunter2") && shown.contains("[redacted]"), "{shown}");
}
