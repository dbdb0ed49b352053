//! Steps in which a model reads a text into fields.

use std::time::Duration;

use executus_core::{Entry, ModelError, Reply, RunStatus};
use executus_playbook::StepAction;
use serde_json::json;

use crate::support::{ASKING, Bench, Llm, Ran, away, interrupted, submit, tokens};

/// The file without its recovery and its output fields: `read` fails as this says.
fn reading(on_failure: &str) -> String {
    let text = ASKING.split("[output.fields]").next().unwrap();
    let text = text.replace("verify = { contains = \"total\" }", "");
    text.replace("id = \"read\"", &format!("id = \"read\"\non_failure = \"{on_failure}\""))
}

const ANSWERS: &[(&str, &[Result<&str, &str>])] =
    &[("fetch", &[Ok("sum 12.5")]), ("pay", &[Ok("ok 7")])];

/// The reply in which the playbook makes this call.
fn reply(ran: &Ran, id: &str) -> Reply {
    let mut entries = ran.transcript.entries().iter();
    let found = entries.find_map(|entry| match entry {
        Entry::Reply(reply) if reply.calls.iter().any(|call| *call.id == *id) => Some(reply),
        _ => None,
    });
    Reply::clone(found.unwrap_or_else(|| panic!("no call {id}: {:?}", ran.transcript)))
}

#[tokio::test(start_paused = true)]
async fn a_text_becomes_an_object() {
    let bench = Bench::new(&reading("abort"), ANSWERS);
    let said = Reply { model: Some("a:b-2".into()), ..submit(json!({"total": 12.5})) };
    let llm = Llm::replying([said]);
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(ran.outcome.status, RunStatus::Ok, "{:?}", ran.outcome);
    let object = r#"{"currency":"EUR","total":12.5}"#;
    assert_eq!(ran.outcome.output, Some(format!("{object} paid: ok 7")));
    assert_eq!(ran.seen[1].args, json!({"sum": object, "key": "s3cr3t-value"}));
    assert_eq!(ran.outcome.stats.tally.tokens(), 18);

    // It is a call like any other, with what the model used.
    let reply = reply(&ran, "read#1");
    assert_eq!(reply.text, "Read the invoice p1");
    assert_eq!((reply.usage, reply.model.as_deref()), (tokens(11, 7), Some("a:b-2")));
    assert_eq!(reply.calls[0].args, json!({"currency": "EUR", "total": 12.5}));
    let result = &bench.asking(&llm).report(&ran.inputs, &ran.transcript).step_results[1];
    assert_eq!((result.action, result.attempts), (StepAction::Extract, 1));
    assert_eq!((result.outcome.as_deref(), result.usage), (Ok(object), tokens(11, 7)));
    assert!(!result.recovered);
}

/// The model sees the text and the fields alone, and no secret.
#[tokio::test(start_paused = true)]
async fn the_question_is_the_text_and_the_fields() {
    let bench = Bench::new(&reading("abort"), ANSWERS);
    let llm = Llm::replying([submit(json!({"total": 12.5}))]);
    bench.run(bench.asking(&llm)).await;
    let [asked] = llm.asked().try_into().unwrap();
    assert_eq!(asked.prompt, "Read the invoice p1\n\nThe text:\n\nInvoice: sum 12.5, [redacted]");
    assert!(asked.system.contains("Call the tool `submit_fields` once"), "{}", asked.system);
    assert!(asked.transcript.entries().is_empty());
    let [tool] = asked.tools.as_slice() else { panic!("{:?}", asked.tools) };
    assert_eq!(&*tool.name, "submit_fields");
    assert_eq!(
        *tool.parameters,
        json!({
            "type": "object",
            "properties": {
                "total": {"type": "number", "minimum": 0, "description": "the sum"},
                "currency": {"type": "string", "default": "EUR"},
            },
            "required": ["total"],
            "additionalProperties": false,
        })
    );
}

