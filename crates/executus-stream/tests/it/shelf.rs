//! A storage in memory, and records to put there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use executus_core::record::Fact;
use executus_core::transcript::Steer;
use executus_core::{Key, Record, RunId, RunStatus};
use executus_stream::{Feed, StreamEvent};
use executus_stream::{
    Live, LiveError, LiveEvents, LiveItem, Stored, StoredError, StoredEvent, StoredRun,
};
use executus_testkit::sample;
use parking_lot::Mutex;
use serde_json::json;

/// Records of one run, as an audit keeps them.
#[derive(Default)]
pub(crate) struct Shelf {
    kept: Mutex<(Option<StoredRun>, Vec<StoredEvent>)>,
    pub(crate) broken: AtomicBool,
}

impl Shelf {
    /// With these records, and an end.
    pub(crate) fn with(seqs: std::ops::RangeInclusive<u64>, ended: Option<RunStatus>) -> Self {
        let shelf = Self::default();
        seqs.for_each(|seq| shelf.keep(seq));
        shelf.stand(ended);
        shelf
    }

    pub(crate) fn keep(&self, seq: u64) {
        let body = json!({"source": "caller", "text": seq.to_string()});
        let at = sample::BEGIN;
        let kept = StoredEvent { seq, at, step: 1, call: None, kind: "steered".into(), body };
        let mut all = self.kept.lock();
        all.0.get_or_insert(StoredRun { status: None, closed: false });
        if all.1.last().is_none_or(|last| last.seq < seq) {
            all.1.push(kept);
        }
    }

    pub(crate) fn stand(&self, status: Option<RunStatus>) {
        let closed = status.is_some_and(RunStatus::is_terminal);
        self.kept.lock().0 = Some(StoredRun { status, closed });
    }
}

#[async_trait]
impl Stored for Shelf {
    async fn run(&self, _: &RunId) -> Result<Option<StoredRun>, StoredError> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(StoredError::new("the shelf fell down")),
            false => Ok(self.kept.lock().0),
        }
    }

    async fn events(
        &self,
        _: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoredError> {
        // As slow as a real one: others get a turn.
        tokio::task::yield_now().await;
        let all = self.kept.lock();
        Ok(all.1.iter().filter(|kept| kept.seq > after).take(limit).cloned().collect())
    }
}

/// A live stream that gives so many events and then ends or breaks off.
pub(crate) struct Breaks {
    pub(crate) unreachable: bool,
    pub(crate) events: u64,
    pub(crate) retired: AtomicUsize,
}

impl Breaks {
    pub(crate) const fn after(events: u64) -> Self {
        Self { unreachable: false, events, retired: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Live for Breaks {
    async fn open(&self, _: &RunId, _: u64) -> Result<Option<Box<dyn LiveEvents>>, LiveError> {
        match self.unreachable {
            true => Err(LiveError::new("the worker does not answer")),
            false => Ok(Some(Box::new(Broken { left: self.events, seq: 0 }))),
        }
    }

    fn retire(&self, _: &RunId) {
        self.retired.fetch_add(1, Ordering::Relaxed);
    }
}

struct Broken {
    left: u64,
    seq: u64,
}

#[async_trait]
impl LiveEvents for Broken {
    fn starts_after(&self) -> u64 {
        0
    }

    async fn next(&mut self) -> Result<Option<LiveItem>, LiveError> {
        if self.left == 0 {
            return Err(LiveError::new("the connection was reset"));
        }
        self.left -= 1;
        self.seq += 1;
        let data = "{}".into();
        let event = StreamEvent { id: Some(self.seq), kind: "steered".into(), data };
        Ok(Some(LiveItem::Event(event)))
    }
}

/// A record without a model: somebody steered.
pub(crate) fn steered(run: &RunId, seq: u64) -> Record {
    let steer = Steer { source: "caller".into(), text: seq.to_string() };
    sample::at(run, seq, Key::step(1), Fact::Steered(steer.into()))
}

/// All that is left of a feed, as `id` or kind.
pub(crate) async fn rest(feed: &mut Feed) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(event) = feed.next().await {
        all.push(short(&event));
    }
    assert_eq!(feed.next().await, None, "an end is an end");
    all
}

pub(crate) fn short(event: &StreamEvent) -> String {
    event.id.map_or_else(|| event.kind.to_string(), |id| id.to_string())
}
