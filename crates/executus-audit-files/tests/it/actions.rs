//! Where actions lie, and what their files hold.

use std::path::Path;

use executus_core::port::Audit;
use executus_core::{Reply, RunStatus};
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, acted, acted_at, actions, decided, json, names, run};

fn click() -> Reply {
    let mut reply = Reply::call("browser_dom", json!({"action": "click", "selector": "#buy"}));
    reply.text = "I buy it".into();
    reply
}

/// AL-01
#[tokio::test]
async fn each_run_writes_into_its_own_directory_and_nowhere_else() {
    let bench = Bench::new();
    let (one, other) = (run("run-123"), run("run-124"));
    bench.record(&one, 1, &[click(), click()]).await;
    bench.record(&other, 1, &[click(), click()]).await;
    assert_eq!(names(bench.folder.path()), ["log"]);
    assert_eq!(names(bench.audit.root()), ["run-123", "run-124"]);
    for id in [&one, &other] {
        let folder = bench.reader().folder(id);
        let files = ["0001_browser_dom_click.json", "0002_browser_dom_click.json"];
        assert_eq!(actions(&folder), files);
        for file in files {
            assert_eq!(json(&folder.join(file))["run_id"], id.as_str());
        }
    }
}

/// AL-02
#[tokio::test]
async fn a_directory_that_is_missing_is_made_and_one_that_is_there_is_used() {
    let bench = Bench::new();
    let id = run("run-123");
    std::fs::create_dir(bench.audit.root().join("run-123")).unwrap();
    bench.record(&id, 1, &[click()]).await;
    assert_eq!(actions(&bench.reader().folder(&id)).len(), 1);
    // The root, too.
    let root = bench.folder.path().join("a/b/c");
    let again = executus_audit_files::FileAudit::open(executus_audit_files::Config::new(&root));
    assert!(again.is_ok() && root.is_dir());
}

/// AL-06
#[tokio::test]
async fn the_file_of_an_action_holds_the_whole_entry() {
    let bench = Bench::new();
    let id = run("run-123");
    bench.record(&id, 7, &[click()]).await;
    let entry = json(&bench.reader().folder(&id).join("0007_browser_dom_click.json"));
    let at = sample::BEGIN.after(std::time::Duration::from_millis(3));
    assert_eq!(
        entry,
        json!({
            "format": 1, "run_id": "run-123", "seq": 3, "at": at, "step": 7, "call": 0,
            "tool": "browser_dom", "action": "click", "summary": "click #buy",
            "input": {"action": "click", "selector": "#buy"}, "reasoning": "I buy it",
            "outcome": {"result": {"text": "done", "data": null, "artifacts": []}},
            "duration_ms": 12,
        })
    );
    let records = bench.reader().records(&id).unwrap();
    assert_eq!(records[2].body, entry);
    assert_eq!(records[2].file.as_deref(), Some("0007_browser_dom_click.json"));
}

/// AL-06
#[tokio::test]
async fn names_are_safe_and_the_calls_of_a_step_do_not_meet() {
    let bench = Bench::new();
    let id = run("run-123");
    let recorder = bench.start(&id).await;
    recorder.record(&sample::record(&id, 1)).unwrap();
    let long = "../".repeat(20);
    let reply = Reply::call("Browser/DOM", json!({"action": long}))
        .and_call("browser_dom", json!({"action": "click"}))
        .and_call("BROWSER_DOM", json!({"action": "CLICK"}));
    recorder.record(&decided(&id, 2, 12_345, &reply)).unwrap();
    for call in 0..3 {
        let seq = u64::from(call) + 3;
        recorder.record(&acted_at(&id, seq, 12_345, call, &reply, "done")).unwrap();
    }
    recorder.close(&sample::outcome(&id, RunStatus::Ok)).await.unwrap();
    assert_eq!(
        actions(&bench.reader().folder(&id)),
        [
            "12345_BROWSER_DOM_CLICK.2.json",
            &format!("12345_Browser_DOM_{}.json", "_".repeat(30)),
            "12345_browser_dom_click.1.json",
        ]
    );
}

