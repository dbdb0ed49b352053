//! What tasks answer in JSON, and what is kept of it when they fail.

use std::time::Duration;

use executus_process::{Answer, FailureClass, FailureKind, Format, OutputLimits};
use serde_json::json;

use crate::support::{much, sh};

const SPENT: &str = r#"echo working; echo '{"cost": 0.25, "tokens": 70, "transcript": ["hi"]}'"#;

/// What a 502 and a 504 still tell of what they cost.
#[tokio::test]
async fn a_failure_keeps_what_was_spent() {
    let task = |rest: &str| sh(&format!("{SPENT}; {rest}"), "sh").format(Format::Report);
    let tidies = format!("trap \"{}; exit 1\" TERM; sleep 60 & wait", SPENT.replace('"', "\\\""));
    for (task, status) in [
        (task("exec 0<&-; exit 1").input(much()), 502),
        (task("sleep 60").timeout(Duration::from_millis(200)), 504),
        (task("kill -9 $$"), 504),
        // It says so when it is asked to end.
        (sh(&tidies, "sh").format(Format::Report).timeout(Duration::from_millis(200)), 504),
        (task("exit 3"), 500),
    ] {
        let failure = task.run().await.unwrap_err();
        assert_eq!(failure.status(), status, "{failure}");
        let report = failure.report().unwrap();
        assert_eq!(report.cost, Some(json!(0.25)));
        assert_eq!((report.tokens, &report.transcript), (Some(70), &Some(json!(["hi"]))));
    }
}

#[tokio::test]
async fn a_reported_status_is_the_status() {
    for (status, class) in [
        (400, None),
        (401, Some(FailureClass::Auth)),
        (402, Some(FailureClass::Auth)),
        (403, Some(FailureClass::Auth)),
        (429, Some(FailureClass::RateLimit)),
        (503, Some(FailureClass::Auth)),
    ] {
        for exit in [0, 1] {
            let script = format!(
                "echo '{{\"status\": {status}, \"error\": \"because\", \"cost\": 1}}'; exit {exit}"
            );
            let failure = sh(&script, "sh").format(Format::Report).run().await.unwrap_err();
            assert_eq!((failure.status(), failure.kind()), (status, FailureKind::Reported));
            assert_eq!(failure.class(), class, "{status}");
            assert_eq!(failure.detail(), format!("`sh` reported status {status}: because"));
            assert_eq!(failure.report().unwrap().cost, Some(json!(1)));
        }
    }
}

#[tokio::test]
async fn a_good_report_is_the_answer() {
    let script = r#"echo log; echo '{"status": 200, "result": {"a": 1}, "more": true}'"#;
    let output = sh(script, "sh").format(Format::Report).run().await.unwrap();
    let Answer::Report(report) = output.answer else { panic!("{output:?}") };
    assert_eq!((report.status, report.result), (Some(200), Some(json!({"a": 1}))));
    assert_eq!(report.fields["more"], json!(true));
}

#[tokio::test]
async fn a_report_stands_at_the_end_of_a_flood() {
    let script = r#"yes | head -c 3000000; echo; echo '{"result": 1}'"#;
    let output = sh(script, "sh").format(Format::Report).run().await.unwrap();
    let Answer::Report(report) = output.answer else { panic!("{output:?}") };
    assert_eq!(report.result, Some(json!(1)));
    assert!(output.stdout_bytes > 3_000_000);
}

#[tokio::test]
async fn values_and_lines_of_values() {
    let run = |script: &str, format| sh(script, "sh").format(format).run();
    let output = run("printf '{\"a\": [1,\\n2]}'", Format::Json).await.unwrap();
    assert_eq!(output.answer, Answer::Json(json!({"a": [1, 2]})));
    let output = run("printf '{\"a\": 1}\\n\\n[2]\\n'", Format::JsonLines).await.unwrap();
    assert_eq!(output.answer, Answer::Json(json!([{"a": 1}, [2]])));
    for (script, format, part) in [
        ("printf '{\"a\": [1,'", Format::Json, "no JSON: EOF while parsing"),
        ("printf '{\"a\": [1,'", Format::Report, "no report: EOF while parsing"),
        ("true", Format::Report, "it wrote nothing"),
        ("echo '{\"tokens\": -1}'", Format::Report, "`tokens` of its report"),
        ("printf '1\\n2\\n{\\n'", Format::JsonLines, "line 3 is no JSON"),
    ] {
        let failure = run(script, format).await.unwrap_err();
        assert_eq!((failure.status(), failure.kind()), (500, FailureKind::Output), "{script}");
        assert!(failure.detail().contains(part), "{failure}");
    }
}

#[tokio::test]
async fn a_value_that_is_too_long_is_refused() {
    let limits = OutputLimits { stdout: 1000, stderr: 1000 };
    let task = sh("seq 1000", "sh").format(Format::JsonLines).output_limits(limits);
    let failure = task.run().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Output);
    assert!(failure.detail().contains("it wrote 3893 bytes, 1000 may be"), "{failure}");
}
