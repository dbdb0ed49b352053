//! Conversations: whatever a transcript holds, a provider can read it.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::transcript::{Acted, Artifact, ArtifactBody, CallOutcome, Steer};
use executus_core::{
    Brief, Call, Entry, Reply, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Toolbox,
    Transcript,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answered, Conversation, Message};

struct Named(ToolSpec);

#[async_trait]
impl Tool for Named {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &ToolContext, _: &Value) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::default())
    }
}

fn tools(names: &[&str]) -> Toolbox {
    let tool = |name: &&str| Arc::new(Named(ToolSpec::new(*name, "…"))) as Arc<dyn Tool>;
    Toolbox::new(names.iter().map(tool)).unwrap()
}

fn build(entries: impl IntoIterator<Item = Entry>) -> Conversation {
    let mut transcript = Transcript::default();
    entries.into_iter().for_each(|entry| transcript.push(entry));
    Conversation::build(
        &Brief::new("the task").system("be kind"),
        &transcript,
        &tools(&["fs.read"]),
    )
}

fn reply(text: &str, calls: &[(&str, &str)]) -> Entry {
    let call = |&(id, name): &(&str, &str)| Call {
        id: id.into(),
        name: name.into(),
        args: json!({ "a": 1 }),
        ..Call::default()
    };
    let calls = calls.iter().map(call).collect();
    Entry::Reply(Arc::new(Reply { text: text.into(), calls, ..Reply::default() }))
}

fn outcome(call: u32, outcome: CallOutcome) -> Entry {
    let (id, name) = ("".into(), "f".into());
    Entry::Result(Arc::new(Acted { step: 1, call, id, name, outcome, duration_ms: 0 }))
}

fn output(call: u32, text: &str) -> Entry {
    outcome(call, CallOutcome::Output(ToolOutput::text(text)))
}

fn answers(conversation: &Conversation) -> Vec<&Answered> {
    let results = conversation.messages.iter().filter_map(|message| match message {
        Message::Results(results) => Some(results),
        Message::User(_) | Message::Assistant { .. } => None,
    });
    results.flatten().collect()
}

fn ids(conversation: &Conversation) -> Vec<&str> {
    answers(conversation).iter().map(|answer| &*answer.id).collect()
}

#[test]
fn the_task_comes_first() {
    let conversation = build([]);
    assert_eq!(conversation.system.as_deref(), Some("be kind"));
    assert!(matches!(&conversation.messages[..], [Message::User(task)] if task == "the task"));
    assert_eq!(&*conversation.tools[0].name, "fs.read");
}

#[test]
fn an_empty_system_is_none() {
    let brief = Brief::new("the task").system(" \n");
    let conversation = Conversation::build(&brief, &Transcript::default(), &Toolbox::default());
    assert_eq!(conversation.system, None);
}

#[test]
fn calls_are_followed_by_their_answers_in_order() {
    let conversation = build([
        reply("Looking.", &[("a", "f"), ("b", "g")]),
        output(1, "second"),
        output(0, "first"),
        reply("Done.", &[]),
    ]);
    let [_, Message::Assistant { text, calls }, Message::Results(results), last] =
        &conversation.messages[..]
    else {
        panic!("{:?}", conversation.messages)
    };
    assert_eq!(text, "Looking.");
    assert_eq!((&*calls[0].id, &*calls[0].name, &calls[0].args), ("a", "f", &json!({ "a": 1 })));
    let texts: Vec<_> = results.iter().map(|result| (&*result.id, &*result.text)).collect();
    assert_eq!(texts, [("a", "first"), ("b", "second")]);
    assert_eq!(&*results[1].name, "g", "the name is that of the call");
    assert!(
        matches!(last, Message::Assistant { text, calls } if text == "Done." && calls.is_empty())
    );
}

#[test]
fn every_outcome_is_told() {
    let artifact = Artifact {
        name: "plan.md".into(),
        media_type: "text/markdown".into(),
        body: ArtifactBody::Inline("…".into()),
    };
    let artifact = Arc::new(artifact);
    let data = Some(json!({ "n": 1 }));
    let with = |text: &str, data, artifacts| {
        CallOutcome::Output(ToolOutput { text: text.into(), data, artifacts })
    };
    for (made, text, is_error) in [
        (with("told", data.clone(), vec![]), "told", false),
        (with("", data, vec![]), "{\"n\":1}", false),
        (with("", None, vec![]), "", false),
        (with("told", None, vec![artifact.clone()]), "told\n[artifact: plan.md]", false),
        (with("", None, vec![artifact]), "[artifact: plan.md]", false),
        (CallOutcome::Failed(ToolError::failed("no such file")), "no such file", true),
        (CallOutcome::Failed(ToolError::arguments("no `a`")), "bad arguments: no `a`", true),
    ] {
        let conversation = build([reply("", &[("a", "f")]), outcome(0, made)]);
        let answer = answers(&conversation)[0];
        assert_eq!((&*answer.text, answer.is_error), (text, is_error));
    }
    let conversation = build([reply("", &[("a", "f")]), outcome(0, CallOutcome::Unknown)]);
    let answer = answers(&conversation)[0];
    assert!(answer.is_error && answer.text.contains("unknown"), "{answer:?}");
}

