//! Whose process lives, and who has a run.

use std::fs;
use std::time::Duration;

use executus_core::RunId;
use executus_core::port::{CheckpointError, Checkpointer};
use executus_testkit::sample;

use crate::bench::{Bench, LEASE};

/// What a holder had that is gone is free at once; what a living one has is not.
#[tokio::test(flavor = "multi_thread")]
async fn the_dead_hold_nothing() {
    let bench = Bench::new();
    let run = RunId::random();
    let (first, second) = (bench.open(), bench.open());
    first.append(&run, &sample::records(&run, 1..=2), LEASE).await.unwrap();
    assert_eq!(second.list().await.unwrap(), []);
    assert!(!second.claim(&run, LEASE).await.unwrap());
    let clone = first.clone();
    drop(first);
    assert!(!second.claim(&run, LEASE).await.unwrap(), "a clone is the same holder");
    drop(clone);
    assert_eq!(second.list().await.unwrap(), std::slice::from_ref(&run));
    assert!(second.claim(&run, LEASE).await.unwrap());
}

/// A holder that cannot be seen any more, and came back after its run was taken, writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_whose_lock_is_gone_is_fenced() {
    let bench = Bench::new();
    let run = RunId::random();
    let first = bench.open();
    first.append(&run, &sample::records(&run, 1..=2), LEASE).await.unwrap();
    let mut folder = bench.path().into_os_string();
    folder.push(".holders");
    fs::remove_dir_all(folder).unwrap();
    let second = bench.open();
    assert!(second.claim(&run, LEASE).await.unwrap());
    let late = first.append(&run, &[sample::record(&run, 3)], LEASE).await;
    assert!(matches!(late, Err(CheckpointError::Lost { .. })), "{late:?}");
    assert!(matches!(first.complete(&run).await, Err(CheckpointError::Lost { .. })));
    assert_eq!(
        first.renew(std::slice::from_ref(&run), LEASE).await.unwrap(),
        std::slice::from_ref(&run)
    );
    assert_eq!(second.load(&run).await.unwrap().unwrap().records.len(), 2);
}

/// A holder that lives but was not heard of for a lease has lost its runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_runs_out() {
    let bench = Bench::new();
    let run = RunId::random();
    let (first, second) = (bench.open(), bench.open());
    first.append(&run, &sample::records(&run, 1..=2), Duration::ZERO).await.unwrap();
    assert!(second.claim(&run, LEASE).await.unwrap());
    let lost = first.append(&run, &[sample::record(&run, 3)], LEASE).await;
    assert!(matches!(lost, Err(CheckpointError::Lost { .. })), "{lost:?}");
}

/// The files of the dead are removed, those of the living are not.
#[test]
fn what_the_dead_left_is_swept() {
    let bench = Bench::new();
    let mut folder = bench.path().into_os_string();
    folder.push(".holders");
    let alive = bench.open();
    fs::write(std::path::Path::new(&folder).join("dead"), "").unwrap();
    let another = bench.open();
    let left = fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, 2);
    drop((alive, another));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}
