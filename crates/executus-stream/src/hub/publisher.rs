//! Whoever tells what a run does.

use std::fmt;
use std::sync::Arc;

use executus_core::event::Event;
use executus_core::record::Fact;
use executus_core::{Outcome, Record, Reply, RunId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ring::End;
use super::{Channel, Hub};
use crate::event::StreamEvent;
use crate::payload;

/// Publishes one life of one run. Never waits.
///
/// Dropping it without [`end`](Self::end) tells the readers that the stream was lost.
pub struct Publisher {
    hub: Hub,
    run: RunId,
    channel: Arc<Channel>,
    /// The reply whose calls are under way.
    reply: Mutex<Option<Arc<Reply>>>,
}

impl Publisher {
    pub(super) fn new(hub: Hub, run: RunId, channel: Arc<Channel>) -> Self {
        Self { hub, run, channel, reply: Mutex::default() }
    }

    /// Publishes a record. One that was published already is left out.
    ///
    /// It should be durable: after a crash its number may be given to another record, and a reader
    /// that has seen this one would never get that.
    pub fn record(&self, record: &Record) {
        let mut reply = self.reply.lock();
        let event = payload::of_record(record, reply.as_deref());
        let mut ring = self.channel.ring.lock();
        if let Fact::Decided(decided) = &record.fact {
            *reply = Some(Arc::clone(&decided.reply));
            ring.decide(decided.step);
        }
        let pushed = ring.push(event);
        drop(ring);
        if pushed {
            self.channel.changed.send_replace(());
        }
    }

    /// The calls of this reply are under way.
    pub(crate) fn remember(&self, reply: &Arc<Reply>) {
        *self.reply.lock() = Some(Arc::clone(reply));
    }

    /// Leaves out all records up to this number: readers are told that they missed something.
    pub(crate) fn skip(&self, seq: u64) {
        self.channel.ring.lock().skip(seq);
        self.channel.changed.send_replace(());
    }

    /// Ends the stream: the run is over, or may be resumed. Later records are left out.
    pub fn end(&self, outcome: &Outcome) {
        let last = match outcome.status.is_terminal() {
            true => StreamEvent::complete(outcome.status),
            false => StreamEvent::interrupted(),
        };
        let mut ring = self.channel.ring.lock();
        ring.push(last);
        let first = ring.end(End::Told);
        drop(ring);
        self.finish(first);
    }

    /// The newest record that was published, or was in storage before.
    pub(crate) fn newest(&self) -> u64 {
        self.channel.ring.lock().newest()
    }

    /// Whether somebody reads.
    pub(crate) fn is_read(&self) -> bool {
        self.channel.changed.receiver_count() > 0
    }

    /// Told when somebody begins to read.
    pub(crate) fn wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.channel.wanted)
    }

    fn finish(&self, first: bool) {
        if first {
            self.hub.forget(&self.run, &self.channel);
            self.channel.changed.send_replace(());
        }
    }
}

impl Channel {
    /// Publishes what is no record.
    pub(super) fn show(&self, event: &Event, shown: StreamEvent) {
        let late = |step: u32| self.ring.lock().is_decided(step);
        if let Event::Delta { step, .. } | Event::DeltaReset { step } = event
            && late(*step)
        {
            return;
        }
        if self.ring.lock().push(shown) {
            self.changed.send_replace(());
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let first = self.channel.ring.lock().end(End::Lost);
        self.finish(first);
    }
}
