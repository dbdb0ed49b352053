//! What is in the file, and what is not any more.

use executus_checkpoint_sqlite::{Config, OpenError, SqliteCheckpointer};
use executus_core::port::{CheckpointError, Checkpointer};
use executus_core::{ErrorKind, RunError, RunId};
use executus_sqlite::rusqlite::Connection;
use executus_testkit::sample;

use crate::bench::{Bench, LEASE};

/// CK-03: a failed run is remembered with its error, its facts are gone; so are those of one that
/// ended well.
#[tokio::test(flavor = "multi_thread")]
async fn ends_are_remembered_and_facts_removed() {
    let bench = Bench::new();
    let store = bench.open();
    let (good, bad) = (RunId::random(), RunId::random());
    let error = RunError::new(ErrorKind::Failed, "a sample failure");
    for run in [&good, &bad] {
        store.append(run, &sample::records(run, 1..=5), LEASE).await.unwrap();
        assert_eq!(store.ended(run).await.unwrap(), None);
    }
    store.complete(&good).await.unwrap();
    store.fail(&bad, &error).await.unwrap();
    store.fail(&good, &error).await.unwrap();
    assert_eq!(store.ended(&good).await.unwrap().unwrap().error, None);
    assert_eq!(store.ended(&bad).await.unwrap().unwrap().error, Some(error));
    let file = Connection::open(bench.path()).unwrap();
    for table in ["runs", "records"] {
        let rows: i64 =
            file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "rows left in {table}");
    }
}

/// A record that somebody changed into something else is told, with the run's id.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told() {
    let bench = Bench::new();
    let store = bench.open();
    let run = RunId::random();
    store.append(&run, &sample::records(&run, 1..=3), LEASE).await.unwrap();
    let file = Connection::open(bench.path()).unwrap();
    file.execute("UPDATE records SET record = '{' WHERE seq = 2", []).unwrap();
    let damaged = store.load(&run).await;
    let told = matches!(&damaged, Err(CheckpointError::Corrupt { run: of, message })
        if *of == run && message.contains("record 2"));
    assert!(told, "{damaged:?}");
}

/// What is no file of checkpoints is refused as it is.
#[test]
fn another_file_is_refused() {
    let bench = Bench::new();
    Connection::open(bench.path()).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let opened = SqliteCheckpointer::open(Config::new(bench.path()));
    assert!(matches!(opened, Err(OpenError::Foreign { .. })), "{opened:?}");
}

/// A closed store refuses, and says that it may work later.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_refuses() {
    let bench = Bench::new();
    let store = bench.open();
    store.close().await;
    let run = RunId::random();
    let refused = store.append(&run, &sample::records(&run, 1..=1), LEASE).await;
    assert!(refused.is_err_and(|error| error.retry()));
}
