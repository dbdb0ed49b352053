//! What readers get of a record.

use std::sync::Arc;

use executus_core::record::{Decided, Fact};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{
    Effect, Executor, Key, Ports, Reply, RunId, RunRequest, RunStatus, ToolOutput,
};
use executus_stream::{Hub, LiveEvents, LiveItem, StreamEvent};
use executus_testkit::sample;
use executus_testkit::scripted::ScriptedModel;
use serde_json::json;

/// What a reader of these facts gets.
async fn shown(facts: Vec<Fact>) -> Vec<StreamEvent> {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let publisher = hub.publisher(&run, 0);
    let mut reader = hub.subscribe(&run, 0).unwrap();
    for (seq, fact) in (1..).zip(facts) {
        let key = Key { step: 7, call: Some(0), args: None };
        publisher.record(&sample::at(&run, seq, key, fact));
    }
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    let mut all = Vec::new();
    while let Some(LiveItem::Event(event)) = reader.next().await.unwrap() {
        all.push(event);
    }
    all
}

fn decided(reply: Reply) -> Fact {
    Fact::Decided(Decided { step: 7, reply: Arc::new(reply), effects: vec![Effect::Once] })
}

/// AL-09
#[tokio::test]
async fn neither_raw_input_nor_reasoning_is_shown() {
    let run = RunId::new("a-run").unwrap();
    let spec = sample::spec_with(&run, json!({"raw": "input-of-run"}));
    let mut reply = Reply::call("browser_dom", json!({"action": "click", "raw": "input-of-call"}));
    reply.text = "reasoning of the model".into();
    let acted = Acted {
        step: 7,
        call: 0,
        id: "".into(),
        name: "browser_dom".into(),
        outcome: CallOutcome::Output(ToolOutput::text("clicked, password=hunter2hunter2")),
        duration_ms: 12,
    };
    let facts = vec![
        Fact::Opened(Arc::new(spec)),
        decided(reply),
        Fact::Started { step: 7, call: 0 },
        Fact::Acted(Arc::new(acted)),
        decided(Reply::text("the answer")),
    ];
    let events = shown(facts).await;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [Some(1), Some(2), Some(3), Some(4), Some(5), None]);
    for event in &events {
        for hidden in ["input-of-run", "input-of-call", "reasoning", "hunter2"] {
            assert!(!event.data.contains(hidden), "{}: {}", event.kind, event.data);
        }
        assert!(!event.data.contains('\n'), "one line");
    }
    let data = |at: usize| events[at].json()["data"].clone();
    assert_eq!(data(1)["calls"], json!([{"name": "browser_dom"}]));
    assert_eq!(data(2)["tool"], "browser_dom");
    assert_eq!(data(3)["result"], json!({"text": "clicked, password=[redacted]"}));
    assert_eq!((&data(3)["step"], &data(3)["call"]), (&json!(7), &json!(0)));
    assert_eq!(data(4)["text"], "the answer");
}

#[tokio::test]
async fn pieces_are_shown_until_their_step_is_decided() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let publisher = hub.publisher(&run, 0);
    let mut reader = hub.subscribe(&run, 0).unwrap();
    let model = ScriptedModel::new([Reply::text("a b")]);
    let mut request = RunRequest::new(Arc::new(model));
    let events = request.watch(64);
    let handle = Executor::new(Ports::default()).start(request).unwrap();
    drop(handle.settled().await);
    hub.watch(&run, events).await;
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    let mut kinds = Vec::new();
    while let Some(LiveItem::Event(event)) = reader.next().await.unwrap() {
        assert_eq!(event.id, None);
        kinds.push(event.kind.to_string());
    }
    assert_eq!(kinds.first().map(String::as_str), Some("step_started"));
    assert_eq!(kinds.last().map(String::as_str), Some("complete"));
}
