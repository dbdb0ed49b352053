//! Processes that are killed with -9 in the middle of a run, again and again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use executus_checkpoint_sqlite::{Config, SqliteCheckpointer};
use executus_core::port::Checkpointer;
use executus_core::record::Fact;
use executus_core::{Entry, Executor, Run, RunId};
use std::sync::Arc;

use crate::child::{FOLDER, OUTPUT, POISON, RUN, STEPS, tool_of};

/// How many runs are brought to their end through kills.
const RUNS: u64 = 6;

fn spawn(folder: &Path, poison: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::lives", "--ignored", "--nocapture"]).env(FOLDER, folder);
    if poison {
        command.env(POISON, "yes");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Lets a process live until it has told this many things. Whether it was killed.
fn live(folder: &Path, things: u64) -> bool {
    let mut child = spawn(folder, false);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = 0;
    for line in lines.map_while(Result::ok) {
        // The first one follows what the test harness says on the same line.
        told += u64::from(line.contains("at "));
        if told >= things {
            child.kill().unwrap();
        }
    }
    !child.wait().unwrap().success()
}

fn ledger(folder: &Path) -> BTreeMap<u32, u64> {
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(folder.join("ledger")).unwrap_or_default().lines() {
        *calls.entry(line.parse().unwrap()).or_default() += 1;
    }
    calls
}

/// The calls whose answers are kept, and how often each was made.
async fn acknowledged(folder: &Path) -> BTreeMap<u32, u64> {
    let store = SqliteCheckpointer::open(Config::new(folder.join("checkpoints.db"))).unwrap();
    let saved = store.load(&RunId::new(RUN).unwrap()).await.unwrap();
    store.close().await;
    let records = saved.map(|saved| saved.records).unwrap_or_default();
    let calls = ledger(folder);
    let acted = records.iter().filter_map(|record| match &record.fact {
        Fact::Acted(acted) => Some(acted.step),
        _ => None,
    });
    acted.map(|step| (step, calls.get(&step).copied().unwrap_or_default())).collect()
}

/// Killed between any two steps, or within one: the output is the same, what was acknowledged is
/// not done again, and what may happen only once does not happen twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_ends_as_it_would_have() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut kills = 0;
    for run in 0..RUNS {
        let folder = tempfile::TempDir::new().unwrap();
        let folder = folder.path();
        let mut kept = BTreeMap::new();
        loop {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if !live(folder, 2 + random % 12) {
                break;
            }
            kills += 1;
            for (step, calls) in acknowledged(folder).await {
                kept.entry(step).or_insert(calls);
            }
        }
        let output = fs::read_to_string(folder.join("output")).unwrap();
        assert_eq!(output, format!("ok {OUTPUT}"), "run {run}");
        let calls = ledger(folder);
        for step in 1..=STEPS {
            let made = calls.get(&step).copied().unwrap_or_default();
            if let Some(then) = kept.get(&step) {
                assert_eq!(made, *then, "call {step} was made again after its answer was kept");
            }
            match tool_of(step) {
                "once" => assert!(made <= 1, "call {step} was made {made} times"),
                _ => assert!(made >= 1, "call {step} was never made"),
            }
        }
        let store = SqliteCheckpointer::open(Config::new(folder.join("checkpoints.db"))).unwrap();
        assert_eq!(store.load(&RunId::new(RUN).unwrap()).await.unwrap(), None);
        assert_eq!(store.list().await.unwrap(), []);
    }
    assert!(kills >= RUNS, "{kills} kills in {RUNS} runs");
}

/// A run that kills its worker each time is parked after its attempts; it can be read, and goes on
/// when somebody lets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_kills_its_worker_is_parked() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path();
    let mut lives = 0;
    while !folder.join("parked").exists() {
        lives += 1;
        assert!(lives < 20, "it is never parked");
        let mut child = spawn(folder, true);
        // Read to the end: the child must not wait for its pipe.
        BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).for_each(drop);
        child.wait().unwrap();
    }
    // The first life, five attempts, and the boot that parks it.
    assert_eq!(lives, 7);
    let store = SqliteCheckpointer::open(Config::new(folder.join("checkpoints.db"))).unwrap();
    let run = RunId::new(RUN).unwrap();
    let saved = store.load(&run).await.unwrap().unwrap();
    assert_eq!((saved.claims, saved.in_vain), (5, 5));
    let folded = Run::fold(&saved.records).unwrap();
    assert!(folded.transcript().entries().iter().any(|entry| matches!(entry, Entry::Reply(_))));
    let executor = Executor::builder().checkpointer(Arc::new(store.clone())).build();
    assert_eq!(executor.parked().await.unwrap(), std::slice::from_ref(&run));
    assert_eq!(executor.resumable().await.unwrap(), []);
    assert!(executor.unpark(&run).await.unwrap());
    assert_eq!(executor.resumable().await.unwrap(), [run]);
}
