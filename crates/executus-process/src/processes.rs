//! The children under way: to list, to end, to wait for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::group::Group;

/// From `SIGKILL` to giving up on what hangs in the kernel, or is held by somebody who does nothing.
const REAP: Duration = Duration::from_secs(1);

/// The children of a host, as long as they run and until they were waited for.
///
/// Tools, tasks and drivers that were given one (`processes(…)`) list their children here. Clones
/// share the list.
///
/// **Concurrency**: all methods may be called from anywhere. **Cancellation**: dropping
/// [`close`](Self::close) leaves the list closed and its children asked to end.
#[derive(Clone, Default)]
pub struct Processes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tracker: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    last: u64,
    live: BTreeMap<u64, Arc<Live>>,
}

#[derive(Debug)]
struct Live {
    program: String,
    pid: u32,
    since: Instant,
    stop: CancellationToken,
    /// `None` once the child was waited for: its number may be somebody else's.
    group: Mutex<Option<Group>>,
}

/// A child under way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its number in the list; never used twice.
    pub id: u64,
    /// Its process id, which is also that of its group.
    pub pid: u32,
    /// The program.
    pub program: String,
    /// How long it has been running.
    pub running: Duration,
}

impl Processes {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The children under way, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<ProcessInfo> {
        let state = self.0.state.lock();
        state.live.iter().map(|(&id, live)| live.info(id)).collect()
    }

    /// Asks one child to end, as a stopped run does: its group gets `SIGTERM`, and `SIGKILL` after
    /// its grace. Whoever waits for it is told that it was ended. `false` when there is none with
    /// this number.
    pub fn end(&self, id: u64) -> bool {
        let live = self.0.state.lock().live.get(&id).cloned();
        live.inspect(|live| live.stop.cancel()).is_some()
    }

    /// Ends all children and waits until they were waited for. From now on no child is started.
    ///
    /// They are asked to end; what is left after `grace` gets `SIGKILL`. Returns what is there one
    /// second later all the same: a child that hangs in the kernel, or one whose stream is neither
    /// read nor dropped. Calling it again waits again.
    pub async fn close(&self, grace: Duration) -> Vec<ProcessInfo> {
        let live: Vec<_> = {
            let mut state = self.0.state.lock();
            state.is_closed = true;
            state.live.values().cloned().collect()
        };
        self.0.tracker.close();
        for live in live {
            live.stop.cancel();
        }
        if timeout(grace, self.0.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        let left: Vec<_> = self.0.state.lock().live.values().cloned().collect();
        for live in left {
            if let Some(group) = *live.group.lock() {
                group.kill();
            }
        }
        let _in_time = timeout(REAP, self.0.tracker.wait()).await;
        self.list()
    }

    /// A place for a child that is about to start; `None` when the list was closed.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        let state = self.0.state.lock();
        (!state.is_closed)
            .then(|| Reserved { processes: self.clone(), token: self.0.tracker.token() })
    }
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Processes").field(&self.list()).finish()
    }
}

impl Live {
    fn info(&self, id: u64) -> ProcessInfo {
        let (pid, program) = (self.pid, self.program.clone());
        ProcessInfo { id, pid, program, running: self.since.elapsed() }
    }
}

/// A place in the list, for a child that is about to start.
pub(crate) struct Reserved {
    processes: Processes,
    token: TaskTrackerToken,
}

impl Reserved {
    /// The child has started.
    pub(crate) fn fill(self, program: &str, pid: Option<u32>) -> Entry {
        let live = Arc::new(Live {
            program: program.to_owned(),
            pid: pid.unwrap_or(0),
            since: Instant::now(),
            stop: CancellationToken::new(),
            group: Mutex::new(Some(Group::led_by(pid))),
        });
        let mut state = self.processes.0.state.lock();
        state.last += 1;
        let id = state.last;
        state.live.insert(id, Arc::clone(&live));
        if state.is_closed {
            // Whoever closed it did not see this one.
            live.stop.cancel();
        }
        drop(state);
        Entry { processes: self.processes, id, live, _token: self.token }
    }
}

/// The place of a child in the list, given back when dropped.
pub(crate) struct Entry {
    processes: Processes,
    id: u64,
    live: Arc<Live>,
    _token: TaskTrackerToken,
}

impl Entry {
    /// Cancelled when somebody wants the child to end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.live.stop
    }

    /// The child was ended; whoever waits for it now need not be asked.
    pub(crate) fn ended(&self) {
        *self.live.group.lock() = None;
    }

    /// Waits for the child while nobody signals its group by the list.
    pub(crate) fn waiting<T>(&self, wait: impl FnOnce() -> Poll<T>) -> Poll<T> {
        let mut group = self.live.group.lock();
        let waited = wait();
        if waited.is_ready() {
            *group = None;
        }
        waited
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.processes.0.state.lock().live.remove(&self.id);
    }
}
