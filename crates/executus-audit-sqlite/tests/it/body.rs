//! What a record says to people.

use std::sync::Arc;

use executus_core::record::{Answer, Attempt, Decided, Gate, Phase, Stop};
use executus_core::transcript::{Acted, Artifact, ArtifactBody, CallOutcome, Steer};
use executus_core::{
    Effect, ErrorKind, Fact, Key, Reply, RunError, RunStatus, ToolError, ToolOutput, Usage,
};
use executus_testkit::sample;
use serde_json::{Value, json};

use crate::bench::{Bench, id, of_call};

async fn bodies(facts: Vec<Fact>) -> Vec<(String, Value)> {
    let (bench, run) = (Bench::new(), id("a"));
    let recorder = bench.start(&sample::start(&run, 1)).await;
    for (fact, seq) in facts.into_iter().zip(1..) {
        recorder.record(&sample::at(&run, seq, Key::step(1), fact)).unwrap();
    }
    recorder.flush().await.unwrap();
    let records = bench.audit.records(&run).await.unwrap();
    records.into_iter().map(|record| (record.kind, record.body)).collect()
}

fn decided() -> Fact {
    let reply = Reply::text("let me look")
        .and_call("read", json!({"path": "a.txt"}))
        .and_call("login", json!({"user": "bob", "password": "hunter2hunter2"}))
        .using(Usage { input_tokens: 7, output_tokens: 2, ..Usage::default() });
    let effects = vec![Effect::ReadOnly, Effect::Once];
    Fact::Decided(Decided { step: 1, reply: Arc::new(reply), effects })
}

fn acted(call: u32, name: &str, outcome: CallOutcome) -> Fact {
    let id = "".into();
    Fact::Acted(Arc::new(Acted { step: 1, call, id, name: name.into(), outcome, duration_ms: 12 }))
}

#[tokio::test]
async fn a_call_is_one_record_with_tool_arguments_result_and_time() {
    let mut output = ToolOutput::text("Authorization: Bearer abcdefgh1234");
    output.data = Some(json!({"lines": 3, "token": "abc"}));
    output.artifacts = vec![Arc::new(Artifact {
        name: "report".into(),
        media_type: "text/plain".into(),
        body: ArtifactBody::Inline("text".into()),
    })];
    let bodies = bodies(vec![
        decided(),
        Fact::Started { step: 1, call: 1 },
        acted(1, "login", CallOutcome::Failed(ToolError::Timeout { limit_ms: 50 })),
        acted(0, "read", CallOutcome::Output(output)),
        decided(),
        acted(0, "read", CallOutcome::Unknown),
    ])
    .await;
    let call = |args: Value, name: &str| json!({"id": "", "name": name, "args": args});
    let login = json!({"user": "bob", "password": "[redacted]"});
    assert_eq!(
        bodies[0].1,
        json!({
            "text": "let me look",
            "calls": [call(json!({"path": "a.txt"}), "read"), call(login.clone(), "login")],
            "usage": {"input_tokens": 7, "output_tokens": 2, "thinking_tokens": 0,
                      "cached_tokens": 0, "cost_micros": 0},
        })
    );
    assert_eq!(bodies[1].1, json!({"tool": "login", "args": login}));
    assert_eq!(
        bodies[2],
        (
            "acted".into(),
            json!({"tool": "login", "args": login, "duration_ms": 12,
                "error": {"kind": "timeout", "message": "no result within 50 ms", "retryable": true}})
        )
    );
    assert_eq!(
        bodies[3].1,
        json!({"tool": "read", "args": {"path": "a.txt"}, "duration_ms": 12,
        "result": {
            "text": "Authorization: Bearer [redacted]",
            "data": {"lines": 3, "token": "[redacted]"},
            "artifacts": [{"name": "report", "media_type": "text/plain",
                           "body": {"inline": "text"}}],
        }})
    );
    assert_eq!(
        bodies[5].1,
        json!({"tool": "read", "args": {"path": "a.txt"}, "unknown": true, "duration_ms": 12})
    );
}

