//! Group commit: what an answer means, and what happens at the end.

use executus_sqlite::{Config, Store, StoreError};

use crate::work::{Bench, SCHEMA, insert};

#[tokio::test]
async fn an_answer_comes_after_the_commit_of_all_before() {
    let bench = Bench::new();
    for n in 0..1000 {
        bench.push(insert(n)).unwrap();
    }
    bench.run(insert(1000)).await.unwrap();
    assert_eq!(bench.rows(), (0..=1000).collect::<Vec<_>>());
    assert_eq!(bench.settled.lock().len(), 1001);
}

#[tokio::test]
async fn jobs_nobody_waits_for_are_committed_too() {
    let bench = Bench::new();
    bench.push(insert(1)).unwrap();
    while bench.settled.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.rows(), [1]);
}

#[tokio::test]
async fn a_group_is_one_transaction() {
    let bench = Bench::new();
    let open = bench.hold();
    for n in 0..100 {
        bench.push(insert(n)).unwrap();
    }
    let last = bench.ask(insert(100));
    let before = std::fs::metadata(bench.path().with_extension("db-wal")).unwrap().len();
    open.send(()).unwrap();
    last.await.unwrap().unwrap();
    // One commit of the 101 rows writes each page once: 101 commits would write 101 pages.
    let after = std::fs::metadata(bench.path().with_extension("db-wal")).unwrap().len();
    assert!(after - before < 10 * 4096, "{before} {after}");
}

#[tokio::test]
async fn order_is_the_order_of_the_pushes() {
    let bench = Bench::new();
    for n in 0..600 {
        bench.push(insert(n)).unwrap();
    }
    bench.run("UPDATE t SET text = 'last' WHERE n = 599").await.unwrap();
    let settled = bench.settled.lock();
    let inserts: Vec<_> = settled.iter().take(600).map(|(sql, _)| sql.clone()).collect();
    assert_eq!(inserts, (0..600).map(insert).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_queue_is_bounded_in_jobs_and_in_bytes() {
    let bench = Bench::with(|config| {
        config.queue = 3;
        config.queue_bytes = 1000;
    });
    let open = bench.hold();
    for n in 0..3 {
        bench.push(insert(n)).unwrap();
    }
    assert!(matches!(bench.push(insert(3)), Err(StoreError::Full { .. })));
    // Whoever waits is let in: there is one such job for each who waits.
    let waiting = bench.ask(insert(4));
    open.send(()).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(bench.rows(), [0, 1, 2, 4]);

    let open = bench.hold();
    let long = format!("INSERT INTO t VALUES (5, '{}')", "x".repeat(2000));
    bench.push(long).unwrap();
    assert!(matches!(bench.push(insert(6)), Err(StoreError::Full { .. })));
    open.send(()).unwrap();
    bench.run(insert(7)).await.unwrap();
    assert_eq!(bench.rows(), [0, 1, 2, 4, 5, 7]);
}

#[tokio::test]
async fn close_commits_what_is_there_and_refuses_the_rest() {
    let bench = Bench::new();
    for n in 0..1000 {
        bench.push(insert(n)).unwrap();
    }
    bench.store.close().await;
    assert_eq!(bench.rows().len(), 1000);
    assert!(matches!(bench.push(insert(1000)), Err(StoreError::Closed { .. })));
    assert!(!bench.path().with_extension("db-wal").exists(), "the log is put back");
    bench.store.close().await;
}

#[tokio::test]
async fn dropping_the_last_handle_commits_what_is_there() {
    let bench = Bench::new();
    let clone = bench.store.clone();
    for n in 0..500 {
        bench.push(insert(n)).unwrap();
    }
    let Bench { folder, store, settled } = bench;
    drop((store, clone));
    while settled.lock().len() < 500 {
        tokio::task::yield_now().await;
    }
    let store: Store<crate::work::Work> =
        Store::open(Config::new(folder.path().join("t.db")), SCHEMA).unwrap();
    let count = store.reader().read(|connection| {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(count.unwrap().unwrap(), 500);
}

#[tokio::test]
async fn the_log_stays_bounded_and_is_put_back_when_idle() {
    let bench = Bench::with(|config| {
        config.idle = std::time::Duration::from_millis(1);
        config.wal_limit = 1 << 20;
    });
    for round in 0..40 {
        let rows = 20 * round..20 * (round + 1);
        let text = "x".repeat(20_000);
        let sql: String = rows.map(|n| format!("INSERT INTO t VALUES ({n}, '{text}');")).collect();
        bench.run(sql).await.unwrap();
    }
    // 16 MB were written; the log holds what one checkpoint interval and one commit write.
    let log = std::fs::metadata(bench.path().with_extension("db-wal")).unwrap().len();
    assert!(log < 6 << 20, "{log}");
    while std::fs::metadata(bench.path()).unwrap().len() < 16_000_000 {
        tokio::task::yield_now().await;
    }
}
