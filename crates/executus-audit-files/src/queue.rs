//! The bounded queue between those who record and the writer thread.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::config::Config;
use crate::job::Job;

/// Enough records for a group.
const BATCH: usize = 256;
/// The most jobs of a group.
const GROUP: usize = 1024;

/// Pushing takes a short lock and never waits for I/O.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    jobs: usize,
    bytes: usize,
    linger: Duration,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Jobs that somebody waits for.
    awaited: usize,
    closing: bool,
    /// The writer has ended.
    gone: bool,
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

impl Queue {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            jobs: config.queue.max(1),
            bytes: config.queue_bytes,
            linger: config.linger,
        }
    }

    /// Takes a job. `bounded`: a full queue does not, unless somebody waits for it.
    pub(crate) fn push(&self, job: Job, bounded: bool) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closing || state.gone {
            return Err(Refused::Closed);
        }
        let (bytes, awaited) = (job.bytes(), job.is_awaited());
        let full = state.jobs.len() >= self.jobs
            || !state.jobs.is_empty() && state.bytes + bytes > self.bytes;
        if full && bounded && !awaited {
            return Err(Refused::Full);
        }
        state.bytes += bytes;
        state.awaited += usize::from(awaited);
        state.jobs.push_back(job);
        if awaited || state.jobs.len() == 1 || state.jobs.len() == BATCH {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for jobs and moves them into `group`, which is empty. False when there are no more.
    pub(crate) fn take(&self, group: &mut Vec<Job>) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.jobs.is_empty() {
                if state.closing {
                    return false;
                }
                self.wake.wait(&mut state);
                continue;
            }
            let due = state.closing || state.awaited > 0 || state.jobs.len() >= BATCH;
            if due || self.wake.wait_for(&mut state, self.linger).timed_out() {
                break;
            }
        }
        let count = state.jobs.len().min(GROUP);
        group.extend(state.jobs.drain(..count));
        for job in group.iter() {
            state.bytes = state.bytes.saturating_sub(job.bytes());
            state.awaited -= usize::from(job.is_awaited());
        }
        true
    }

    /// Lets the writer end when it has done what is there.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_one();
    }

    /// The writer has ended: what waits is dropped, which tells those who wait for it.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.gone = true;
        let rest = std::mem::take(&mut state.jobs);
        drop(state);
        drop(rest);
    }
}
