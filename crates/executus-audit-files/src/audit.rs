//! The port.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::{RunId, RunSpec};
use tokio::sync::{oneshot, watch};

use crate::config::Config;
use crate::error::{OpenError, gone};
use crate::folder::Folder;
use crate::job::{Answer, Job};
use crate::queue::{Queue, Refused};
use crate::reader::FilesReader;
use crate::recorder::FileRecorder;
use crate::router::Router;
use crate::writer::Writer;

/// The action log in one directory. Clones share it.
///
/// A thread writes; what was given is durable when `flush`, `close` or `suspend` returns. Dropping
/// the last clone lets the thread finish in the background; [`close`](Self::close) waits for it.
/// One process writes a run at a time, as for every audit.
#[derive(Clone)]
pub struct FileAudit {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Arc<Queue>,
    root: PathBuf,
    wait: Duration,
    is_playbook: fn(&RunSpec) -> bool,
    ended: watch::Receiver<bool>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for FileAudit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileAudit").field("root", &self.shared.root).finish_non_exhaustive()
    }
}

impl FileAudit {
    /// Opens the log, making its directory where it is not. Blocks its thread for a moment.
    ///
    /// # Errors
    /// An [`OpenError`] names the directory.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let path = config.root.clone();
        let root = Folder::root(&path)
            .map_err(|error| OpenError::Root { path: path.clone(), source: Arc::new(error) })?;
        let queue = Arc::new(Queue::new(&config));
        let (told, ended) = watch::channel(false);
        let jobs = Arc::clone(&queue);
        thread::Builder::new()
            .name("executus-files".into())
            .spawn(move || Writer::new(root).run(jobs, told))
            .map_err(|error| OpenError::Thread { path: path.clone(), source: Arc::new(error) })?;
        let Config { wait, is_playbook, .. } = config;
        Ok(Self { shared: Arc::new(Shared { queue, root: path, wait, is_playbook, ended }) })
    }

    /// The directory of all runs.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Reads what is there. Blocks its thread.
    #[must_use]
    pub fn reader(&self) -> FilesReader {
        FilesReader::new(&self.shared.root)
    }

    /// A router of entries that are no facts: those of this run, or of one with an id that it makes
    /// up and keeps.
    #[must_use]
    pub fn router(&self, run: Option<RunId>) -> Router {
        Router::new(self.clone(), run.unwrap_or_else(RunId::random))
    }

    /// Writes what was given and ends the thread; later starts and records are refused.
    pub async fn close(&self) {
        self.shared.queue.close();
        let mut ended = self.shared.ended.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    pub(crate) fn push(&self, job: Job, bounded: bool) -> Result<(), AuditError> {
        self.shared.queue.push(job, bounded).map_err(|refused| match refused {
            Refused::Full => AuditError::Full,
            Refused::Closed => gone(&self.shared.root),
        })
    }

    /// Pushes a job and waits for its answer.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, AuditError> {
        let (answer, receiver) = oneshot::channel();
        self.push(job(answer), true)?;
        match tokio::time::timeout(self.shared.wait, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone(&self.shared.root)),
            Err(_) => {
                let (root, wait) = (self.shared.root.display(), self.shared.wait);
                let message = format!("{root} took longer than {wait:?}");
                Err(AuditError::Unavailable { message, source: None })
            }
        }
    }
}

#[async_trait]
impl Audit for FileAudit {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let run = start.spec.run_id.clone();
        let playbook = (self.shared.is_playbook)(&start.spec);
        let begin = Box::new(start.clone());
        let last_seq = self.ask(|answer| Job::Start(begin, answer)).await?;
        Ok(Some(Box::new(FileRecorder::new(self.clone(), run, last_seq, playbook))))
    }
}