#[test]
fn a_call_without_an_answer_gets_one() {
    let conversation = build([reply("", &[("a", "f"), ("b", "f")]), output(1, "second")]);
    let answers = answers(&conversation);
    assert!(answers[0].is_error);
    assert_eq!(answers[1].text, "second");
}

#[test]
fn a_result_without_its_call_is_left_out() {
    let steer = Entry::Steer(Arc::new(Steer { source: "critic".into(), text: "hurry".into() }));
    let conversation = build([steer, output(0, "lost"), reply("Done.", &[]), output(0, "lost")]);
    assert_eq!(conversation.messages.len(), 3);
    assert!(answers(&conversation).is_empty());
}

#[test]
fn steering_names_its_source() {
    let steer =
        |text: &str| Entry::Steer(Arc::new(Steer { source: "critic".into(), text: text.into() }));
    let conversation = build([steer("hurry"), reply("", &[]), steer("stop")]);
    let texts: Vec<_> = conversation
        .messages
        .iter()
        .map(|message| match message {
            Message::User(text) => &**text,
            other => panic!("an empty reply is no message: {other:?}"),
        })
        .collect();
    assert_eq!(texts, ["the task", "[critic] hurry", "[critic] stop"]);
}

#[test]
fn odd_ids_are_replaced() {
    let long = "x".repeat(65);
    let calls = [("", "f"), ("has space", "f"), ("ä", "f"), (&*long, "f"), ("fine_-9", "f")];
    let conversation = build([reply("", &calls)]);
    assert_eq!(ids(&conversation), ["call_1_0", "call_1_1", "call_1_2", "call_1_3", "fine_-9"]);
}

#[test]
fn ids_are_used_once() {
    let conversation = build([
        reply("", &[("a", "f"), ("a", "f"), ("call_2_1", "f")]),
        reply("", &[("a", "f"), ("", "f"), ("call_1_1", "f")]),
    ]);
    let ids = ids(&conversation);
    assert_eq!(ids, ["a", "call_1_1", "call_2_1", "call_2_0", "call_2_1x", "call_2_2"]);
}

#[test]
fn names_that_no_tool_has_are_made_plain() {
    let long = "x".repeat(100);
    let calls = [("", "fs.read"), ("", "functions.f"), ("", ""), ("", &*long), ("", "ärger")];
    let conversation = build([reply("", &calls)]);
    let names: Vec<_> = answers(&conversation).iter().map(|answer| answer.name.clone()).collect();
    assert_eq!(names[..3], ["fs.read".into(), "functions_f".into(), Arc::from("unnamed")]);
    assert_eq!((names[3].len(), &*names[4]), (64, "_rger"));
}

#[test]
fn arguments_are_an_object() {
    let call = Call { args: json!([1]), signature: Some("s".into()), ..Call::default() };
    let reply = Reply { calls: vec![call], ..Reply::default() };
    let conversation = build([Entry::Reply(Arc::new(reply))]);
    let Message::Assistant { calls, .. } = &conversation.messages[1] else { panic!() };
    assert_eq!(calls[0].args, json!({}));
    assert_eq!(calls[0].signature.as_deref(), Some("s"));
}

fn entry() -> impl Strategy<Value = Entry> {
    let id = prop_oneof![Just(String::new()), "[ab]", "call_[123]_[012]", ".{0,4}"];
    let calls = vec((id, "[a-z.]{0,3}"), 0..4);
    prop_oneof![
        ("[a-z]{0,2}", calls).prop_map(|(text, calls)| {
            let calls: Vec<_> = calls.iter().map(|(id, name)| (&**id, &**name)).collect();
            reply(&text, &calls)
        }),
        (0_u32..4, "[a-z]{0,2}").prop_map(|(call, text)| output(call, &text)),
        Just(outcome(0, CallOutcome::Unknown)),
        Just(Entry::Steer(Arc::new(Steer { source: "critic".into(), text: "hm".into() }))),
    ]
}

proptest! {
    /// What the dialects rely on holds for any transcript.
    #[test]
    fn any_transcript_is_a_conversation(entries in vec(entry(), 0..12)) {
        let conversation = build(entries);
        prop_assert!(matches!(conversation.messages[0], Message::User(_)));
        let mut seen = std::collections::HashSet::new();
        let mut messages = conversation.messages.iter().peekable();
        while let Some(message) = messages.next() {
            match message {
                Message::User(_) => {}
                Message::Results(_) => prop_assert!(false, "results without calls"),
                Message::Assistant { text, calls } if calls.is_empty() => {
                    prop_assert!(!text.is_empty());
                }
                Message::Assistant { calls, .. } => {
                    let Some(Message::Results(results)) = messages.next() else {
                        return Err(TestCaseError::fail("calls without results"));
                    };
                    let asked: Vec<_> = calls.iter().map(|call| (&call.id, &call.name)).collect();
                    let answered: Vec<_> = results.iter().map(|one| (&one.id, &one.name)).collect();
                    prop_assert_eq!(asked, answered);
                    for call in calls {
                        prop_assert!(seen.insert(&call.id), "{} twice", call.id);
                        prop_assert!((1..=64).contains(&call.id.len()) && !call.name.is_empty());
                        prop_assert!(call.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
                    }
                }
            }
        }
    }
}
