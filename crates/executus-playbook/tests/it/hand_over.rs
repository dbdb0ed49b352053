//! A failed step is handed to a model, with all later ones.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::MemoryAudit;
use executus_core::{ErrorKind, Executor, ModelError, Reply, RunStatus};
use executus_playbook::{Playbook, StepAction};
use serde_json::json;

use crate::support::{ASKING, Asked, Bench, GOOD, Llm, Ran, interrupted, submit, tokens};

/// The file without fields of its output.
fn plain() -> String {
    ASKING.split("[output.fields]").next().unwrap().to_owned()
}

const FAILING: &[(&str, &[Result<&str, &str>])] =
    &[("fetch", &[Err("first"), Err("second"), Ok("sum 3")])];

/// Fetches the page once more, then answers.
fn rescue(asked: &Asked) -> Result<Reply, ModelError> {
    Ok(match asked.replies() {
        0 => Reply::call("fetch", json!({"url": "p1"})).using(tokens(20, 5)),
        _ => Reply::text("rescued").using(tokens(30, 6)),
    })
}

/// Two attempts, then the model decides for this step and all later ones.
///
/// PB-07, PB-10
#[tokio::test(start_paused = true)]
async fn a_model_takes_over_after_two_attempts() {
    let bench = Bench::new(&plain(), FAILING);
    let llm = Llm::new(rescue);
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(ran.outcome.status, RunStatus::Ok, "{:?}", ran.outcome);
    assert_eq!(ran.outcome.output.as_deref(), Some("rescued"));
    // Two attempts a second apart, one call of the model, and none of the later steps.
    let tools: Vec<_> = ran.seen.iter().map(|seen| seen.tool.as_str()).collect();
    assert_eq!(tools, ["fetch", "fetch", "fetch"]);
    assert_eq!(ran.gap(0), Duration::from_secs(1));
    assert_eq!(ran.outcome.stats.tally.tokens(), 61);

    let [first, second] = llm.asked().try_into().unwrap();
    assert_eq!(first.tool_names(), ["fetch", "pay"], "no tool of the playbook's own");
    assert!(first.transcript.entries().is_empty(), "the failed attempts are told in words");
    assert_eq!(second.transcript.entries().len(), 2);
    assert_eq!((&first.prompt, &first.system), (&second.prompt, &second.system));

    let report = bench.asking(&llm).report(&ran.inputs, &ran.transcript);
    assert!(report.handed_over && report.error.is_none());
    let [step] = report.step_results.as_slice() else { panic!("{report:?}") };
    assert_eq!((step.action, step.recovered), (StepAction::LlmHandoff, true));
    assert_eq!((step.attempts, step.outcome.clone()), (2, Err("second".into())));
    assert_eq!(step.usage, tokens(50, 11));
    assert_eq!(report.recovery, tokens(50, 11));
}

/// Whatever ends a recovery, the error tells both; what it used and did is kept.
///
/// PB-09
#[tokio::test(start_paused = true)]
async fn a_failed_recovery_tells_both_errors() {
    let whole = |asked: &Asked| Reply::call("fetch", json!({"n": asked.replies()}));
    let cut = || Reply { cut: Some("max_tokens".into()), ..Reply::text("resc") };
    type Then = Box<dyn Fn(&Asked) -> Result<Reply, ModelError> + Send + Sync>;
    let cases: [(Then, &str, u64); 3] = [
        (
            Box::new(|_| Err(ModelError::Rejected { message: "bad key".into() })),
            "the model refused the request: bad key",
            25,
        ),
        (
            Box::new(move |asked| Ok(whole(asked).using(tokens(20, 5)))),
            "no final answer after 3 steps",
            75,
        ),
        (
            Box::new(move |_| Ok(cut().using(tokens(20, 5)))),
            "the final answer is not whole: max_tokens",
            50,
        ),
    ];
    for (then, error, used) in cases {
        let bench = Bench::new(&plain(), FAILING);
        let llm = Llm::new(move |asked| match asked.replies() {
            0 => rescue(asked),
            _ => then(asked),
        });
        let ran = bench.run(bench.asking(&llm)).await;
        assert_eq!(ran.outcome.status, RunStatus::Error);
        assert_eq!(ran.error(), format!("step error: second; recovery error: {error}"));
        assert_eq!(ran.outcome.error.as_ref().unwrap().kind, ErrorKind::Failed);
        assert_eq!(ran.outcome.stats.tally.tokens(), used, "{error}");
        let report = bench.asking(&llm).report(&ran.inputs, &ran.transcript);
        let step = report.step_results.last().unwrap();
        assert_eq!((step.action, step.recovered), (StepAction::LlmHandoff, true));
        assert_eq!(step.action.as_str(), "llm_handoff");
        assert!(step.usage.input_tokens >= 20 && ran.transcript.entries().len() > 5);
    }
}

