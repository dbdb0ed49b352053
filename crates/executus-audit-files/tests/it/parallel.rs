//! Many actions at once.

use std::collections::HashSet;

use executus_core::{Reply, RunId, RunStatus};
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, acted, actions, decided, give, json, run};

/// How many actions each run makes.
const ACTIONS: u32 = 1_000;

async fn perform(bench: &Bench, id: &RunId) {
    let recorder = bench.start(id).await;
    recorder.record(&sample::record(id, 1)).unwrap();
    for step in 1..=ACTIONS {
        let reply = Reply::call("browser_dom", json!({"action": "click", "n": step}));
        let seq = u64::from(step) * 2;
        give(&*recorder, &decided(id, seq, step, &reply)).await;
        give(&*recorder, &acted(id, seq + 1, step, &reply, id.as_str())).await;
        tokio::task::yield_now().await;
    }
    recorder.close(&sample::outcome(id, RunStatus::Ok)).await.unwrap();
}

/// AL-01: two runs with the same steps in parallel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_with_the_same_steps_overwrite_nothing() {
    let bench = Bench::with(|config| config.wait = std::time::Duration::from_secs(60));
    let runs = [run("one"), run("other")];
    tokio::join!(perform(&bench, &runs[0]), perform(&bench, &runs[1]));
    for id in &runs {
        let folder = bench.reader().folder(id);
        let files = actions(&folder);
        assert_eq!(files.len(), ACTIONS as usize);
        let mut seqs = HashSet::new();
        for file in files {
            let entry = json(&folder.join(file));
            assert_eq!(entry["run_id"], id.as_str());
            assert_eq!(entry["outcome"]["result"]["text"], id.as_str());
            assert_eq!(entry["input"]["n"], entry["step"]);
            seqs.insert(entry["seq"].as_u64().unwrap());
        }
        assert_eq!(seqs.len(), ACTIONS as usize);
    }
}
