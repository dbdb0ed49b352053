//! The port.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::{Record, RunId, Timestamp};
use executus_sqlite::{OpenError, Store};
use tokio::sync::oneshot;

use crate::body;
use crate::config::Config;
use crate::error::{QueryError, audit_error};
use crate::job::{Purge, Start, Work};
use crate::note::{NewNote, Note, NoteFilter};
use crate::query::{AuditRecord, RunFilter, RunSummary};
use crate::reader::AuditReader;
use crate::recorder::SqliteRecorder;
use crate::schema::SCHEMA;
use crate::trail::{Heads, Seat};

/// How often old journals are looked for, at most, in microseconds: hourly.
const PURGE_INTERVAL: i64 = 3_600_000_000;

/// The audit in one SQLite file. Clones share it.
///
/// A thread writes; what was given is durable when `flush`, `close` or `suspend` returns, and on
/// its way a few milliseconds after it was given. Dropping the last clone lets the thread finish in
/// the background; [`close`](Self::close) waits for it.
///
/// # Cancellation
/// A query or a purge that is dropped goes on in the background, without effect for the caller.
#[derive(Clone)]
pub struct SqliteAudit {
    store: Store<Work>,
    heads: Arc<Heads>,
    wait: Duration,
    retention: Option<Duration>,
    purged_at: Arc<AtomicI64>,
}

impl std::fmt::Debug for SqliteAudit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteAudit").field("path", &self.store.path()).finish_non_exhaustive()
    }
}

impl SqliteAudit {
    /// Opens the file, creating it and bringing its schema up to date. Blocks its thread.
    ///
    /// # Errors
    /// An [`OpenError`] names the file and says what to do.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        Ok(Self {
            store: Store::open(config.store(), SCHEMA)?,
            heads: Arc::default(),
            wait: config.wait,
            retention: config.journal_retention,
            purged_at: Arc::new(AtomicI64::new(i64::MIN)),
        })
    }

    /// Writes what was given and closes the file; later starts and records are refused.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// A reader, for queries on a thread that may block.
    #[must_use]
    pub fn reader(&self) -> AuditReader {
        AuditReader::new(self.store.reader().clone())
    }

    /// The runs that pass the filter; see [`AuditReader::runs`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunSummary>, QueryError> {
        self.ask(move |reader| reader.runs(&filter)).await
    }

    /// One run; see [`AuditReader::run`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn run(&self, run: &RunId) -> Result<RunSummary, QueryError> {
        let run = run.clone();
        self.ask(move |reader| reader.run(&run)).await
    }

    /// The records of a run; see [`AuditReader::records`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn records(&self, run: &RunId) -> Result<Vec<AuditRecord>, QueryError> {
        let run = run.clone();
        self.ask(move |reader| reader.records(&run)).await
    }

    /// The journal of a run; see [`AuditReader::journal`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn journal(&self, run: &RunId) -> Result<Vec<Record>, QueryError> {
        let run = run.clone();
        self.ask(move |reader| reader.journal(&run)).await
    }

    /// Keeps a note: durable when it returns. Whether it is new; there may be one of this id, which
    /// stays as it is.
    ///
    /// # Errors
    /// As of a flush: the note may have been kept or not.
    ///
    /// # Cancellation
    /// A note that was given is written, whether or not somebody waits for it.
    pub async fn note(&self, note: &Note) -> Result<bool, AuditError> {
        let new = Box::new(NewNote::new(note).map_err(unfit)?);
        self.wait_for(|answer| Work::Note(new, answer)).await
    }

    /// The note of this id; see [`AuditReader::note`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn noted(&self, id: &str) -> Result<Option<Note>, QueryError> {
        let id = id.to_owned();
        self.ask(move |reader| reader.note(&id)).await
    }

    /// The notes that pass the filter; see [`AuditReader::notes`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn notes(&self, filter: NoteFilter) -> Result<Vec<Note>, QueryError> {
        self.ask(move |reader| reader.notes(&filter)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&AuditReader) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let reader = self.reader();
        match tokio::task::spawn_blocking(move || query(&reader)).await {
            Ok(answer) => answer,
            Err(error) => Err(QueryError::failed(error)),
        }
    }

    /// Removes the journal of the runs that were closed before a time; their records stay. Returns
    /// how many runs that were. A run that is not closed keeps its journal: it may be resumed.
    ///
    /// # Errors
    /// As of a flush. What was removed before stays removed; call it again.
    pub async fn purge_journal(&self, older_than: Timestamp) -> Result<u64, AuditError> {
        let mut all = 0;
        loop {
            let purge = Purge::new(older_than.as_micros());
            let purged = self.wait_for(|answer| Work::Purge(purge, Some(answer))).await?;
            all += u64::from(purged);
            if purged < Purge::RUNS {
                return Ok(all);
            }
        }
    }

    /// Lets the writer purge some journals when it is time for it.
    fn purge_sometimes(&self, now: Timestamp) {
        let Some(retention) = self.retention else { return };
        let now = now.as_micros();
        let last = self.purged_at.load(Ordering::Relaxed);
        let due = last == i64::MIN || now.saturating_sub(last) >= PURGE_INTERVAL;
        let mine = Ordering::Relaxed;
        if due && self.purged_at.compare_exchange(last, now, mine, mine).is_ok() {
            let retention = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
            let purge = Purge::new(now.saturating_sub(retention));
            // The next start is early enough when the queue is full now.
            if self.store.push(Work::Purge(purge, None)).is_err() {
                self.purged_at.store(last, mine);
            }
        }
    }

    /// Pushes a job and waits for its answer.
    pub(crate) async fn wait_for<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, AuditError>>) -> Work,
    ) -> Result<T, AuditError> {
        let (answer, receiver) = oneshot::channel();
        if let Err((_, error)) = self.store.push(job(answer)) {
            return Err(audit_error(error));
        }
        match tokio::time::timeout(self.wait, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AuditError::Broken {
                message: format!("the writer of {} is gone", self.store.path().display()),
                source: None,
            }),
            Err(_) => Err(AuditError::Unavailable {
                message: format!(
                    "{} took longer than {:?}",
                    self.store.path().display(),
                    self.wait
                ),
                source: None,
            }),
        }
    }

    pub(crate) const fn store(&self) -> &Store<Work> {
        &self.store
    }
}

#[async_trait]
impl Audit for SqliteAudit {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let seat = Seat::take(&self.heads, &start.spec.run_id);
        let text = body::scrubbed_text(&start.spec).map_err(unfit)?;
        let job = Box::new(Start::new(Arc::clone(&start.spec), text, start.attempt));
        let started = self.wait_for(|answer| Work::Start(job, answer)).await?;
        self.purge_sometimes(start.at);
        Ok(Some(Box::new(SqliteRecorder::new(self.clone(), seat, start.at, started))))
    }
}

/// What cannot be written as JSON does not fit.
pub(crate) fn unfit(error: serde_json::Error) -> AuditError {
    AuditError::Conflict { message: format!("it cannot be written as JSON: {error}") }
}
