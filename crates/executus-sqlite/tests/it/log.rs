//! The write-ahead log stays bounded, whoever reads.

use std::time::Duration;

use executus_sqlite::{StoreError, StoreState, rusqlite};

use crate::work::{Bench, insert};

const BOUND: u64 = 512 << 10;

fn bench() -> Bench {
    Bench::with(|config| {
        config.wal_limit = 64 << 10;
        config.wal_bound = BOUND;
        config.idle = Duration::from_millis(5);
        config.transaction = 4;
    })
}

fn log(bench: &Bench) -> u64 {
    bench.path().with_extension("db-wal").metadata().map_or(0, |file| file.len())
}

fn large(n: i64) -> String {
    format!("INSERT INTO t VALUES ({n}, '{}')", "x".repeat(10_000))
}

#[tokio::test]
async fn a_reader_that_never_ends_bounds_the_log_and_is_told() {
    let bench = bench();
    bench.run(insert(0)).await.unwrap();
    let other = rusqlite::Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    let mut n = 0;
    let held = loop {
        n += 1;
        assert!(n < 1000, "the log grows for ever");
        if let Err(error) = bench.run(large(n)).await {
            break error;
        }
    };
    assert!(matches!(held, StoreError::Held { bytes, .. } if bytes > BOUND), "{held:?}");
    assert!(held.retry() && held.to_string().contains("a reader holds it"), "{held}");
    assert!(matches!(bench.store.state(), StoreState::Waiting(StoreError::Held { .. })));
    for later in 1000..1040 {
        bench.push(large(later)).unwrap();
    }
    bench.run(insert(2000)).await.unwrap_err();
    assert!(log(&bench) < BOUND + 4 * 20_000, "at most a transaction more: {}", log(&bench));

    other.execute_batch("COMMIT").unwrap();
    bench.run(insert(2001)).await.unwrap();
    assert!(bench.store.state().is_writing());
    let rows = bench.rows();
    assert!(rows.ends_with(&[1039, 2001]), "what was kept is written: {rows:?}");
    assert!((0..n).all(|row| rows.contains(&row)), "what was acknowledged is there");
    assert!(log(&bench) < BOUND);
}

#[tokio::test]
async fn an_own_reader_is_stopped_when_it_holds_a_log_that_grew() {
    let bench = bench();
    bench.run(insert(0)).await.unwrap();
    let reader = bench.store.reader().clone();
    let (entered, is_in) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        reader.read(|connection| {
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?;
            entered.send(()).unwrap();
            let endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)
                           SELECT count(*) FROM c";
            connection.query_row(endless, [], |row| row.get::<_, i64>(0))
        })
    });
    is_in.recv().unwrap();
    let mut n = 0;
    while log(&bench) <= BOUND / 2 + (BOUND / 8) {
        n += 1;
        bench.run(large(n)).await.unwrap();
    }
    let stopped = reading.join().unwrap().unwrap().unwrap_err();
    let code = stopped.sqlite_error_code();
    assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted), "{stopped}");
    // The connection goes on with the next query.
    let count = bench.store.reader().read(|connection| {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(count.unwrap().unwrap(), n + 1);
}

#[tokio::test]
async fn a_store_tells_how_it_is() {
    let bench = bench();
    assert!(bench.store.state().is_writing());
    bench.run("INSERT INTO child VALUES (99)").await.unwrap_err();
    let failed = bench.store.state();
    assert!(matches!(failed, StoreState::Failed(StoreError::Poisoned { .. })), "{failed:?}");
    let other = Bench::new();
    other.store.close().await;
    assert!(matches!(other.store.state(), StoreState::Closed));
}

#[tokio::test]
async fn a_closed_store_leaves_one_file() {
    let bench = bench();
    bench.run(insert(1)).await.unwrap();
    let count = bench.store.reader().read(|connection| {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(count.unwrap().unwrap(), 1);
    bench.store.close().await;
    let left = std::fs::read_dir(bench.folder.path()).unwrap().count();
    assert_eq!(left, 1, "the log was put back and removed");
}