#[tokio::test]
async fn every_other_fact_is_readable_too() {
    let error = RunError::new(ErrorKind::Model, "password: correcthorse");
    let stop = Stop { status: RunStatus::Error, error: Some(error.clone()) };
    let bodies = bodies(vec![
        Fact::Opened(Arc::new(sample::spec(&id("a")))),
        Fact::Admitted(Gate::Record),
        Fact::Refused { gate: Gate::Reserve, stop: stop.clone(), unknown: true },
        Fact::Attempted(Arc::new(Attempt {
            step: 1,
            model: "small".into(),
            error: "password: correcthorse".into(),
            usage: Usage { input_tokens: 7, ..Usage::default() },
        })),
        Fact::Undecided { step: 1, error },
        Fact::Asked { step: 1, call: 0, until: sample::BEGIN },
        Fact::Answered(Arc::new(
            Answer::no(1, 0, "ann").because("password: correcthorse").at(sample::BEGIN),
        )),
        Fact::Steered(Arc::new(Steer { source: "critic".into(), text: "hurry".into() })),
        Fact::Stopped(stop),
        Fact::Settled { phase: Phase::Deliver, error: Some("no host".into()) },
        Fact::Settled { phase: Phase::Finished, error: None },
        Fact::Resumed { from_seq: 8, attempt: 2, deadline: sample::BEGIN },
    ])
    .await;
    let failure = json!({"kind": "model", "message": "password: [redacted]", "retryable": false});
    assert_eq!(bodies[0].1["caller_id"], "someone");
    assert_eq!(bodies[0].1["inputs"], json!({"question": "how many?"}));
    let rest: Vec<_> = bodies.into_iter().skip(1).collect();
    let expected = [
        ("admitted", json!({"gate": "record"})),
        (
            "refused",
            json!({"gate": "reserve", "status": "error", "error": failure, "unknown": true}),
        ),
        (
            "attempted",
            json!({
                "model": "small", "error": "password: [redacted]",
                "usage": {"input_tokens": 7, "output_tokens": 0, "thinking_tokens": 0,
                          "cached_tokens": 0, "cost_micros": 0},
            }),
        ),
        ("undecided", json!({"error": failure})),
        ("asked", json!({"until": sample::BEGIN.as_micros()})),
        (
            "answered",
            json!({
                "approved": false, "by": "ann", "reason": "password: [redacted]",
                "given_at": sample::BEGIN.as_micros(),
            }),
        ),
        ("steered", json!({"source": "critic", "text": "hurry"})),
        ("stopped", json!({"status": "error", "error": failure})),
        ("settled", json!({"phase": "deliver", "error": "no host"})),
        ("settled", json!({"phase": "finished"})),
        ("resumed", json!({"from_seq": 8, "attempt": 2, "deadline": sample::BEGIN.as_micros()})),
    ];
    assert_eq!(rest, expected.map(|(kind, body)| (kind.to_owned(), body)));
}

#[tokio::test]
async fn a_later_life_knows_the_arguments_of_calls_under_way() {
    let (bench, run) = (Bench::new(), id("a"));
    let first = bench.start(&sample::start(&run, 1)).await;
    first.record(&of_call(&run, 1, 0, decided())).unwrap();
    first.flush().await.unwrap();
    drop(first);
    let second = bench.start(&sample::start(&run, 2)).await;
    second.record(&sample::resumed(&run, 2, 2)).unwrap();
    let output = CallOutcome::Output(ToolOutput::text("ok"));
    second.record(&of_call(&run, 3, 0, acted(0, "read", output))).unwrap();
    second.flush().await.unwrap();
    let records = bench.audit.records(&run).await.unwrap();
    assert_eq!(records[2].body["args"], json!({"path": "a.txt"}));
    assert_eq!(records[2].key.call, Some(0));
}