/// AL-07
#[tokio::test]
async fn long_texts_are_cut_wherever_they_stand_and_other_fields_are_kept() {
    let bench = Bench::new();
    let id = run("run-123");
    let long = "é".repeat(501);
    let just = "é".repeat(500);
    let input = json!({
        "action": "sequence", "text": long, "body": long,
        "steps": [{"text": just}, {"inner": [{"text": long, "other": long}]}],
    });
    bench.record(&id, 1, &[Reply::call("browser", input)]).await;
    let entry = json(&bench.reader().folder(&id).join("0001_browser_sequence.json"));
    let cut = format!("{}… [cut, 501 characters in all]", "é".repeat(500));
    let expected = json!({
        "action": "sequence", "text": cut, "body": long,
        "steps": [{"text": just}, {"inner": [{"text": cut, "other": long}]}],
    });
    assert_eq!(entry["input"], expected);
    let decided = &bench.reader().records(&id).unwrap()[1];
    assert_eq!(decided.body["reply"]["calls"][0]["args"], expected, "in the trail, too");
}

/// AL-09
#[tokio::test]
async fn clients_get_neither_input_nor_reasoning() {
    let bench = Bench::new();
    let id = run("run-123");
    bench.record(&id, 7, &[click()]).await;
    let entry = bench.reader().entry(&id, "0007_browser_dom_click.json").unwrap();
    assert_eq!(entry.reasoning.as_deref(), Some("I buy it"));
    let (event, shown) = entry.for_clients();
    assert_eq!(event, Some(3));
    assert_eq!(shown["summary"], "click #buy");
    assert!(shown.get("input").is_none() && shown.get("reasoning").is_none(), "{shown}");
}

/// What a later life did at the same place has a name of its own; the same record is written once.
#[tokio::test]
async fn nothing_is_overwritten_by_a_later_life() {
    let bench = Bench::new();
    let id = run("run-123");
    let first = bench.start(&id).await;
    first.record(&sample::record(&id, 1)).unwrap();
    first.record(&decided(&id, 2, 1, &click())).unwrap();
    first.record(&acted(&id, 3, 1, &click(), "first")).unwrap();
    first.suspend(&sample::outcome(&id, RunStatus::Interrupted)).await.unwrap();
    drop(first);

    let second = bench.audit.start(&sample::start(&id, 2)).await.unwrap().unwrap();
    assert_eq!(second.last_seq(), 3);
    // The checkpoint knows the decision alone: it is given again, and the call is made again.
    second.record(&sample::record(&id, 1)).unwrap();
    second.record(&decided(&id, 2, 1, &click())).unwrap();
    second.record(&sample::resumed(&id, 4, 2)).unwrap();
    second.record(&acted(&id, 5, 1, &click(), "second")).unwrap();
    second.close(&sample::outcome(&id, RunStatus::Ok)).await.unwrap();

    let folder = bench.reader().folder(&id);
    let files = ["0001_browser_dom_click.json", "0001_browser_dom_click.s5.json"];
    assert_eq!(actions(&folder), files);
    let text = |file: &str| json(&folder.join(file))["outcome"]["result"]["text"].clone();
    assert_eq!([text(files[0]), text(files[1])], ["first", "second"]);
    assert_eq!(json(&folder.join(files[1]))["input"]["selector"], "#buy");
    let card = bench.reader().run(&id).unwrap();
    assert_eq!(card.lives.iter().map(|life| life.attempt).collect::<Vec<_>>(), [1, 2]);
    assert!(card.closed);
}

#[tokio::test]
async fn nothing_is_left_half_written() {
    let bench = Bench::new();
    let id = run("run-123");
    bench.record(&id, 1, &vec![click(); 30]).await;
    let folder = bench.reader().folder(&id);
    assert_eq!(actions(&folder).len(), 30, "no temporary file stays");
    assert!(Path::new(&folder.join("run.json")).exists());
}
