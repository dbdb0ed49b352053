//! The port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::checkpoint::advances;
use executus_core::port::{CheckpointError, Checkpointer, Saved};
use executus_core::record::Fact;
use executus_core::{Record, RunError, RunId, Timestamp};
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension};
use executus_sqlite::{OpenError, Reader, Store};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::error::{corrupt, gone, of_open, of_query, of_store};
use crate::holder::{Holder, Holders};
use crate::job::{Row, What, Work, is_held};
use crate::schema::SCHEMA;

/// Checkpoints in one SQLite file. Clones share it, and are one holder.
///
/// Dropping the last clone ends the holder: what it still held can be resumed by others, as after
/// the death of its process. [`close`](Self::close) waits for the file to be closed.
///
/// # Cancellation
/// A call that is dropped goes on in the background.
#[derive(Debug, Clone)]
pub struct SqliteCheckpointer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store<Work>,
    holders: Holders,
    id: Arc<str>,
    wait: Duration,
    _holder: Holder,
}

/// How the keeping of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// The run's error; `None` of one that ended well.
    pub error: Option<RunError>,
}

impl SqliteCheckpointer {
    /// Opens the file, creating it and bringing its schema up to date. Blocks its thread.
    ///
    /// # Errors
    /// An [`OpenError`] names the file and says what to do.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let store = Store::open(config.store(), SCHEMA)?;
        let holders = Holders::of(&config.path);
        let holder = holders.enter().map_err(|error| OpenError::Failed {
            path: config.path,
            doing: "locking a file in its folder of holders".into(),
            source: Arc::new(error),
        })?;
        let id = Arc::from(holder.id());
        let inner = Inner { store, holders, id, wait: config.wait, _holder: holder };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Closes the file; later calls are refused.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    /// How a run ended; `None` when it has not, or was not kept here, or ended 1,024 ends ago.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub async fn ended(&self, run: &RunId) -> Result<Option<Ended>, CheckpointError> {
        let run = run.clone();
        self.read(move |connection| {
            let end: Option<(i64, Option<String>)> = connection
                .prepare_cached(
                    "SELECT at, error FROM ended WHERE run_id = ?1 ORDER BY id DESC LIMIT 1",
                )?
                .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((at, error)) = end else { return Ok(None) };
            let error = error.map(|text| error_of(&run, &text)).transpose()?;
            Ok(Some(Ended { at: Timestamp::from_micros(at), error }))
        })
        .await
    }

    async fn ask(&self, run: &RunId, what: What) -> Result<bool, CheckpointError> {
        let (answer, receiver) = oneshot::channel();
        let work = Work::new(run.clone(), Arc::clone(&self.inner.id), what, answer);
        if let Err((_, error)) = self.inner.store.push(work) {
            return Err(of_store(error));
        }
        let path = || self.inner.store.path().display();
        match tokio::time::timeout(self.inner.wait, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone(format!("the writer of {} is gone", path()))),
            Err(_) => Err(gone(format!("{} took longer than {:?}", path(), self.inner.wait))),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, CheckpointError> {
        let reader: Reader = self.inner.store.reader().clone();
        let answer = tokio::task::spawn_blocking(move || reader.read(query)).await;
        match answer {
            Ok(Ok(answer)) => answer.map_err(|Failed(error)| error),
            Ok(Err(error)) => Err(of_open(error)),
            Err(error) => Err(gone(format!("reading was cut: {error}"))),
        }
    }

    /// The runs that this query finds, without those whose ids nobody can have given.
    async fn runs(
        &self,
        sql: &'static str,
        is_held_counts: bool,
    ) -> Result<Vec<RunId>, CheckpointError> {
        let holders = self.inner.holders.clone();
        self.read(move |connection| {
            let now = Timestamp::now();
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                let holder: Option<String> = row.get(1)?;
                if is_held_counts && is_held(holder.as_deref(), row.get(2)?, now, &holders) {
                    continue;
                }
                let run: String = row.get(0)?;
                match RunId::new(run.as_str()) {
                    Ok(run) => runs.push(run),
                    Err(error) => tracing::warn!(run, %error, "a kept run has no usable id"),
                }
            }
            Ok(runs)
        })
        .await
    }
}

/// Why reading failed.
struct Failed(CheckpointError);

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self(of_query(error))
    }
}

impl From<CheckpointError> for Failed {
    fn from(error: CheckpointError) -> Self {
        Self(error)
    }
}

