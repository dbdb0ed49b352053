//! Where the runs are kept.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy;
use executus_audit_sqlite::{
    AnchoredError, AuditReader, Note, OpenError, QueryError, RunFilter, RunSummary, SqliteAudit,
};
use executus_checkpoint_sqlite::SqliteCheckpointer;
use executus_core::port::Checkpointer;
use executus_core::text::scrub_json;
use executus_core::{Clock, ErrorKind, Fact, Outcome, RunId, RunSpec};
use serde_json::Value;

use crate::cli::StoreArgs;
use crate::config::Keeping;
use crate::fault::{Fault, chain};
use crate::presence::{self, Presence};

/// The store of a process that runs something.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    kept: Kept,
    resumes: bool,
    _presence: Presence,
}

/// The files of a store.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) audit: SqliteAudit,
    /// The facts of unfinished runs; `None` where they are not kept.
    pub(crate) checkpoints: Option<SqliteCheckpointer>,
}

/// What a run is asked for: the same under one id, or it is another run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) inputs: &'a Value,
    pub(crate) labels: &'a Value,
    pub(crate) dry_run: bool,
    pub(crate) read_only: bool,
}

impl Store {
    /// Opens the store, making it where it is missing, and records what died in it. Blocks its
    /// thread for a moment.
    ///
    /// # Errors
    /// When there is no place for it, or something else lies there.
    pub(crate) async fn create(args: &StoreArgs) -> Result<Self, Fault> {
        let path = path(args)?;
        make_folder(&path)?;
        Self::enter(&path, &args.keeping).await
    }

    /// The same of a store that is there.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) async fn open(args: &StoreArgs) -> Result<Self, Fault> {
        let path = path(args)?;
        if !path.exists() {
            return Err(Fault::usage(format!("{}: no such file", path.display()))
                .help("name a database of runs with --db PATH"));
        }
        Self::enter(&path, &args.keeping).await
    }

    async fn enter(path: &Path, keeping: &Keeping) -> Result<Self, Fault> {
        let open = async || {
            make_file(path)?;
            let audit = open_audit(path, keeping).await?;
            let of_runs = checkpoints_path(path);
            // What an earlier configuration kept is not lost.
            let is_kept = keeping.checkpoint.enabled || of_runs.exists();
            let checkpoints = is_kept.then(|| open_checkpoints(&of_runs)).transpose()?;
            Ok(Kept { audit, checkpoints })
        };
        let (presence, kept) = Presence::enter(path, open).await?;
        let resumes = keeping.checkpoint.enabled;
        Ok(Self { path: path.to_owned(), kept, resumes, _presence: presence })
    }

    /// The audit.
    pub(crate) const fn audit(&self) -> &SqliteAudit {
        &self.kept.audit
    }

    /// The facts of unfinished runs; `None` where they are not kept.
    pub(crate) fn checkpoints(&self) -> Option<&SqliteCheckpointer> {
        self.kept.checkpoints.as_ref().filter(|_| self.resumes)
    }

    /// The database.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What an unfinished run was asked to be; `None` when nothing is kept of it.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn kept_spec(&self, run: &RunId) -> Result<Option<Arc<RunSpec>>, Fault> {
        let Some(checkpoints) = &self.kept.checkpoints else { return Ok(None) };
        let saved = checkpoints.load(run).await.map_err(|error| Fault::error(chain(&error)))?;
        let first = saved.and_then(|saved| saved.records.into_iter().next());
        Ok(first.and_then(|record| match record.fact {
            Fact::Opened(spec) => Some(spec),
            _ => None,
        }))
    }

    /// The result of the run under this id, if it has ended and was asked for the same.
    ///
    /// # Errors
    /// When the id is taken: by a run that has not ended, or by one with other inputs.
    pub(crate) async fn finished(
        &self,
        run_id: &RunId,
        asked: Asked<'_>,
    ) -> Result<Option<Outcome>, Fault> {
        let Asked { inputs, labels, dry_run, read_only } = asked;
        let run = match self.kept.audit.run(run_id).await {
            Ok(run) => run,
            Err(QueryError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(not_read(&error)),
        };
        let taken = |why: &str| {
            Err(Fault::usage(format!("run {run_id} {why}"))
                .help("choose another --run-id, or none for a fresh one"))
        };
        // What is kept is scrubbed; an input is the same when it is so scrubbed.
        if *run.spec.inputs != scrub_json(inputs) {
            return taken("was asked for with other inputs");
        }
        if run.spec.labels["file_digest"] != labels["file_digest"] {
            return taken("was asked for with another file, or another version of it");
        }
        if run.spec.labels["rules_digest"] != labels["rules_digest"] {
            return taken("was asked for with other rules");
        }
        if run.spec.labels["palette_digest"] != labels["palette_digest"] {
            return taken("was asked for with other skills or agents");
        }
        if run.spec.labels["models"] != labels["models"] {
            return taken("was asked for with another model");
        }
        if run.spec.read_only != read_only {
            return taken(if run.spec.read_only { "was read-only" } else { "was not read-only" });
        }
        if run.spec.dry_run != dry_run {
            return taken(if run.spec.dry_run { "was a dry run" } else { "was not a dry run" });
        }
        let advised = |why: &str, advice: String| {
            Err(Fault::usage(format!("run {run_id} {why}")).help(advice))
        };
        match outcome(&run) {
            Some(outcome) if run.closed => Ok(Some(outcome)),
            Some(_) if self.kept_spec(run_id).await?.is_none() => {
                taken("was interrupted, and nothing is kept to go on with")
            }
            Some(Outcome { error: Some(error), .. })
                if error.kind == ErrorKind::AwaitingApproval =>
            {
                advised("was interrupted: it awaits approval", approval_advice(run_id))
            }
            Some(_) => advised(
                "was interrupted",
                format!("`executus resume {}` goes on with it", quoted(run_id)),
            ),
            None => taken("is under way"),
        }
    }

    /// How this run ended, if it has.
    ///
    /// # Errors
    /// When no run is recorded under the id.
    pub(crate) async fn ended(&self, run: &RunId) -> Result<Option<Outcome>, Fault> {
        let found = self.recorded(run).await?;
        Ok(outcome(&found).filter(|_| found.closed))
    }

    /// Whether the run is neither under way nor over.
    ///
    /// # Errors
    /// As [`ended`](Self::ended).
    pub(crate) async fn is_interrupted(&self, run: &RunId) -> Result<bool, Fault> {
        let found = self.recorded(run).await?;
        Ok(found.status.is_some() && !found.closed)
    }

    async fn recorded(&self, run: &RunId) -> Result<RunSummary, Fault> {
        self.kept.audit.run(run).await.map_err(|error| match error {
            QueryError::NotFound { .. } => unknown(run.as_str()),
            error => not_read(&error),
        })
    }

    /// Writes what is left and closes the files.
    pub(crate) async fn close(&self) {
        if let Some(checkpoints) = &self.kept.checkpoints {
            checkpoints.close().await;
        }
        self.kept.audit.close().await;
    }
}

