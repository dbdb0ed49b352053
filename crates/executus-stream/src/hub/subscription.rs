//! One reader of one run.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::Channel;
use super::ring::{End, Found};
use crate::error::LiveError;
use crate::live::{LiveEvents, LiveItem};

/// Reads the live events of a run from its ring.
pub struct Subscription {
    channel: Arc<Channel>,
    changed: watch::Receiver<()>,
    place: u64,
    /// The newest record that the reader has.
    seen: u64,
    starts_after: u64,
}

impl Subscription {
    pub(super) fn new(channel: Arc<Channel>, after: u64) -> Self {
        let changed = channel.changed.subscribe();
        let (place, starts_after) = {
            let ring = channel.ring.lock();
            (ring.first(), ring.behind())
        };
        channel.wanted.notify_one();
        Self { channel, changed, place, seen: after.max(starts_after), starts_after }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[async_trait]
impl LiveEvents for Subscription {
    fn starts_after(&self) -> u64 {
        self.starts_after
    }

    async fn next(&mut self) -> Result<Option<LiveItem>, LiveError> {
        loop {
            self.changed.borrow_and_update();
            let found = self.channel.ring.lock().at(self.place, self.seen);
            match found {
                Found::Event(event) => {
                    self.place += 1;
                    if event.id.is_some_and(|id| id <= self.seen) {
                        continue;
                    }
                    self.seen = event.id.unwrap_or(self.seen);
                    return Ok(Some(LiveItem::Event(event)));
                }
                Found::Gone { events, records } => {
                    self.place += events;
                    return Ok(Some(LiveItem::Missed { events, records }));
                }
                Found::End(End::Told) => return Ok(None),
                Found::End(End::Lost) => {
                    return Err(LiveError::new("the run stopped publishing before its end"));
                }
                // The sender lives as long as the channel, which is held here.
                Found::Nothing => drop(self.changed.changed().await),
            }
        }
    }
}
