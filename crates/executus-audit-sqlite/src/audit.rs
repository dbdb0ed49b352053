//! The port.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::{Record, RunId, Timestamp};
use executus_sqlite::{OpenError, Store, StoreState};
use serde_json::json;
use tokio::sync::oneshot;

use crate::anchor::{self, Anchor, AnchorError, Mark, Tail};
use crate::body;
use crate::config::Config;
use crate::error::{AnchoredError, QueryError, audit_error};
use crate::job::{Purge, Start, Work};
use crate::note::{NewNote, Note, NoteFilter};
use crate::query::{AuditRecord, RunFilter, RunSummary};
use crate::reader::AuditReader;
use crate::recorder::SqliteRecorder;
use crate::retain::{Drop, Seal};
use crate::schema::SCHEMA;
use crate::trail::{Heads, Seat};

/// How often old journals are looked for, at most, in microseconds: hourly.
const PURGE_INTERVAL: i64 = 3_600_000_000;

/// The kind of the note that says that a file is anchored; retention leaves it.
pub(crate) const ANCHORED: &str = "audit.anchored";

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
    journal_retention: Option<Duration>,
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
        let store = Store::open(config.store(), SCHEMA)?;
        Ok(Self::over(store, &config))
    }

    /// Opens the file with an anchor, which follows it from there on. Opening blocks the thread for
    /// a moment. `at`: now.
    ///
    /// A file that does not go with its anchor is left alone: what it was must not be written over
    /// before somebody has looked. The first time, that it is anchored is recorded: from then on an
    /// anchor without a mark is refused too.
    ///
    /// # Errors
    /// See [`AnchoredError`].
    pub async fn open_anchored(
        config: Config,
        anchor: Arc<dyn Anchor>,
        at: Timestamp,
    ) -> Result<Self, AnchoredError> {
        let audit = Self::open_following(&config, &anchor)?;
        let mark = anchor.read().map_err(AnchoredError::Anchor)?;
        match audit.tail(mark)? {
            tail if !tail.holds() => Err(AnchoredError::Mismatch { path: config.path, tail }),
            Tail::NoMark if audit.was_anchored()? => {
                Err(AnchoredError::NoMark { path: config.path })
            }
            _ => audit.anchored(&*anchor, false, at).await,
        }
    }

    /// The same for a file that does not go with its anchor, and is to be used all the same: the
    /// anchor's mark is replaced, and the reason recorded as a note of the kind `audit.accepted`.
    ///
    /// # Errors
    /// See [`AnchoredError`].
    pub async fn accept_anchored(
        config: Config,
        anchor: Arc<dyn Anchor>,
        reason: &str,
        at: Timestamp,
    ) -> Result<Self, AnchoredError> {
        let audit = Self::open_following(&config, &anchor)?;
        let tail = match anchor.read() {
            Ok(mark) => audit.tail(mark)?,
            Err(AnchorError::WrongKey { .. }) => Tail::WrongKey,
            Err(error) => return Err(AnchoredError::Anchor(error)),
        };
        let audit = audit.anchored(&*anchor, true, at).await?;
        let body = json!({"reason": reason, "tail": tail.to_string()});
        audit.own_note("audit.accepted", at, body).await.map_err(AnchoredError::Record)?;
        Ok(audit)
    }

    fn tail(&self, mark: Option<Mark>) -> Result<Tail, AnchoredError> {
        match mark {
            None => Ok(Tail::NoMark),
            Some(mark) => self.reader().tail(&mark).map_err(AnchoredError::Query),
        }
    }

    fn was_anchored(&self) -> Result<bool, AnchoredError> {
        let note = self.reader().note(&self.anchor_note()?).map_err(AnchoredError::Query)?;
        Ok(note.is_some())
    }

    /// Lets the anchor see the file as it is, and records that there is one.
    async fn anchored(
        self,
        anchor: &dyn Anchor,
        replace: bool,
        at: Timestamp,
    ) -> Result<Self, AnchoredError> {
        let mark = self.reader().mark().map_err(AnchoredError::Query)?;
        let kept = if replace { anchor.replace(&mark) } else { anchor.write(&mark) };
        kept.map_err(AnchoredError::Anchor)?;
        let (id, kind) = (self.anchor_note()?, ANCHORED.to_owned());
        let note = Note { id, run_id: None, at, kind, body: json!({}) };
        self.note(&note).await.map_err(AnchoredError::Record)?;
        Ok(self)
    }

    fn open_following(config: &Config, anchor: &Arc<dyn Anchor>) -> Result<Self, AnchoredError> {
        let follow = anchor::follow(Arc::clone(anchor));
        let store = Store::open_with(config.store(), SCHEMA, follow);
        Ok(Self::over(store.map_err(AnchoredError::Open)?, config))
    }

    /// The id of the note that says that this file is anchored.
    fn anchor_note(&self) -> Result<String, AnchoredError> {
        let mark = self.reader().mark().map_err(AnchoredError::Query)?;
        let file: String = mark.file.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{ANCHORED}/{file}"))
    }

    fn over(store: Store<Work>, config: &Config) -> Self {
        Self {
            store,
            heads: Arc::default(),
            wait: config.wait,
            journal_retention: config.journal_retention,
            retention: config.retention,
            purged_at: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    /// Writes what was given and closes the file; later starts and records are refused.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// How the file takes what is recorded now: a host that is not to begin anything unrecorded asks
    /// here. A start asks by itself, and is refused where it cannot be written.
    #[must_use]
    pub fn state(&self) -> StoreState {
        self.store.state()
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

    pub(crate) async fn ask<T: Send + 'static>(
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

    /// Lets the writer purge some journals, and drop some runs, when it is time for it.
    fn purge_sometimes(&self, now: Timestamp) {
        if self.journal_retention.or(self.retention).is_none() {
            return;
        }
        let now = now.as_micros();
        let last = self.purged_at.load(Ordering::Relaxed);
        let due = last == i64::MIN || now.saturating_sub(last) >= PURGE_INTERVAL;
        let mine = Ordering::Relaxed;
        if !due || self.purged_at.compare_exchange(last, now, mine, mine).is_err() {
            return;
        }
        let before = |retention: Duration| {
            now.saturating_sub(i64::try_from(retention.as_micros()).unwrap_or(i64::MAX))
        };
        // Where there is more than one job takes, the next start goes on.
        let again = || Arc::clone(&self.purged_at);
        let purge = self.journal_retention.map(|time| Purge::some(before(time), again()));
        let dropping = self.retention.map(|time| Drop::some(before(time), again()));
        let jobs = [
            purge.map(|purge| Work::Purge(purge, None)),
            self.retention.map(|_| Work::Seal(Seal::new(now), None)),
            dropping.map(|drop| Work::Drop(Box::new(drop), None)),
        ];
        for job in jobs.into_iter().flatten() {
            // The next start is early enough when the queue is full now.
            if self.store.push(job).is_err() {
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
