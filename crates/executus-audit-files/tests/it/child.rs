//! What runs in a process of its own, to be killed: this test binary, asked for one ignored test.

use std::io::Write as _;
use std::path::PathBuf;

use executus_audit_files::{Config, FileAudit};
use executus_core::Reply;
use executus_core::port::Audit;
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{acted, decided, run};

/// Where the child works.
pub(crate) const FOLDER: &str = "EXECUTUS_TEST_FOLDER";
pub(crate) const RUN: &str = "one-that-is-killed";

/// Records actions, and says after each flush how far what is kept goes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run by others, in a process that they kill"]
async fn records() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let audit = FileAudit::open(Config::new(folder)).unwrap();
    let id = run(RUN);
    let attempt = match audit.reader().run(&id) {
        Ok(card) => card.lives.last().map_or(1, |life| life.attempt + 1),
        Err(_) => 1,
    };
    let recorder = audit.start(&sample::start(&id, attempt)).await.unwrap().unwrap();
    let mut seq = recorder.last_seq();
    match seq {
        0 => {
            recorder.record(&sample::record(&id, 1)).unwrap();
            seq = 1;
        }
        _ => {
            seq += 1;
            recorder.record(&sample::resumed(&id, seq, attempt)).unwrap();
        }
    }
    loop {
        let step = u32::try_from(seq).unwrap();
        let reply = Reply::call("look", json!({"n": step}));
        recorder.record(&decided(&id, seq + 1, step, &reply)).unwrap();
        recorder.record(&acted(&id, seq + 2, step, &reply, "done")).unwrap();
        if let Err(error) = recorder.flush().await {
            println!("failed: {error}");
            other_run(&audit).await;
            return;
        }
        seq += 2;
        let mut out = std::io::stdout();
        writeln!(out, "kept {seq}").unwrap();
        out.flush().unwrap();
    }
}

/// What fails one run leaves the others alone.
async fn other_run(audit: &FileAudit) {
    let id = run("another-one");
    let recorder = audit.start(&sample::start(&id, 1)).await.unwrap().unwrap();
    recorder.record(&sample::record(&id, 1)).unwrap();
    recorder.close(&sample::outcome(&id, executus_core::RunStatus::Ok)).await.unwrap();
}
