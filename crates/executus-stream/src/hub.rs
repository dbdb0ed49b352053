//! One place for the live events of many runs and their readers.

mod publisher;
mod ring;
mod subscription;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::Audit;
use executus_core::{EventStream, RunId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::audit::HubAudit;
use crate::error::LiveError;
use crate::live::{Live, LiveEvents};
use crate::payload;
use ring::Ring;

pub use publisher::Publisher;
pub use subscription::Subscription;

/// How much of each run is kept for its readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The newest events of a run that are kept: 1024, at least 1.
    pub events: usize,
    /// The bytes of a run's events that are kept: 4 MiB. The newest event is kept in any case.
    pub bytes: usize,
    /// While somebody reads a run, its audit is asked to make durable what it was given at most
    /// once in this time: 20 ms.
    pub pace: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self { events: 1024, bytes: 4 << 20, pace: Duration::from_millis(20) }
    }
}

/// The live events of the runs of one process. Clones share them.
///
/// Readers pull from one ring per run: nothing that a reader does, or leaves undone, is noticed by
/// the run, and memory does not depend on how many there are.
#[derive(Clone, Default)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    config: HubConfig,
    runs: Mutex<HashMap<RunId, Arc<Channel>>>,
}

/// One life of one run, as its readers see it.
struct Channel {
    ring: Mutex<Ring>,
    /// Something was put into the ring, or it ended.
    changed: watch::Sender<()>,
    /// Somebody reads.
    wanted: Arc<Notify>,
}

impl Hub {
    /// A hub that keeps so much.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self { shared: Arc::new(Shared { config, runs: Mutex::default() }) }
    }

    /// An audit that records as `inner` does, and lets readers see what is durable in it.
    #[must_use]
    pub fn audit(&self, inner: Arc<dyn Audit>) -> HubAudit {
        HubAudit::new(self.clone(), inner)
    }

    /// Begins the live stream of a run whose records up to `last_seq` are in storage. For hosts
    /// that publish without an audit; [`audit`](Self::audit) does it by itself.
    ///
    /// An earlier stream of the same run is replaced; its readers see it end when its publisher
    /// goes.
    #[must_use]
    pub fn publisher(&self, run: &RunId, last_seq: u64) -> Publisher {
        let config = &self.shared.config;
        let channel = Arc::new(Channel {
            ring: Mutex::new(Ring::new(config.events, config.bytes, last_seq)),
            changed: watch::Sender::new(()),
            wanted: Arc::default(),
        });
        self.shared.runs.lock().insert(run.clone(), Arc::clone(&channel));
        Publisher::new(self.clone(), run.clone(), channel)
    }

    /// Shows what of a run is no record: pieces of the model's answer, and what its tools say.
    /// Returns when the run has ended; let it run beside it. Dropping it stops the showing.
    ///
    /// The pieces of a step that is decided already are left out.
    pub async fn watch(&self, run: &RunId, mut events: EventStream) {
        while let Some(event) = events.next().await {
            let shown = payload::of_event(&event);
            if let (Some(shown), Some(channel)) = (shown, self.channel(run)) {
                channel.show(&event, shown);
            }
        }
    }

    /// A reader of a run from the record after `after`; `None` when the run is not live.
    #[must_use]
    pub fn subscribe(&self, run: &RunId, after: u64) -> Option<Subscription> {
        self.channel(run).map(|channel| Subscription::new(channel, after))
    }

    /// Whether the run is live here.
    #[must_use]
    pub fn is_live(&self, run: &RunId) -> bool {
        self.shared.runs.lock().contains_key(run)
    }

    pub(crate) fn config(&self) -> &HubConfig {
        &self.shared.config
    }

    fn channel(&self, run: &RunId) -> Option<Arc<Channel>> {
        self.shared.runs.lock().get(run).cloned()
    }

    /// Forgets this stream of the run; a newer one stays.
    fn forget(&self, run: &RunId, channel: &Arc<Channel>) {
        let mut runs = self.shared.runs.lock();
        if runs.get(run).is_some_and(|known| Arc::ptr_eq(known, channel)) {
            runs.remove(run);
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("live", &self.shared.runs.lock().len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Live for Hub {
    async fn open(
        &self,
        run: &RunId,
        after: u64,
    ) -> Result<Option<Box<dyn LiveEvents>>, LiveError> {
        let subscription = self.subscribe(run, after);
        Ok(subscription.map(|subscription| Box::new(subscription) as Box<dyn LiveEvents>))
    }

    fn retire(&self, run: &RunId) {
        // The stream of a later life may be there already.
        if let Some(channel) = self.channel(run).filter(|channel| channel.ring.lock().is_lost()) {
            self.forget(run, &channel);
        }
    }
}
