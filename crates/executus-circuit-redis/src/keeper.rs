//! The task that gives back what nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use executus_circuit::{Outcome, Owner, Policy, Ticket};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::calls::{Calls, Keys};

/// So much may wait to be given back; what does not fit is left to its lease.
const QUEUE: usize = 1024;
/// How long to let a server be that did not answer.
const PAUSE: Duration = Duration::from_millis(100);
/// How long something is tried to be given back. Afterwards its lease is over, or will be.
const LONGEST: Duration = Duration::from_secs(960);

/// Something to do that no caller waits for.
#[derive(Debug)]
pub(crate) enum Job {
    /// A probe's place is free.
    GiveBack { keys: Keys, policy: Box<Policy>, ticket: Ticket },
    /// Whoever asked is gone before it was answered.
    Revoke { keys: Keys, owner: Owner },
    /// A call was dropped before it was answered: the connection may be dead.
    Look,
}

/// Hands jobs to the task, which is there from the first call on, and ends with what was handed to
/// it when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    calls: Arc<Calls>,
    jobs: Mutex<Option<mpsc::Sender<(Instant, Job)>>>,
    looking: Arc<AtomicBool>,
}

impl Keeper {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls, jobs: Mutex::new(None), looking: Arc::default() }
    }

    /// Starts the task where there is none yet, or its runtime is gone.
    pub(crate) fn start(&self) {
        let mut jobs = self.jobs.lock();
        if jobs.as_ref().is_some_and(|jobs| !jobs.is_closed()) {
            return;
        }
        // Without a runtime there is nobody to talk to the server either.
        let Ok(runtime) = Handle::try_current() else { return };
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.looking.store(false, Ordering::Release);
        let (calls, looking) = (Arc::clone(&self.calls), Arc::clone(&self.looking));
        // Ends when the sender is dropped and what it sent is done, or once tried.
        runtime.spawn(keep(calls, receiver, looking));
        *jobs = Some(sender);
    }

    /// Never blocks; a job that cannot be taken is left to the lease of its probe.
    pub(crate) fn hand(&self, job: Job) {
        if matches!(job, Job::Look) && self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        self.start();
        let jobs = self.jobs.lock().clone();
        let sent = jobs.map(|jobs| jobs.try_send((Instant::now(), job)));
        if !matches!(sent, Some(Ok(()))) {
            // The server is away for long, or the runtime is.
            tracing::debug!("a probe's place is not given back before its lease is over");
        }
    }
}

async fn keep(
    calls: Arc<Calls>,
    mut jobs: mpsc::Receiver<(Instant, Job)>,
    looking: Arc<AtomicBool>,
) {
    while let Some((since, job)) = jobs.recv().await {
        loop {
            let done = match &job {
                Job::GiveBack { keys, policy, ticket } => {
                    calls.result(keys, policy, ticket, (Outcome::Neutral, 1), 0.0).await
                }
                Job::Revoke { keys, owner } => calls.revoke(keys, owner).await,
                Job::Look => {
                    let looked = calls.look().await;
                    looking.store(false, Ordering::Release);
                    looked
                }
            };
            let Err(error) = done else { break };
            let again = error.retry() && !matches!(job, Job::Look) && since.elapsed() < LONGEST;
            if !again || jobs.is_closed() {
                tracing::debug!(%error, "the circuit store was not told");
                break;
            }
            sleep(PAUSE).await;
        }
    }
}