async fn open_audit(path: &Path, keeping: &Keeping) -> Result<SqliteAudit, Fault> {
    let config = keeping.audit.of(path);
    match keeping.audit.anchor()? {
        None => SqliteAudit::open(config).map_err(|error| not_opened(&error)),
        Some(anchor) => SqliteAudit::open_anchored(config, anchor, Clock::system().now())
            .await
            .map_err(|error| not_anchored(&error)),
    }
}

/// What is said of an audit that does not go with its anchor.
pub(crate) fn not_anchored(error: &AnchoredError) -> Fault {
    match error {
        AnchoredError::Open(error) => not_opened(error),
        AnchoredError::Mismatch { .. } | AnchoredError::NoMark { .. } => Fault::error(chain(error))
            .help(
                "`executus audit verify` says what is wrong; when it is known why, `executus audit \
                 accept --reason TEXT` lets the file be used as it is",
            ),
        _ => Fault::error(chain(error)),
    }
}

fn open_checkpoints(path: &Path) -> Result<SqliteCheckpointer, Fault> {
    make_file(path)?;
    // Its own code would let everybody look into it.
    let mut holders = path.as_os_str().to_owned();
    holders.push(".holders");
    make_private(Path::new(&holders))?;
    let config = executus_checkpoint_sqlite::Config::new(path);
    SqliteCheckpointer::open(config).map_err(|error| not_opened(&error))
}

/// Where the facts of unfinished runs lie: beside the database.
fn checkpoints_path(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(".checkpoints");
    name.into()
}

/// What to type to answer for a run.
pub(crate) fn approval_advice(run: &RunId) -> String {
    let run = quoted(run);
    format!(
        "`executus explain {run}` tells what it asks for; `executus approve {run} CALL` or \
         `executus deny {run} CALL` goes on with it"
    )
}

