//! The jobs of these tests: some SQL each.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use executus_sqlite::{Config, Job, Schema, Store, StoreError, rusqlite};
use parking_lot::Mutex;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) const SCHEMA: Schema = Schema {
    application_id: 0x0065_7874,
    steps: &[
        "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
         CREATE TRIGGER t_keep BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'kept'); END;",
        "CREATE TABLE child (n INTEGER NOT NULL REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED);",
    ],
};

/// Outcomes in the order in which jobs were settled.
pub(crate) type Settled = Arc<Mutex<Vec<(String, Result<(), StoreError>)>>>;

pub(crate) struct Work {
    sql: String,
    answer: Option<oneshot::Sender<Result<(), StoreError>>>,
    settled: Settled,
    gate: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

impl Job for Work {
    type Group<'c> = &'c Connection;

    fn group(connection: &Connection) -> &Connection {
        connection
    }

    fn apply(&mut self, connection: &mut &Connection) -> rusqlite::Result<()> {
        if let Some((entered, open)) = self.gate.take() {
            entered.send(()).unwrap();
            open.recv().unwrap();
        }
        connection.execute_batch(&self.sql)
    }

    fn settle(self, result: Result<(), StoreError>) {
        self.settled.lock().push((self.sql, result.clone()));
        if let Some(answer) = self.answer {
            let _ = answer.send(result);
        }
    }

    fn is_awaited(&self) -> bool {
        self.answer.is_some()
    }

    fn bytes(&self) -> usize {
        self.sql.len()
    }
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) store: Store<Work>,
    pub(crate) settled: Settled,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("t.db"));
        set(&mut config);
        Self { store: Store::open(config, SCHEMA).unwrap(), folder, settled: Settled::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("t.db")
    }

    /// Pushes SQL that nobody waits for.
    pub(crate) fn push(&self, sql: impl Into<String>) -> Result<(), StoreError> {
        let work =
            Work { sql: sql.into(), answer: None, settled: self.settled.clone(), gate: None };
        self.store.push(work).map_err(|(_, error)| error)
    }

    /// Pushes SQL; the receiver has the answer.
    pub(crate) fn ask(&self, sql: impl Into<String>) -> oneshot::Receiver<Result<(), StoreError>> {
        let (answer, receiver) = oneshot::channel();
        let settled = self.settled.clone();
        let work = Work { sql: sql.into(), answer: Some(answer), settled, gate: None };
        if let Err((work, error)) = self.store.push(work) {
            work.settle(Err(error));
        }
        receiver
    }

    /// Runs SQL and waits for the commit.
    pub(crate) async fn run(&self, sql: impl Into<String>) -> Result<(), StoreError> {
        self.ask(sql).await.unwrap()
    }

    /// Stops the writer thread in the middle of a job, until the sender is used.
    pub(crate) fn hold(&self) -> mpsc::Sender<()> {
        let (entered, is_in) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let (answer, _) = oneshot::channel();
        let work = Work {
            sql: String::new(),
            answer: Some(answer),
            settled: self.settled.clone(),
            gate: Some((entered, opened)),
        };
        assert!(self.store.push(work).is_ok());
        is_in.recv().unwrap();
        open
    }

    /// The rows, read by a connection of its own.
    pub(crate) fn rows(&self) -> Vec<i64> {
        let connection = Connection::open(self.path()).unwrap();
        let mut statement = connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

pub(crate) fn insert(n: i64) -> String {
    format!("INSERT INTO t VALUES ({n}, 'x')")
}