/// The last reply that a recovery has may make no calls: nobody would read what they answer.
///
/// PB-09
#[tokio::test(start_paused = true)]
async fn a_recovery_has_so_many_replies() {
    for max_steps in [1, 2, 5] {
        let text = plain().replace("max_steps = 3", &format!("max_steps = {max_steps}"));
        let bench = Bench::new(&text, FAILING);
        let llm = Llm::new(|_| Ok(Reply::call("fetch", json!({"url": "p1"}))));
        let playbook = bench.asking(&llm);
        // Two, one and two attempts.
        assert_eq!(playbook.max_replies(), 5 + max_steps);
        let ran = bench.run(playbook).await;
        let error = format!("no final answer after {max_steps} steps");
        assert_eq!(ran.error(), format!("step error: second; recovery error: {error}"));
        assert_eq!(llm.asked().len(), max_steps as usize);
        assert_eq!(ran.seen.len(), 2 + max_steps as usize - 1);
    }
    let text = plain().replace("[recovery]\nmax_steps = 3", "");
    let llm = Llm::new(rescue);
    assert_eq!(Bench::new(&text, &[]).asking(&llm).max_replies(), 15);
    // A model that nothing is handed to gives no replies of its own.
    let bench =
        Bench::new(&GOOD.replace("name = \"report\"", "name = \"report\"\nmodel = \"a:b\""), &[]);
    assert_eq!(bench.asking(&llm).max_replies(), 4);
}

/// The second step fails; what the model is told of the playbook then.
///
/// PB-14
#[tokio::test(start_paused = true)]
async fn the_hand_over_tells_all_but_the_secrets() {
    let bench = Bench::new(ASKING, &[("fetch", &[Ok("sum s3cr3t-value {receipt}")])]);
    let llm = Llm::new(|asked| match asked.reads() {
        true => Ok(submit(json!({"receipt": "1"}))),
        false => Ok(Reply::text("rescued")),
    });
    let audit = MemoryAudit::default();
    let (request, model, _) = bench.request(bench.asking(&llm));
    let executor = Executor::builder().audit(Arc::new(audit.clone())).build();
    let outcome = executor.start(request).unwrap().settled().await.outcome;
    assert_eq!(outcome.status, RunStatus::Ok, "{outcome:?}");
    let asked = llm.asked();
    assert_eq!(
        asked[1].prompt,
        r#"The playbook `invoice` cannot go on by itself: its step 2 failed. Finish it.

## Parameters

page = p1
token = [redacted]

## Step 1, finished: Fetch p1 with [redacted]

Result, known as {text}:
sum [redacted] {receipt}

## Step 2, failed: Read the invoice p1

Read these fields, as a JSON object, from a text:
- total, a number of at least 0: the sum
- currency, a text
The text:
Invoice: sum [redacted] {receipt}, [redacted]
It must hold that the result contains "total".
Attempts: 1
Error: there is no field `receipt`; there are: `total`, `currency`

## Step 3, not run yet: paid

Tool: pay
Arguments: {"key":"[redacted]","sum":"{invoice}"}
It must hold that the result matches the regular expression "ok".

## The final output

This text, with the missing results in the place of their `{names}`:
{invoice} paid: {receipt}
These fields are read from it:
- receipt, a text: its number
"#
    );
    assert!(asked[1].system.contains("You have 3 replies"), "{}", asked[1].system);
    // Nothing that was asked, kept or answered has the secret.
    let records = audit.records(&outcome.run_id);
    let kept = format!("{asked:?} {records:?} {outcome:?} {:?}", *model.last.lock());
    assert!(!kept.contains("s3cr3t"), "{kept}");
}

/// The failed step's call, with its secret as `[redacted]`, and its last error.
///
/// PB-14
#[tokio::test(start_paused = true)]
async fn the_failed_call_is_told() {
    let bench = Bench::new(
        &plain(),
        &[("fetch", &[Ok("sum 3")]), ("pay", &[Err("first"), Ok("no s3cr3t-value")])],
    );
    let llm = Llm::new(|asked| match asked.reads() {
        true => Ok(submit(json!({"total": 3}))),
        false => Ok(Reply::text("rescued")),
    });
    bench.run(bench.asking(&llm)).await;
    let prompt = llm.asked().pop().unwrap().prompt;
    let told = r#"
Result, known as {invoice}:
{"currency":"EUR","total":3}

## Step 3, failed: paid

Tool: pay
Arguments: {"key":"[redacted]","sum":"{\"currency\":\"EUR\",\"total\":3}"}
It must hold that the result matches the regular expression "ok".
Attempts: 2
Error: the result does not match "ok"

## The final output

This text, with the missing results in the place of their `{names}`:
{"currency":"EUR","total":3} paid: {receipt}
"#;
    assert!(prompt.ends_with(told), "{prompt}");
}

