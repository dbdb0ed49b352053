//! Playbooks, performed by the executor.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::MemoryAudit;
use executus_core::{ErrorKind, Executor, RunStatus};
use executus_playbook::{Playbook, PlaybookError};
use serde_json::json;

use crate::support::{ASKING, Bench, GOOD, interrupted, load};

/// The run ends with the output template, bound to parameters and stored results.
///
/// PB-13
#[tokio::test(start_paused = true)]
async fn a_stored_result_is_a_parameter_of_later_steps() {
    let bench = Bench::new(GOOD, &[("log", &[Ok("a b {repo}")]), ("count", &[Ok("1")])]);
    let ran = bench.run(bench.playbook()).await;
    assert_eq!(ran.outcome.status, RunStatus::Ok, "{:?}", ran.outcome);
    // What a tool answered is not scanned again.
    assert_eq!(ran.outcome.output.as_deref(), Some("a b {repo}: 1"));
    assert_eq!(ran.seen[0].args, json!({"n": 20}));
    assert_eq!(ran.seen[1].args, json!({"text": "a b {repo}"}));
    assert_eq!((ran.outcome.stats.tally.steps, ran.outcome.stats.tally.tool_calls), (3, 2));
    assert_eq!(ran.outcome.stats.tally.tokens(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_output_the_last_text_is_the_result() {
    let text = GOOD.split("[output]").next().unwrap();
    let bench = Bench::new(text, &[("log", &[Ok("a b")]), ("count", &[Ok("12")])]);
    let ran = bench.run(bench.playbook()).await;
    assert_eq!(ran.outcome.output.as_deref(), Some("12"));
}

/// One attempt, then the end; nothing recovers.
///
/// PB-05, PB-11
#[tokio::test(start_paused = true)]
async fn abort_is_one_attempt() {
    let text = GOOD.replace("failure_message = \"No history in {repo}\"", "");
    let bench = Bench::new(&text, &[("log", &[Err("exit 128: not a repository")])]);
    let playbook = bench.playbook();
    let ran = bench.run(bench.playbook()).await;
    assert_eq!(ran.outcome.status, RunStatus::Error);
    let error = "step 1 \"Read the history of .\" failed: exit 128: not a repository";
    assert_eq!(ran.error(), error);
    assert_eq!(ran.outcome.error.as_ref().unwrap().kind, ErrorKind::Failed);
    assert_eq!(ran.seen.len(), 1);

    let report = playbook.report(&ran.inputs, &ran.transcript);
    let [step] = report.step_results.as_slice() else { panic!("{report:?}") };
    assert_eq!((step.number, &*step.id, step.attempts), (1, "history", 1));
    assert_eq!(step.outcome, Err("exit 128: not a repository".into()));
    assert_eq!(report.error.as_deref(), Some(error));
    assert!(!report.handed_over);
}

/// The message stands for the raw error, whether the call or its verification fails; it is bound.
///
/// PB-02, PB-03
#[tokio::test(start_paused = true)]
async fn a_failure_message_replaces_the_error() {
    for answer in [Err("exit 128"), Ok("nospace")] {
        let bench = Bench::new(GOOD, &[("log", &[answer])]);
        let ran = bench.run(bench.playbook()).await;
        let error = "step 1 \"Read the history of .\" failed: No history in .";
        assert_eq!(ran.error(), error);
    }
}

/// Without a message a failure shows the raw error.
///
/// PB-01
#[tokio::test(start_paused = true)]
async fn verifications() {
    for (verify, answer, failure) in [
        ("contains = \"{repo}\"", "a.b", None),
        ("contains = \"{count}\"", "a.b", Some("the result does not contain \"5\"")),
        ("matches = '^\\d{2,3}$'", "123", None),
        ("matches = '^\\d{2,3}$'", "1234", Some(r#"the result does not match "^\d{{2,3}}$""#)),
        // A bound value matches itself: a dot is a dot.
        ("matches = '^a{repo}b$'", "a.b", None),
        ("matches = '^a{repo}b$'", "axb", Some("the result does not match \"^a{repo}b$\"")),
        ("equals = \"x{{repo}}\"", "x{repo}", None),
        ("equals = \"x\"", "x\n", Some("the result is not \"x\"")),
        ("not_empty = true", "0", None),
        ("not_empty = true", " \n", Some("the result is empty")),
    ] {
        let text = GOOD
            .replace("contains = \" \"", verify)
            .replace("failure_message = \"No history in {repo}\"", "");
        let bench = Bench::new(&text, &[("log", &[Ok(answer)])]);
        let ran = bench.run(bench.playbook()).await;
        let expected =
            failure.map(|failure| format!("step 1 \"Read the history of .\" failed: {failure}"));
        assert_eq!(ran.error(), expected.unwrap_or_default(), "{verify} on {answer:?}");
    }
}

/// Two attempts, one second apart; the second error is the one that is told.
///
/// PB-06
#[tokio::test(start_paused = true)]
async fn retry_is_two_attempts() {
    let bench = Bench::new(
        GOOD,
        &[("log", &[Ok("a b")]), ("count", &[Err("first"), Err("second"), Ok("third")])],
    );
    let playbook = bench.playbook();
    assert_eq!(playbook.max_replies(), 4);
    let ran = bench.run(bench.playbook()).await;
    assert_eq!(ran.error(), "step 2 \"total\" failed: second");
    assert_eq!(ran.seen.len(), 3);
    assert_eq!(ran.gap(1), Duration::from_secs(1));
    let report = playbook.report(&ran.inputs, &ran.transcript);
    let attempts: Vec<_> = report.step_results.iter().map(|step| step.attempts).collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(report.step_results[0].outcome, Ok("a b".into()));
}

/// PB-06
#[tokio::test(start_paused = true)]
async fn a_second_attempt_may_succeed() {
    let bench = Bench::new(GOOD, &[("log", &[Ok("a b")]), ("count", &[Err("first"), Ok("2")])]);
    let ran = bench.run(bench.playbook().retry_delay(Duration::from_millis(20))).await;
    assert_eq!(ran.outcome.output.as_deref(), Some("a b: 2"));
    assert_eq!(ran.gap(1), Duration::from_millis(20));
}

/// Whether a call of a `once` tool that timed out or got lost had its effect is not known: it is not
/// made again.
#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_not_retried() {
    for (effect, answer, calls, error) in [
        ("once", "hang", 1, "the outcome is unknown: the call was cut off"),
        ("idempotent", "hang", 2, "no result within 1000 ms"),
        ("once", "lost", 1, "lost"),
        ("idempotent", "lost", 2, "lost"),
    ] {
        let text = GOOD.replace(
            "name = \"count\"",
            &format!("name = \"count\"\ntimeout = \"1s\"\neffect = \"{effect}\""),
        );
        let bench =
            Bench::new(&text, &[("log", &[Ok("a b")]), ("count", &[Ok(answer), Ok(answer)])]);
        let ran = bench.run(bench.playbook()).await;
        assert_eq!(ran.error(), format!("step 2 \"total\" failed: {error}"));
        assert_eq!(ran.seen.iter().filter(|seen| seen.tool == "count").count(), calls);
    }
}

/// A text that a typed argument binds is read as that type; what does not fit fails the step.
#[tokio::test(start_paused = true)]
async fn a_bound_text_takes_the_type_of_its_argument() {
    let text = GOOD
        .replace("args = { n = 20 }", "args = { n = \"{count}\" }")
        .replace("text = { type = \"string\" }", "text = { type = \"integer\", max = 9 }")
        .replace("failure_message = \"No history in {repo}\"", "");
    for (answer, error) in [
        (" 7", ""),
        (
            " x",
            "step 2 \"total\" failed: bad arguments: the argument `text` is not an integer of at most 9",
        ),
        (
            " 10",
            "step 2 \"total\" failed: bad arguments: the argument `text` is not an integer of at most 9",
        ),
    ] {
        let bench = Bench::new(&text, &[("log", &[Ok(answer)])]);
        let ran = bench.run(bench.playbook()).await;
        assert_eq!(ran.error(), error);
        assert_eq!(ran.seen[0].args, json!({"n": 5}));
        if error.is_empty() {
            assert_eq!(ran.seen[1].args, json!({"text": 7}));
        }
    }
}

/// A sensitive value reaches the tool, and nothing that is kept or shown.
#[tokio::test(start_paused = true)]
async fn a_sensitive_value_goes_to_the_tool_alone() {
    let text = GOOD
        .replace("text = \"{history}\"", "text = \"{repo}: {token}\"")
        .replace("on_failure = \"retry\"", "on_failure = \"abort\"\ndescription = \"with {token}\"")
        .replace("template = \"{history}: {total}\"", "template = \"{token}: {total}\"");
    let bench = Bench::new(&text, &[("log", &[Ok("a b")])]);
    let audit = MemoryAudit::default();
    let (request, model, _) = bench.request(bench.playbook());
    let executor = Executor::builder().audit(Arc::new(audit.clone())).build();
    let handle = executor.start(request).unwrap();
    let outcome = handle.settled().await.outcome;
    assert_eq!(bench.seen()[1].args, json!({"text": ".: s3cr3t-value"}));
    // The tool echoes its arguments; the executor redacts what it says.
    assert_eq!(outcome.output.as_deref(), Some("[redacted]: {\"text\":\".: [redacted]\"}"));
    let records = audit.records(&outcome.run_id);
    assert!(records.len() > 4);
    let shown = format!("{records:?} {:?} {:?}", *model.last.lock(), outcome);
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(shown.contains("with [redacted]"), "{shown}");
}

/// A tool that is declared but not there at run time is that call's error.
///
/// PB-16
#[tokio::test(start_paused = true)]
async fn a_tool_that_is_not_there_fails_its_call() {
    let mut bench = Bench::new(GOOD, &[("log", &[Ok("a b")])]);
    let log = bench.tools.get("log").cloned();
    bench.tools = executus_core::Toolbox::new(log).unwrap();
    let ran = bench.run(bench.playbook()).await;
    assert_eq!(ran.error(), "step 2 \"total\" failed: there is no tool `count`; there are: log");
}

/// After an interruption another instance goes on where the transcript ends.
#[tokio::test(start_paused = true)]
async fn a_playbook_is_resumed_from_its_transcript() {
    let unknown = "step 2 \"total\" failed: the outcome is unknown: the call was cut off";
    for (effect, result) in [("idempotent", Ok("a b: again")), ("once", Err(unknown))] {
        let text =
            GOOD.replace("name = \"count\"", &format!("name = \"count\"\neffect = \"{effect}\""));
        let bench =
            Bench::new(&text, &[("log", &[Ok("a b")]), ("count", &[Ok("hang"), Ok("again")])]);
        let (executor, run) = interrupted(&bench, bench.playbook(), 2).await;
        let handle = executor.resume(&run, |_| bench.request(bench.playbook()).0).await.unwrap();
        let outcome = handle.settled().await.outcome.clone();
        let message = outcome.error.as_ref().map(|error| error.message.as_str());
        assert_eq!(message.map_or(Ok(outcome.output.as_deref().unwrap()), Err), result);
        let logs = bench.seen().iter().filter(|seen| seen.tool == "log").count();
        assert_eq!(logs, 1, "the first step is not run again");
    }
}

/// A run goes on with its own file only; another one is an error that says so.
#[tokio::test(start_paused = true)]
async fn another_file_does_not_go_on_with_a_run() {
    let bench = Bench::new(GOOD, &[("log", &[Ok("a b")]), ("count", &[Ok("hang")])]);
    let (executor, run) = interrupted(&bench, bench.playbook(), 2).await;
    let other = Bench::new(&GOOD.replace("id = \"history\"", "id = \"past\""), &[]);
    let handle = executor.resume(&run, |_| other.request(other.playbook()).0).await.unwrap();
    let outcome = handle.settled().await.outcome;
    let message = &outcome.error.as_ref().unwrap().message;
    assert!(message.starts_with("the transcript is not that of this playbook"), "{message}");
    assert!(other.seen().is_empty());
}

#[test]
fn what_is_no_playbook_is_refused() {
    let agent = load("kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n");
    assert!(matches!(Playbook::new(agent), Err(PlaybookError::NotAPlaybook { .. })));
}

#[test]
fn what_needs_a_model_is_not_run_without() {
    let output = ASKING.replace("[[step]] # read", "[[step]] # read\non_failure = \"abort\"");
    let output = output.replace("[[step]] # page", "[[step]] # page\non_failure = \"abort\"");
    let extracting = output.clone();
    let output = output.replace(
        "extract = \"Invoice: {text}, {token}\"",
        "tool = \"fetch\"\nargs = { url = \"{page}\" }",
    );
    let (before, after) = output.split_once("[step.fields]").unwrap();
    let output = format!("{before}\n{}", &after[after.find("[[step]] # paid").unwrap()..]);
    let output = output.replace("[[step]] # paid", "[[step]] # paid\non_failure = \"retry\"");
    for (text, error) in [
        (ASKING, "step `page` has `llm_recover` and needs a model; give the playbook one"),
        (&extracting, "step `read` reads a text and needs a model; give the playbook one"),
        (&output, "[output.fields] needs a model; give the playbook one"),
    ] {
        let error_there = Playbook::new(load(text)).unwrap_err();
        assert!(matches!(error_there, PlaybookError::NoModel { .. }));
        assert_eq!(error_there.to_string(), error);
    }
}