fn error_of(run: &RunId, text: &str) -> Result<RunError, CheckpointError> {
    serde_json::from_str(text).map_err(|error| corrupt(run, "its error", error))
}

fn text_of(run: &RunId, error: &RunError) -> Result<String, CheckpointError> {
    serde_json::to_string(error).map_err(|error| corrupt(run, "its error", error))
}

#[async_trait]
impl Checkpointer for SqliteCheckpointer {
    async fn append(
        &self,
        run: &RunId,
        records: &[Record],
        lease: Duration,
    ) -> Result<(), CheckpointError> {
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let text = serde_json::to_string(record)
                .map_err(|error| corrupt(run, &format!("record {}", record.seq), error))?;
            let resumes = matches!(record.fact, Fact::Resumed { .. });
            rows.push(Row { seq: record.seq, text, resumes, advances: advances(&record.fact) });
        }
        let until = Timestamp::now().after(lease);
        self.ask(run, What::Append { rows, until }).await.map(drop)
    }

    async fn complete(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.ask(run, What::End { at: Timestamp::now(), error: None }).await.map(drop)
    }

    async fn fail(&self, run: &RunId, error: &RunError) -> Result<(), CheckpointError> {
        let error = Some(text_of(run, error)?);
        self.ask(run, What::End { at: Timestamp::now(), error }).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<RunId>, CheckpointError> {
        let sql = "SELECT run_id, holder, held_until FROM runs WHERE parked IS NULL ORDER BY id";
        self.runs(sql, true).await
    }

    async fn claim(&self, run: &RunId, lease: Duration) -> Result<bool, CheckpointError> {
        let until = Timestamp::now().after(lease);
        let holders = self.inner.holders.clone();
        self.ask(run, What::Claim { until, holders }).await
    }

    async fn renew(&self, runs: &[RunId], lease: Duration) -> Result<Vec<RunId>, CheckpointError> {
        let until = Timestamp::now().after(lease);
        // Pushed together, so that they are of one transaction.
        let mut answers = Vec::with_capacity(runs.len());
        for run in runs {
            let (answer, receiver) = oneshot::channel();
            let id = Arc::clone(&self.inner.id);
            let work = Work::new(run.clone(), id, What::Renew { until }, answer);
            if let Err((_, error)) = self.inner.store.push(work) {
                return Err(of_store(error));
            }
            answers.push((run, receiver));
        }
        let mut lost = Vec::new();
        for (run, answer) in answers {
            let is_ours = answer.await.map_err(|_| gone("the writer is gone"))??;
            if !is_ours {
                lost.push(run.clone());
            }
        }
        Ok(lost)
    }

    async fn release(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.ask(run, What::Release).await.map(drop)
    }

    async fn park(&self, run: &RunId, why: &RunError) -> Result<(), CheckpointError> {
        let (why, now) = (text_of(run, why)?, Timestamp::now());
        let holders = self.inner.holders.clone();
        self.ask(run, What::Park { why, now, holders }).await.map(drop)
    }

    async fn unpark(&self, run: &RunId) -> Result<bool, CheckpointError> {
        self.ask(run, What::Unpark).await
    }

    async fn parked(&self) -> Result<Vec<RunId>, CheckpointError> {
        let sql =
            "SELECT run_id, holder, held_until FROM runs WHERE parked IS NOT NULL ORDER BY id";
        self.runs(sql, false).await
    }

    async fn load(&self, run: &RunId) -> Result<Option<Saved>, CheckpointError> {
        let run = run.clone();
        self.read(move |connection| {
            let known: Option<(i64, u32, u32, Option<String>)> = connection
                .prepare_cached("SELECT id, claims, in_vain, parked FROM runs WHERE run_id = ?1")?
                .query_row([run.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()?;
            let Some((id, claims, in_vain, parked)) = known else { return Ok(None) };
            let mut statement = connection
                .prepare_cached("SELECT seq, record FROM records WHERE run = ?1 ORDER BY seq")?;
            let mut rows = statement.query([id])?;
            let mut records: Vec<Record> = Vec::new();
            while let Some(row) = rows.next()? {
                let (seq, text): (i64, String) = (row.get(0)?, row.get(1)?);
                let record = serde_json::from_str(&text)
                    .map_err(|error| corrupt(&run, &format!("record {seq}"), error))?;
                records.push(record);
            }
            let parked = parked.map(|text| error_of(&run, &text)).transpose()?;
            Ok(Some(Saved { records, claims, in_vain, parked }))
        })
        .await
    }
}
