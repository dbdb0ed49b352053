//! Entries that are no facts of a run.

use executus_audit_files::Entry;
use executus_core::Timestamp;
use serde_json::json;

use crate::bench::{Bench, actions, json, names, run};

const AT: Timestamp = Timestamp::from_micros(7);

fn entry(step: u32, result: &str) -> Entry {
    Entry::new(step, "browser_dom", json!({"action": "click", "password": "canary"}), result)
}

/// AL-03
#[tokio::test]
async fn a_router_without_a_run_makes_one_up_and_keeps_it() {
    let bench = Bench::new();
    let (one, other) = (bench.audit.router(None), bench.audit.router(None));
    assert_ne!(one.run_id(), other.run_id());
    for router in [&one, &other] {
        for step in 1..=3 {
            router.write(entry(step, "done"), AT).await.unwrap();
        }
        let folder = bench.reader().folder(router.run_id());
        assert_eq!(actions(&folder).len(), 3);
        for file in actions(&folder) {
            assert_eq!(json(&folder.join(file))["run_id"], router.run_id().as_str());
        }
    }
    assert_eq!(names(bench.audit.root()).len(), 2);
}

/// AL-01 AL-06
#[tokio::test]
async fn entries_at_one_place_do_not_overwrite_each_other() {
    let bench = Bench::new();
    let router = bench.audit.router(Some(run("run-123")));
    let mut files = Vec::new();
    for result in ["one", "two", "three", "one"] {
        files.push(router.write(entry(7, result), AT).await.unwrap());
    }
    let name = "0007_browser_dom_click";
    let expected = ["", ".x1", ".x2", ""].map(|more| format!("{name}{more}.json"));
    assert_eq!(files, expected, "the same entry is one");
    let text = std::fs::read_to_string(bench.reader().folder(router.run_id()).join(&files[0]));
    assert!(!text.unwrap().contains("canary"));
}

/// A run that is recorded takes entries beside its actions.
#[tokio::test]
async fn a_router_writes_beside_a_recorder() {
    let bench = Bench::new();
    let id = run("run-123");
    let recorder = bench.start(&id).await;
    bench.audit.router(Some(id.clone())).write(entry(1, "done"), AT).await.unwrap();
    recorder.record(&executus_testkit::sample::record(&id, 1)).unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(bench.reader().records(&id).unwrap().len(), 1);
    assert_eq!(actions(&bench.reader().folder(&id)).len(), 1);
}
