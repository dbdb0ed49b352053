//! Steps of a playbook.

use executus_audit_files::{ApiCall, Entry, PlaybookStep};
use executus_core::{Reply, Timestamp};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, json, run};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// AL-10
#[tokio::test]
async fn a_step_is_written_without_what_it_types_and_sends() {
    let bench = Bench::new();
    let router = bench.audit.router(Some(run("run-123")));
    let step = PlaybookStep {
        index: 6,
        action: "click".into(),
        url: Some(format!("https://e.org/{}", "x".repeat(400))),
        text: Some("typed-canary".into()),
        result: "r".repeat(400),
        ..PlaybookStep::default()
    };
    let file = router.write(Entry::playbook(&step), Timestamp::from_micros(1)).await.unwrap();
    assert_eq!(file, "0007_playbook_click.json");
    let entry = json(&bench.reader().folder(router.run_id()).join(file));
    assert_eq!((&entry["tool"], &entry["step"]), (&json!("playbook"), &json!(7)));
    let length = |value: &Value| value.as_str().unwrap().chars().count();
    assert_eq!(length(&entry["outcome"]["result"]["text"]), 240);
    assert_eq!(length(&entry["input"]["url"]), 120);
    assert_eq!(entry["input"]["text"], "[redacted]");
    assert!(!entry.to_string().contains("typed-canary"));
}

/// AL-10
#[tokio::test]
async fn a_request_shows_method_place_and_names() {
    let bench = Bench::new();
    let router = bench.audit.router(None);
    let api = ApiCall {
        method: "POST".into(),
        url: "https://me:canary@e.org/orders?page=canary&q#canary".into(),
        headers: map(json!({"X-Id": "canary"})),
        cookies: map(json!({"session": "canary"})),
        query: map(json!({"more": "canary"})),
        form: map(json!({"card": "canary"})),
    };
    let step = PlaybookStep { action: "api".into(), api: Some(api), ..PlaybookStep::default() };
    let file = router.write(Entry::playbook(&step), Timestamp::from_micros(1)).await.unwrap();
    let entry = json(&bench.reader().folder(router.run_id()).join(file));
    assert_eq!(
        entry["input"]["api"],
        json!({
            "method": "POST", "url": "https://e.org/orders", "headers": ["X-Id"],
            "cookies": ["session"], "query": ["page", "q", "more"], "form": ["card"],
        })
    );
    assert_eq!(entry["summary"], "api POST https://e.org/orders");
    assert!(!entry.to_string().contains("canary"));
}

/// AL-10: a run that is a playbook is written so, its trail included.
#[tokio::test]
async fn the_actions_of_a_playbook_run_are_steps() {
    let bench = Bench::with(|config| config.is_playbook = |spec| &*spec.name == "a sample");
    let id = run("run-123");
    let typing = Reply::call("browser", json!({"action": "type", "text": "canary"}));
    let asking = Reply::call("http", json!({"method": "GET", "url": "https://e.org/a?b=canary"}));
    bench.record(&id, 1, &[typing, asking]).await;
    let folder = bench.reader().folder(&id);
    let typed = json(&folder.join("0001_playbook_type.json"));
    assert_eq!(typed["input"], json!({"action": "type", "text": "[redacted]"}));
    assert_eq!(typed["outcome"]["result"]["text"], "done");
    let asked = json(&folder.join("0002_playbook_http.json"));
    assert_eq!(asked["input"]["api"]["query"], json!(["b"]));
    for file in crate::bench::names(&folder) {
        let text = std::fs::read_to_string(folder.join(&file)).unwrap();
        assert!(!text.contains("canary"), "{file}: {text}");
    }
}