/// A long value is cut, wherever it is shown.
#[tokio::test(start_paused = true)]
async fn long_results_are_cut() {
    let long = "x".repeat(100_000);
    let bench = Bench::new(&plain(), &[("fetch", &[Ok(long.as_str())])]);
    let llm = Llm::new(|asked| match asked.reads() {
        true => Ok(Reply::text("no")),
        false => Ok(Reply::text("rescued")),
    });
    bench.run(bench.asking(&llm)).await;
    let [read, handed] = llm.asked().try_into().unwrap();
    assert!(read.prompt.contains(&long), "a text to be read is whole");
    assert!(handed.prompt.contains("… [cut, 100000 bytes in all]"));
    assert!(handed.prompt.len() < 10_000, "{}", handed.prompt.len());
}

/// A call that may have had its effect is not attempted again, and the model is warned.
#[tokio::test(start_paused = true)]
async fn an_open_call_is_handed_over_with_a_warning() {
    let text = plain()
        .replace("name = \"pay\"", "name = \"pay\"\ntimeout = \"1s\"")
        .replace("id = \"paid\"", "id = \"paid\"\nfailure_message = \"Not paid\"");
    let bench = Bench::new(&text, &[("fetch", &[Ok("sum 3")]), ("pay", &[Ok("hang")])]);
    let llm = Llm::new(|asked| match asked.reads() {
        true => Ok(submit(json!({"total": 3}))),
        false => Ok(Reply::text("rescued")),
    });
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(ran.seen.len(), 2);
    let prompt = llm.asked().pop().unwrap().prompt;
    let told = "Attempts: 1\nError: Not paid\nThe call was cut off and may have had its effect";
    assert!(prompt.contains(told), "{prompt}");
}

/// Another instance goes on in the middle of a recovery, with its limit and its question.
///
/// PB-07
#[tokio::test(start_paused = true)]
async fn a_recovery_is_resumed_from_the_transcript() {
    for (max_steps, end) in [
        (3, Ok("rescued")),
        (2, Err("step error: second; recovery error: no final answer after 2 steps")),
    ] {
        let text = plain().replace("max_steps = 3", &format!("max_steps = {max_steps}"));
        let answers = [Err("first"), Err("second"), Ok("hang"), Ok("sum 3"), Ok("sum 4")];
        let bench = Bench::new(&text, &[("fetch", &answers)]);
        let says = |asked: &Asked| match asked.replies() {
            2 => Ok(Reply::text("rescued")),
            said => Ok(Reply::call("fetch", json!({"url": said.to_string()}))),
        };
        let (dead, living) = (Llm::new(says), Llm::new(says));
        let (executor, run) = interrupted(&bench, bench.asking(&dead), 3).await;
        let request = |playbook: Playbook| bench.request(playbook).0;
        let handle = executor.resume(&run, |_| request(bench.asking(&living))).await.unwrap();
        let outcome = handle.settled().await.outcome;
        let error = outcome.error.as_ref().map(|error| error.message.as_str());
        assert_eq!(error.map_or(Ok(outcome.output.as_deref().unwrap()), Err), end);
        // The first life asked once; the second goes on after that reply.
        let replies: Vec<_> = living.asked().iter().map(Asked::replies).collect();
        assert_eq!(dead.asked().len(), 1);
        assert_eq!(replies, if max_steps == 3 { vec![1, 2] } else { vec![1] });
        assert_eq!(living.asked()[0].prompt, dead.asked()[0].prompt);
    }
}

/// Modes that hand nothing over do so with a model, too.
///
/// PB-05, PB-06
#[tokio::test(start_paused = true)]
async fn abort_and_retry_hand_nothing_over() {
    for (mode, attempts) in [("abort", 1), ("retry", 2)] {
        let text =
            plain().replace("id = \"page\"", &format!("id = \"page\"\non_failure = \"{mode}\""));
        let bench = Bench::new(&text, FAILING);
        let llm = Llm::new(rescue);
        let ran: Ran = bench.run(bench.asking(&llm)).await;
        assert_eq!(ran.outcome.status, RunStatus::Error);
        assert_eq!((ran.seen.len(), llm.asked().len()), (attempts, 0));
    }
}
