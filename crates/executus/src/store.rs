//! Where the runs are kept.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy;
use executus_audit_sqlite::{
    AuditReader, Config, Note, OpenError, QueryError, RunFilter, RunSummary, SqliteAudit,
};
use executus_core::port::Audit;
use executus_core::text::scrub_json;
use executus_core::{Outcome, RunId};
use serde_json::Value;

use crate::fault::{Fault, chain};
use crate::presence::{self, Presence};

/// The store of a process that runs something.
#[derive(Debug)]
pub(crate) struct Store {
    audit: SqliteAudit,
    _presence: Presence,
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
    pub(crate) async fn create(named: Option<&Path>) -> Result<Self, Fault> {
        let path = path(named)?;
        make_folder(&path)?;
        Self::enter(&path).await
    }

    async fn enter(path: &Path) -> Result<Self, Fault> {
        let open = || {
            make_file(path)?;
            SqliteAudit::open(Config::new(path)).map_err(|error| not_opened(&error))
        };
        let (presence, audit) = Presence::enter(path, open).await?;
        Ok(Self { audit, _presence: presence })
    }

    /// The port.
    pub(crate) fn audit(&self) -> Arc<dyn Audit> {
        Arc::new(self.audit.clone())
    }

    /// The same, for what is recorded beside the runs.
    pub(crate) const fn notes(&self) -> &SqliteAudit {
        &self.audit
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
        let run = match self.audit.run(run_id).await {
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
        if run.spec.labels["models"] != labels["models"] {
            return taken("was asked for with another model");
        }
        if run.spec.read_only != read_only {
            return taken(if run.spec.read_only { "was read-only" } else { "was not read-only" });
        }
        if run.spec.dry_run != dry_run {
            return taken(if run.spec.dry_run { "was a dry run" } else { "was not a dry run" });
        }
        match outcome(&run) {
            Some(outcome) if run.closed => Ok(Some(outcome)),
            Some(_) => taken("was interrupted, and this version does not resume runs"),
            None => taken("is under way"),
        }
    }

    /// Writes what is left and closes the file.
    pub(crate) async fn close(&self) {
        self.audit.close().await;
    }
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
pub(crate) fn reader(named: Option<&Path>) -> Result<Option<AuditReader>, Fault> {
    let path = path(named)?;
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    presence::wait_for_maker(&path);
    let reader = match AuditReader::open(&path) {
        Err(OpenError::Older { .. }) => {
            // Whoever writes to it brings it up to date.
            record_dead(&path);
            AuditReader::open(&path)
        }
        opened => opened,
    };
    let reader = reader.map_err(|error| not_opened(&error))?;
    let open = RunFilter { open: true, limit: Some(1), ..RunFilter::default() };
    let open = reader.runs(&open).map_err(|error| not_read(&error))?;
    if !open.is_empty() && presence::nobody_lives(&path) {
        record_dead(&path);
    }
    Ok(Some(reader))
}

/// Records what died in a store. Whoever only looks does not fail when that cannot be done.
fn record_dead(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let recorded = runtime.map_err(|error| Fault::error(error.to_string())).and_then(|runtime| {
        runtime.block_on(async {
            Store::enter(path).await?.close().await;
            Ok(())
        })
    });
    if let Err(fault) = recorded {
        tracing::warn!(%fault, "runs of a process that died are still listed as running");
    }
}

/// The note of this id, where there is one and no run is called so.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn note(named: Option<&Path>, id: &str) -> Result<Option<Note>, Fault> {
    let Some(reader) = reader(named)? else { return Ok(None) };
    match RunId::new(id).map(|run| reader.run(&run)) {
        Ok(Ok(_)) => Ok(None),
        _ => reader.note(id).map_err(|error| not_read(&error)),
    }
}

/// A reader and a run in it.
///
/// # Errors
/// When there is no such run.
pub(crate) fn find(named: Option<&Path>, run: &str) -> Result<(AuditReader, RunSummary), Fault> {
    let unknown = || {
        Fault::usage(format!("no run `{run}` is recorded"))
            .help("`executus runs` lists those that are; --db PATH looks elsewhere")
    };
    let run_id = RunId::new(run).map_err(|_| unknown())?;
    let reader = reader(named)?.ok_or_else(unknown)?;
    match reader.run(&run_id) {
        Ok(found) => Ok((reader, found)),
        Err(QueryError::NotFound { .. }) => Err(unknown()),
        Err(error) => Err(not_read(&error)),
    }
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
pub(crate) fn path(named: Option<&Path>) -> Result<PathBuf, Fault> {
    if let Some(named) = named {
        return Ok(named.to_owned());
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
    // Only what is made here is private; folders that exist stay as they are.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| refused(folder, &error))
}

/// Makes the database's file where it is missing; its own code would let everybody read it.
///
/// # Errors
/// As [`make_folder`].
fn make_file(path: &Path) -> Result<(), Fault> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(refused(path, &error)),
        _ => Ok(()),
    }
}

fn refused(what: &Path, error: &io::Error) -> Fault {
    Fault::usage(format!("cannot keep runs in {}: {error}", what.display()))
        .help("name a database in a folder that you may write to with --db PATH")
}