/// A run's id as a shell takes it for one word.
pub(crate) fn quoted(run: &RunId) -> String {
    let text = run.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// How a run ended; `None` while it has not.
pub(crate) fn outcome(run: &RunSummary) -> Option<Outcome> {
    Some(Outcome {
        run_id: run.run_id.clone(),
        status: run.status?,
        output: run.output.clone(),
        error: run.error.clone(),
        stats: run.stats.unwrap_or_default(),
        artifacts: run.artifacts.iter().cloned().map(Arc::new).collect(),
    })
}

/// Opens the store for reading. `None` when nothing was ever kept in the usual place.
///
/// # Errors
/// When a store that was named is not there, or is something else.
pub(crate) fn reader(args: &StoreArgs) -> Result<Option<AuditReader>, Fault> {
    let path = path(args)?;
    if args.db.is_none() && !path.exists() {
        return Ok(None);
    }
    presence::wait_for_maker(&path);
    let reader = match AuditReader::open(&path) {
        Err(OpenError::Older { .. }) => {
            // Whoever writes to it brings it up to date.
            record_dead(&path, &args.keeping);
            AuditReader::open(&path)
        }
        opened => opened,
    };
    let reader = reader.map_err(|error| not_opened(&error))?;
    let open = RunFilter { open: true, limit: Some(1), ..RunFilter::default() };
    let open = reader.runs(&open).map_err(|error| not_read(&error))?;
    if !open.is_empty() && presence::nobody_lives(&path) {
        record_dead(&path, &args.keeping);
    }
    Ok(Some(reader))
}

/// Records what died in a store. Whoever only looks does not fail when that cannot be done.
fn record_dead(path: &Path, keeping: &Keeping) {
    let entered = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Fault::error(error.to_string()))?;
        runtime.block_on(async {
            Store::enter(path, keeping).await?.close().await;
            Ok(())
        })
    };
    // Whoever looks may be in a runtime already.
    let recorded = std::thread::scope(|scope| scope.spawn(entered).join())
        .unwrap_or_else(|_panic| Err(Fault::error("recording them failed")));
    if let Err(fault) = recorded {
        tracing::warn!(%fault, "runs of a process that died are still listed as running");
    }
}

/// The note of this id, where there is one and no run is called so.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn note(args: &StoreArgs, id: &str) -> Result<Option<Note>, Fault> {
    let Some(reader) = reader(args)? else { return Ok(None) };
    match RunId::new(id).map(|run| reader.run(&run)) {
        Ok(Ok(_)) => Ok(None),
        _ => reader.note(id).map_err(|error| not_read(&error)),
    }
}

/// A reader and a run in it.
///
/// # Errors
/// When there is no such run.
pub(crate) fn find(args: &StoreArgs, run: &str) -> Result<(AuditReader, RunSummary), Fault> {
    let unknown = || unknown(run);
    let run_id = RunId::new(run).map_err(|_| unknown())?;
    let reader = reader(args)?.ok_or_else(unknown)?;
    match reader.run(&run_id) {
        Ok(found) => Ok((reader, found)),
        Err(QueryError::NotFound { .. }) => Err(unknown()),
        Err(error) => Err(not_read(&error)),
    }
}

fn unknown(run: &str) -> Fault {
    Fault::usage(format!("no run `{run}` is recorded"))
        .help("`executus runs` lists those that are; --db PATH looks elsewhere")
}

fn not_opened(error: &OpenError) -> Fault {
    // Each says what to do.
    match error {
        OpenError::Busy { .. } | OpenError::Failed { .. } => Fault::error(chain(error)),
        _ => Fault::usage(chain(error)),
    }
}

/// A query that went wrong.
pub(crate) fn not_read(error: &QueryError) -> Fault {
    match error {
        QueryError::Open(error) => not_opened(error),
        _ => Fault::error(chain(error)),
    }
}

/// The database: the one that was named, or `executus/executus.db` in the XDG data folder.
///
/// # Errors
/// When there is no home folder to find it from.
pub(crate) fn path(args: &StoreArgs) -> Result<PathBuf, Fault> {
    if let Some(named) = &args.db {
        return Ok(named.clone());
    }
    let folders = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Fault::usage(format!("there is no data folder to keep runs in: {error}"))
            .help("set XDG_DATA_HOME, or name a database with --db PATH")
    })?;
    Ok(folders.data_dir().join("executus").join("executus.db"))
}

/// Makes the database's folder where it is missing, for this user's eyes alone.
///
/// # Errors
/// When the system does not allow it.
fn make_folder(path: &Path) -> Result<(), Fault> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    make_private(folder)
}

/// Only what is made here is private; folders that exist stay as they are.
fn make_private(folder: &Path) -> Result<(), Fault> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| refused(folder, &error))
}

/// Makes the database's file where it is missing; its own code would let everybody read it.
///
/// # Errors
/// As [`make_folder`].
pub(crate) fn make_file(path: &Path) -> Result<(), Fault> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(refused(path, &error)),
        _ => Ok(()),
    }
}

fn refused(what: &Path, error: &io::Error) -> Fault {
    Fault::usage(format!("cannot keep runs in {}: {error}", what.display()))
        .help("name a database in a folder that you may write to with --db PATH")
}
