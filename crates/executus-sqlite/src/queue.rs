//! The bounded queue between those who push and the writer thread.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::config::Config;
use crate::error::{StoreError, StoreState};
use crate::job::Job;

/// See the module. Pushing takes a short lock and never waits for I/O.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    wake: Condvar,
    config: Config,
}

struct State<J> {
    jobs: VecDeque<J>,
    bytes: usize,
    /// Jobs in the queue that somebody waits for.
    awaited: usize,
    /// Jobs that were behind the newest group when it was taken.
    behind: usize,
    /// The last try failed and its jobs were kept: try again when somebody waits, or later.
    stalled: bool,
    /// Why; until a transaction succeeds.
    trouble: Option<StoreError>,
    closing: bool,
    /// Why nothing is taken any more.
    refusal: Option<StoreError>,
}

/// What there is to do for the writer thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A group to commit.
    Group,
    /// Nothing for a while.
    Idle,
    /// Nothing any more.
    End,
}

impl<J: Job> Queue<J> {
    pub(crate) fn new(config: Config) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            awaited: 0,
            behind: 0,
            stalled: false,
            trouble: None,
            closing: false,
            refusal: None,
        };
        Self { state: Mutex::new(state), wake: Condvar::new(), config }
    }

    /// Puts a job at the end, or gives it back. `bounded`: a full queue does not take it, unless
    /// it is awaited.
    pub(crate) fn push(&self, job: J, bounded: bool) -> Result<(), (J, StoreError)> {
        let mut state = self.state.lock();
        if let Some(refusal) = &state.refusal {
            let refusal = refusal.clone();
            return Err((job, refusal));
        }
        if state.closing {
            return Err((job, StoreError::Closed { path: self.config.path.clone() }));
        }
        let (awaited, bytes) = (job.is_awaited(), job.bytes());
        let full = state.jobs.len() >= self.config.queue
            || !state.jobs.is_empty() && state.bytes + bytes > self.config.queue_bytes;
        if full && bounded && !awaited {
            return Err((job, StoreError::Full { path: self.config.path.clone() }));
        }
        state.bytes += bytes;
        state.awaited += usize::from(awaited);
        state.jobs.push_back(job);
        // The writer sleeps for one of these three, and for nothing else.
        if awaited || state.jobs.len() == 1 || state.jobs.len() == self.config.batch {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for a group of jobs and moves it into `group`, which is empty. `dirty`: there is
    /// something to do when nothing comes for a while.
    pub(crate) fn take(&self, group: &mut Vec<J>, dirty: bool) -> Next {
        let mut state = self.state.lock();
        loop {
            if state.jobs.is_empty() {
                if state.closing {
                    return Next::End;
                }
                if !dirty {
                    self.wake.wait(&mut state);
                } else if self.wait(&mut state, self.config.idle) && state.jobs.is_empty() {
                    return Next::Idle;
                }
                continue;
            }
            let due = state.closing
                || state.awaited > 0
                || state.jobs.len() >= self.config.batch && !state.stalled;
            let pause = if state.stalled { self.config.idle } else { self.config.linger };
            if due || self.wait(&mut state, pause) {
                break;
            }
        }
        state.stalled = false;
        let count = state.jobs.len().min(self.config.transaction.max(1));
        let first = group.len();
        group.extend(state.jobs.drain(..count));
        state.behind = state.jobs.len();
        for job in &group[first..] {
            state.bytes = state.bytes.saturating_sub(job.bytes());
            state.awaited -= usize::from(job.is_awaited());
        }
        Next::Group
    }

    /// Whether the time passed without a wake-up.
    fn wait(&self, state: &mut parking_lot::MutexGuard<'_, State<J>>, time: Duration) -> bool {
        self.wake.wait_for(state, time).timed_out()
    }

    /// Takes back a group that could not be committed for now. Returns the jobs that fail: the
    /// awaited ones that were there when the group was taken, since none can succeed before those
    /// in front of it, and, when the queue is closing, every job. Later ones ask for another try.
    pub(crate) fn keep(&self, group: &mut Vec<J>, trouble: StoreError) -> Vec<J> {
        let mut state = self.state.lock();
        state.trouble = Some(trouble);
        let closing = state.closing;
        let tried = group.len() + state.behind;
        let (mut failed, mut kept) = (Vec::new(), VecDeque::new());
        for (at, job) in group.drain(..).chain(state.jobs.drain(..)).enumerate() {
            if closing || at < tried && job.is_awaited() {
                failed.push(job);
            } else {
                kept.push_back(job);
            }
        }
        state.bytes = kept.iter().map(Job::bytes).sum();
        state.awaited = kept.iter().filter(|job| job.is_awaited()).count();
        state.jobs = kept;
        state.stalled = true;
        failed
    }

    /// A transaction succeeded. Only called when one had failed before.
    pub(crate) fn recovered(&self) {
        self.state.lock().trouble = None;
    }

    pub(crate) fn state(&self) -> StoreState {
        let state = self.state.lock();
        match (&state.refusal, &state.trouble) {
            (Some(StoreError::Closed { .. }), _) => StoreState::Closed,
            (Some(refusal), _) => StoreState::Failed(refusal.clone()),
            _ if state.closing => StoreState::Closed,
            (None, Some(trouble)) => StoreState::Waiting(trouble.clone()),
            (None, None) => StoreState::Writing,
        }
    }

    /// Lets the writer thread end when it has done what is there.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_one();
    }

    /// Refuses everything from here on. Returns the jobs that were there.
    pub(crate) fn refuse(&self, refusal: StoreError) -> Vec<J> {
        let mut state = self.state.lock();
        state.refusal.get_or_insert(refusal);
        state.bytes = 0;
        state.awaited = 0;
        state.jobs.drain(..).collect()
    }
}
