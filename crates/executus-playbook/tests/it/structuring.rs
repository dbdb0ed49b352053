//! Output that a model reads into fields.

use executus_core::{ErrorKind, Reply, RunStatus};
use serde_json::json;

use crate::support::{ASKING, Asked, Bench, Llm, away, submit, tokens};

const ANSWERS: &[(&str, &[Result<&str, &str>])] =
    &[("fetch", &[Ok("sum 12.5")]), ("pay", &[Ok("ok 7")])];

/// Whether the question is the final one.
fn is_final(asked: &Asked) -> bool {
    asked.reads() && asked.prompt.contains("the output of the playbook")
}

/// The tokens of an extract step and of the final structuring add up.
///
/// PB-12
#[tokio::test(start_paused = true)]
async fn tokens_of_a_step_and_of_the_structuring_add_up() {
    let bench = Bench::new(ASKING, ANSWERS);
    let llm = Llm::new(|asked| match is_final(asked) {
        true => Ok(submit(json!({"receipt": "7"})).using(tokens(3, 2))),
        false => Ok(submit(json!({"total": 12.5})).using(tokens(11, 7))),
    });
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(ran.outcome.status, RunStatus::Ok, "{:?}", ran.outcome);
    let tally = ran.outcome.stats.tally;
    assert_eq!((tally.input_tokens, tally.output_tokens), (14, 9));
    assert_eq!(ran.outcome.output.as_deref(), Some("{\n  \"receipt\": \"7\"\n}"));
    let [_, last] = llm.asked().try_into().unwrap();
    let text = r#"{"currency":"EUR","total":12.5} paid: ok 7"#;
    let task = "This is the output of the playbook `invoice`.";
    assert_eq!(last.prompt, format!("{task}\n\nThe text:\n\n{text}"));
    // Steps and the final reply: the structuring shares it.
    assert_eq!(tally.steps, 4);
}

/// Without a template the last step's text is read.
#[tokio::test(start_paused = true)]
async fn the_last_text_is_read_without_a_template() {
    let text = ASKING.replace("template = \"{invoice} paid: {receipt}\"", "");
    let bench = Bench::new(&text, ANSWERS);
    let llm = Llm::new(|asked| match is_final(asked) {
        true => Ok(submit(json!({"receipt": "7"}))),
        false => Ok(submit(json!({"total": 12.5}))),
    });
    let ran = bench.run(bench.asking(&llm)).await;
    assert_eq!(ran.outcome.output.as_deref(), Some("{\n  \"receipt\": \"7\"\n}"));
    assert!(llm.asked()[1].prompt.ends_with("The text:\n\nok 7"));
}

/// It ends the run as failed; what was used counts.
#[tokio::test(start_paused = true)]
async fn an_output_that_does_not_fit_its_fields_fails() {
    for (says, error, used) in [
        (Ok(submit(json!({"receipt": 7}))), "`receipt` is not a text", 36),
        (Ok(Reply::text("7").using(tokens(3, 2))), "the model did not call `submit_fields`", 23),
        (Err(away("gone")), "the model is not available: gone", 18),
    ] {
        let bench = Bench::new(ASKING, ANSWERS);
        let llm = Llm::new(move |asked| match is_final(asked) {
            true => says.clone(),
            false => Ok(submit(json!({"total": 12.5}))),
        });
        let ran = bench.run(bench.asking(&llm)).await;
        assert_eq!(ran.outcome.status, RunStatus::Error);
        assert_eq!(ran.error(), format!("the output could not be put into its fields: {error}"));
        assert_eq!(ran.outcome.error.as_ref().unwrap().kind, ErrorKind::Failed);
        assert_eq!(ran.outcome.stats.tally.tokens(), used, "{error}");
    }
}

/// The final text of a recovery is read into the fields as well.
///
/// PB-12
#[tokio::test(start_paused = true)]
async fn a_recovered_playbook_is_structured_too() {
    for (fields, used, end) in [
        (json!({"receipt": "9"}), 5 + 18, Ok("{\n  \"receipt\": \"9\"\n}")),
        (
            json!({}),
            5 + 18,
            Err("step error: second; recovery error: \
                 the output could not be put into its fields: `receipt` is missing"),
        ),
    ] {
        let bench = Bench::new(ASKING, &[("fetch", &[Err("first"), Err("second")])]);
        let llm = Llm::new(move |asked| match is_final(asked) {
            true => Ok(submit(fields.clone())),
            false => Ok(Reply::text("paid, number 9").using(tokens(3, 2))),
        });
        let ran = bench.run(bench.asking(&llm)).await;
        let error = ran.outcome.error.as_ref().map(|error| error.message.as_str());
        assert_eq!(error.map_or(Ok(ran.outcome.output.as_deref().unwrap()), Err), end);
        assert_eq!(ran.outcome.stats.tally.tokens(), used);
        assert!(llm.asked()[1].prompt.ends_with("The text:\n\npaid, number 9"));
    }
}
