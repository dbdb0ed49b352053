//! What somebody put into the root.

use std::fs;
use std::os::unix::fs::symlink;

use executus_core::port::{Audit, AuditError};
use executus_core::{Reply, RunId};
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, actions, names, run};

async fn refused(bench: &Bench, id: &RunId) -> String {
    match bench.audit.start(&sample::start(id, 1)).await {
        Err(error @ AuditError::Broken { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("started"),
    }
}

/// AL-04
#[tokio::test]
async fn a_link_leads_nowhere() {
    let bench = Bench::new();
    let outside = bench.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bench.audit.root().join("run-123")).unwrap();
    let error = refused(&bench, &run("run-123")).await;
    assert!(error.contains("run-123") && error.contains("link"), "{error}");

    // In a run's directory, too.
    let folder = bench.audit.root().join("run-124");
    fs::create_dir(&folder).unwrap();
    let secret = outside.join("secret");
    fs::write(&secret, "{}").unwrap();
    symlink(&secret, folder.join("trail.jsonl")).unwrap();
    refused(&bench, &run("run-124")).await;
    fs::remove_file(folder.join("trail.jsonl")).unwrap();
    symlink(&secret, folder.join("0001_look.json")).unwrap();
    symlink(&secret, folder.join(".tmp-1-1")).unwrap();
    bench.record(&run("run-124"), 1, &[Reply::call("look", json!({}))]).await;
    assert_eq!(fs::read_to_string(&secret).unwrap(), "{}");
    assert_eq!(names(&outside), ["secret"]);
    assert_eq!(actions(&folder), ["0001_look.json", "0001_look.s3.json"]);

    // A card that is a link is no card, and is not written through.
    let folder = bench.audit.root().join("run-125");
    fs::create_dir(&folder).unwrap();
    symlink(&secret, folder.join("run.json")).unwrap();
    refused(&bench, &run("run-125")).await;
    assert_eq!(fs::read_to_string(&secret).unwrap(), "{}");
}

/// AL-01
#[tokio::test]
async fn the_directory_of_another_run_is_not_used() {
    let bench = Bench::new();
    bench.record(&run("run-123"), 1, &[]).await;
    fs::rename(bench.audit.root().join("run-123"), bench.audit.root().join("run-124")).unwrap();
    let error = refused(&bench, &run("run-124")).await;
    assert!(error.contains("directory of run `run-123`"), "{error}");
    assert!(bench.reader().run(&run("run-124")).is_err());
}

#[tokio::test]
async fn a_file_or_a_pipe_in_the_way_is_said() {
    let bench = Bench::new();
    fs::write(bench.audit.root().join("run-123"), "").unwrap();
    refused(&bench, &run("run-123")).await;
    for name in ["run.json", "trail.jsonl"] {
        let folder = bench.audit.root().join("run-124");
        fs::create_dir(&folder).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.join(name),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        // It would never be answered.
        refused(&bench, &run("run-124")).await;
        fs::remove_dir_all(&folder).unwrap();
    }
    bench.record(&run("run-125"), 1, &[]).await;
}
