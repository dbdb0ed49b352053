//! Which processes are alive, and what the dead ones left.
//!
//! A process that runs something holds a shared lock beside the store for as long as it lives; the
//! system takes it away from a process that dies, however it dies. Whoever gets the lock for
//! himself is alone: then every run without an end was left by a dead process, and is recorded as
//! `interrupted`.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use executus_audit_sqlite::{QueryError, RunFilter, RunSummary, SqliteAudit};
use executus_core::port::{Audit, AuditError, Checkpointer, RunStart};
use executus_core::{Clock, ErrorKind, Outcome, Run, RunError, RunStatus, Stats};

use crate::fault::{Fault, chain};
use crate::store::Kept;

/// How often, and how many times, a process that looks after the dead is waited for.
const RETRY: Duration = Duration::from_millis(50);
const RETRIES: u32 = 100;

/// Says to others that this process lives, until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    _lock: File,
}

impl Presence {
    /// Opens the store, records what the dead left if this process is alone, and stays.
    ///
    /// Nobody else opens it meanwhile: a store that is being made is not one yet.
    ///
    /// # Errors
    /// When the store or the lock cannot be had, or the dead cannot be recorded: a store that takes
    /// no record is none to run with.
    pub(crate) async fn enter(
        path: &Path,
        open: impl AsyncFn() -> Result<Kept, Fault>,
    ) -> Result<(Self, Kept), Fault> {
        let lock_path = lock_path(path);
        let refused = |error| Fault::error(format!("cannot lock {}: {error}", lock_path.display()));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(refused)?;
        let mut kept = None;
        for _ in 0..RETRIES {
            if kept.is_none() && lock.try_lock().is_ok() {
                let opened = open().await?;
                record_dead(&opened).await?;
                kept = Some(opened);
                lock.unlock().map_err(refused)?;
            }
            match lock.try_lock_shared() {
                Ok(()) => {
                    let kept = match kept {
                        Some(kept) => kept,
                        None => open().await?,
                    };
                    return Ok((Self { _lock: lock }, kept));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(RETRY).await,
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
        }
        Err(Fault::error(format!("{} is held by another process", lock_path.display()))
            .help("try again in a moment"))
    }
}

/// Waits until a store that another process is making is made.
pub(crate) fn wait_for_maker(path: &Path) {
    let Ok(lock) = File::open(lock_path(path)) else { return };
    for _ in 0..RETRIES {
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                #[expect(clippy::disallowed_methods, reason = "a command without a runtime")]
                std::thread::sleep(RETRY);
            }
            Ok(()) | Err(TryLockError::Error(_)) => return,
        }
    }
}

/// Whether nobody who runs something in this store is alive.
pub(crate) fn nobody_lives(path: &Path) -> bool {
    File::open(lock_path(path)).is_ok_and(|lock| lock.try_lock().is_ok())
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

async fn record_dead(Kept { audit, checkpoints }: &Kept) -> Result<(), Fault> {
    let open = RunFilter { open: true, ..RunFilter::default() };
    for run in audit.runs(open).await.map_err(|error| crate::store::not_read(&error))? {
        let saved = match checkpoints {
            Some(checkpoints) => checkpoints.load(&run.run_id).await,
            None => Ok(None),
        };
        // What cannot be read is still kept.
        let is_kept = !matches!(saved, Ok(None));
        record(audit, &run, is_kept).await.map_err(|error| {
            Fault::error(format!("cannot record that run {} ended: {}", run.run_id, chain(&error)))
        })?;
        tracing::info!(run = run.run_id.as_str(), "its process died; recorded");
    }
    Ok(())
}

/// Ends the trail of a run: as its facts say, if they say how it ended, else as interrupted. One of
/// which facts are kept is not ended: its next life settles it.
async fn record(audit: &SqliteAudit, dead: &RunSummary, is_kept: bool) -> Result<(), AuditError> {
    let folded = match audit.journal(&dead.run_id).await {
        Ok(records) => Run::fold(&records).ok(),
        Err(QueryError::Damaged { .. }) => None,
        Err(error) => {
            let message = chain(&error);
            return Err(AuditError::Unavailable { message, source: None });
        }
    };
    let spec = Arc::new(dead.spec.clone());
    let start = RunStart { spec, attempt: dead.attempts, at: Clock::system().now() };
    let Some(recorder) = audit.start(&start).await? else { return Ok(()) };
    let mut outcome = Outcome {
        run_id: dead.run_id.clone(),
        status: RunStatus::Interrupted,
        output: None,
        error: Some(RunError::new(ErrorKind::Interrupted, "the process of the run died")),
        stats: Stats::default(),
        artifacts: Vec::new(),
    };
    if let Some(run) = &folded {
        outcome.output = run.output().map(str::to_owned);
        let runtime = run.last_at().since(dead.started_at).as_millis();
        let runtime_ms = u64::try_from(runtime).unwrap_or(u64::MAX);
        outcome.stats = Stats { tally: *run.tally(), runtime_ms };
        let end = run.end().filter(|end| !is_kept && end.stop.status.is_terminal());
        if let Some(end) = end {
            outcome.status = end.stop.status;
            outcome.error.clone_from(&end.stop.error);
            return recorder.close(&outcome).await;
        }
    }
    recorder.suspend(&outcome).await
}
