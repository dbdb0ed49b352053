//! The task that gives permits back and renews those that are held.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::lane::Lanes;

/// How many permits one call renews.
const BATCH: usize = 256;
/// How long to let a server be that did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// A permit or a place that is given back.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) key: Arc<str>,
    pub(super) id: Arc<str>,
    /// In which second it was granted.
    pub(super) granted: u64,
    pub(super) estimate: u64,
    pub(super) used: Option<u64>,
}

type Held = Arc<Mutex<HashMap<Arc<str>, HashSet<Arc<str>>>>>;

/// The task; it ends when this and every permit is dropped, and what they gave back is told.
#[derive(Debug)]
pub(super) struct Keeper {
    undo: UndoSender,
    held: Held,
    given_back: Arc<Notify>,
}

/// Hands an undo to the task; a drop can.
#[derive(Debug, Clone)]
pub(super) struct UndoSender(mpsc::UnboundedSender<Undo>);

impl UndoSender {
    pub(super) fn send(&self, undo: Undo) {
        // Without the task nobody waits; the lease gives the place back.
        let _ = self.0.send(undo);
    }
}

impl Keeper {
    pub(super) fn start(lanes: Arc<Lanes>) -> Self {
        let (undo, undos) = mpsc::unbounded_channel();
        let (held, given_back) = (Held::default(), Arc::new(Notify::new()));
        #[expect(clippy::disallowed_methods, reason = "ends with the caps and their permits")]
        tokio::spawn(keep(lanes, undos, Arc::clone(&held), Arc::clone(&given_back)));
        Self { undo: UndoSender(undo), held, given_back }
    }

    pub(super) fn undo(&self) -> UndoSender {
        self.undo.clone()
    }

    /// Ends when a permit has come back after this call.
    pub(super) fn look(&self) -> OwnedNotified {
        Arc::clone(&self.given_back).notified_owned()
    }

    /// Renews this permit from now on.
    pub(super) fn hold(&self, key: &Arc<str>, id: &Arc<str>) {
        self.held.lock().entry(Arc::clone(key)).or_default().insert(Arc::clone(id));
    }
}

async fn keep(
    lanes: Arc<Lanes>,
    mut undos: mpsc::UnboundedReceiver<Undo>,
    held: Held,
    given_back: Arc<Notify>,
) {
    let every = lanes.lease / 3;
    let mut renewal = Instant::now() + every;
    // What could not be told yet, and until when it matters: the lease ends it too.
    let mut late: VecDeque<(Instant, Undo)> = VecDeque::new();
    loop {
        let until = if late.is_empty() { renewal } else { renewal.min(Instant::now() + PAUSE) };
        match timeout_at(until, undos.recv()).await {
            Ok(Some(undo)) => {
                forget(&held, &undo);
                late.push_back((Instant::now() + lanes.lease, undo));
            }
            // Nobody is left to give anything back.
            Ok(None) if late.is_empty() => return,
            Ok(None) => sleep_until(until).await,
            Err(_) => {}
        }
        while let Some((until, undo)) = late.pop_front() {
            if lanes.leave(&undo).await.is_ok() {
                given_back.notify_waiters();
            } else if Instant::now() < until {
                late.push_front((until, undo));
                break;
            }
        }
        if Instant::now() >= renewal {
            renewal = Instant::now() + every;
            renew(&lanes, &held).await;
        }
    }
}

fn forget(held: &Held, undo: &Undo) {
    let mut held = held.lock();
    if let Some(ids) = held.get_mut(&undo.key) {
        ids.remove(&undo.id);
        if ids.is_empty() {
            held.remove(&undo.key);
        }
    }
}

async fn renew(lanes: &Lanes, held: &Held) {
    let held: Vec<(Arc<str>, Vec<Arc<str>>)> = {
        let held = held.lock();
        held.iter().map(|(key, ids)| (Arc::clone(key), ids.iter().cloned().collect())).collect()
    };
    for (key, ids) in held {
        for batch in ids.chunks(BATCH) {
            if let Err(error) = lanes.renew(&key, batch).await {
                tracing::warn!(%error, key = &*key, "permits could not be renewed");
                return;
            }
        }
    }
}