/// Whatever the model does instead is the step's error, and what it used counts.
#[tokio::test(start_paused = true)]
async fn a_bad_answer_is_the_error_of_the_step() {
    let broken = |mut reply: Reply| {
        reply.calls[0].broken = Some("no JSON".into());
        reply
    };
    let cut = Reply { cut: Some("max_tokens".into()), ..Reply::text("a") };
    for (said, error) in [
        (Ok(Reply::text("12.5")), "the model did not call `submit_fields`"),
        (Ok(cut), "the model's answer is not whole: max_tokens"),
        (Ok(submit(json!({}))), "`total` is missing"),
        (Ok(submit(json!({"total": "12"}))), "`total` is not a number of at least 0"),
        (Ok(submit(json!({"total": -1}))), "`total` is not a number of at least 0"),
        (
            Ok(submit(json!({"total": 1, "vat": 2}))),
            "there is no field `vat`; there are: `total`, `currency`",
        ),
        (Ok(submit(json!([1]))), "the fields are not an object"),
        (Ok(broken(submit(json!({})))), "no JSON"),
        (
            Ok(Reply::call("fetch", json!({}))),
            "the model called `fetch` instead of `submit_fields`",
        ),
        (
            Ok(submit(json!({"total": 1})).and_call("submit_fields", json!({"total": 2}))),
            "the model made 2 calls instead of one",
        ),
        (Err(away("s3cr3t-value")), "the model is not available: [redacted]"),
    ] {
        let bench = Bench::new(&reading("abort"), ANSWERS);
        let used = said.as_ref().map_or(0, |_| 13);
        let said = said.map(|reply| reply.using(tokens(9, 4)));
        let llm = Llm::new(move |_| said.clone());
        let ran = bench.run(bench.asking(&llm)).await;
        assert_eq!(ran.error(), format!("step 2 \"Read the invoice p1\" failed: {error}"));
        assert_eq!(ran.outcome.stats.tally.tokens(), used, "{error}");
        assert_eq!(llm.asked().len(), 1, "abort is one attempt");
        // The failure is on record as the answer to the step's call.
        let reply = reply(&ran, "read#1");
        assert_eq!(reply.calls[0].broken.as_deref(), Some(error));
        assert_eq!(&*reply.calls[0].name, "submit_fields");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_submitted_in_vain_can_be_read() {
    let bench = Bench::new(&reading("abort"), ANSWERS);
    let llm = Llm::replying([submit(json!({"total": "s3cr3t-value"}))]);
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(reply(&ran, "read#1").calls[0].args, json!({"total": "[redacted]"}));
}

#[tokio::test(start_paused = true)]
async fn retry_asks_twice() {
    for (answers, error) in [
        ([json!({}), json!({"total": 1})], ""),
        (
            [json!({}), json!([])],
            "step 2 \"Read the invoice p1\" failed: the fields are not an object",
        ),
    ] {
        let bench = Bench::new(&reading("retry"), ANSWERS);
        let llm = Llm::replying(answers.map(submit));
        let ran = bench.run(bench.asking(&llm).retry_delay(Duration::from_secs(3))).await;
        assert_eq!(ran.error(), error);
        assert_eq!(llm.asked().len(), 2);
        assert_eq!(ran.outcome.stats.tally.tokens(), 36);
        let report = bench.asking(&llm).report(&ran.inputs, &ran.transcript);
        assert_eq!(
            (report.step_results[1].attempts, report.step_results[1].usage),
            (2, tokens(22, 14))
        );
    }
}

/// PB-08
#[tokio::test(start_paused = true)]
async fn an_extract_step_is_handed_off_after_one_attempt() {
    let bench = Bench::new(&reading("llm_recover"), ANSWERS);
    let llm = Llm::new(|asked| match asked.reads() {
        true => Ok(submit(json!({}))),
        false => Ok(Reply::text("rescued")),
    });
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(ran.outcome.output.as_deref(), Some("rescued"));
    let [read, recovered] = llm.asked().try_into().unwrap();
    assert!(read.reads() && !recovered.reads());
    let report = bench.asking(&llm).report(&ran.inputs, &ran.transcript);
    let last = report.step_results.last().unwrap();
    assert_eq!((last.number, last.attempts, last.recovered), (2, 1, true));
    assert_eq!(last.outcome, Err("`total` is missing".into()));
}

/// The object is verified as the text that it is.
#[tokio::test(start_paused = true)]
async fn an_object_is_verified() {
    let text = reading("abort").replace(
        "store_as = \"invoice\"",
        "store_as = \"invoice\"\nverify = { matches = '\"total\":\\d' }",
    );
    for (total, error) in [
        (json!(12.5), ""),
        (
            json!(null),
            "step 2 \"Read the invoice p1\" failed: the result does not match \"\"total\":\\d\"",
        ),
    ] {
        let text = text.replace(
            "total = { type = \"number\", min = 0, description = \"the sum\" }",
            "total = { type = \"number\", default = -1 }",
        );
        let bench = Bench::new(&text, ANSWERS);
        let fields = if total.is_null() { json!({}) } else { json!({"total": total}) };
        let ran = bench.run(bench.asking(&Llm::replying([submit(fields)]))).await;
        assert_eq!(ran.error(), error);
    }
}

/// A text that was read is not read again after an interruption.
#[tokio::test(start_paused = true)]
async fn a_resumed_playbook_has_its_fields() {
    let text =
        reading("abort").replace("name = \"pay\"", "name = \"pay\"\neffect = \"idempotent\"");
    let bench = Bench::new(&text, &[("fetch", &[Ok("sum 3")]), ("pay", &[Ok("hang"), Ok("ok 7")])]);
    let llm = Llm::replying([submit(json!({"total": 3}))]);
    let (executor, run) = interrupted(&bench, bench.asking(&llm), 2).await;
    let deaf = Llm::replying([]);
    let handle = executor.resume(&run, |_| bench.request(bench.asking(&deaf)).0).await.unwrap();
    let outcome = handle.settled().await.outcome;
    let output = r#"{"currency":"EUR","total":3} paid: ok 7"#;
    assert_eq!(outcome.output.as_deref(), Some(output), "{outcome:?}");
    assert!(deaf.asked().is_empty());
}

/// A host that forgets the playbook's own tools reads so in the error.
#[tokio::test(start_paused = true)]
async fn without_its_tool_the_step_fails() {
    let bench = Bench::new(&reading("abort"), ANSWERS);
    let llm = Llm::replying([submit(json!({"total": 1}))]);
    let (request, ..) = bench.request(bench.asking(&llm));
    let request = request.tools(bench.tools.clone());
    let executor = executus_core::Executor::new(executus_core::Ports::default());
    let outcome = executor.start(request).unwrap().settled().await.outcome;
    let message = &outcome.error.as_ref().unwrap().message;
    assert!(message.contains("there is no tool `submit_fields`"), "{message}");
}

#[test]
fn own_tools_are_there_when_a_step_needs_them() {
    let llm = Llm::new(|_| Err(ModelError::Failed { message: "not asked".into() }));
    let bench = Bench::new(ASKING, &[]);
    let tools = bench.asking(&llm).tools();
    let names: Vec<_> = tools.iter().map(|tool| tool.spec().name.to_string()).collect();
    assert_eq!(names, ["submit_fields"]);
    let plain = Bench::new(crate::support::GOOD, &[]);
    assert!(plain.playbook().tools().is_empty());
}
