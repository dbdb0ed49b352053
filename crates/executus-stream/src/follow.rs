//! The stream of a run that another process records: from storage alone.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::{RunId, RunStatus};

use crate::error::FeedError;
use crate::event::StreamEvent;
use crate::payload;
use crate::stored::{Stored, StoredRun};

/// How many stored records are read at once.
const PAGE: usize = 256;

/// Follows a run in its storage, across the death of whoever records it: each record once, in
/// order, as soon as it is durable and looked for.
pub struct Follow {
    stored: Arc<dyn Stored>,
    run: RunId,
    seen: u64,
    every: Duration,
    page: VecDeque<StreamEvent>,
    /// How the run stood before the records were read.
    stands: Option<StoredRun>,
    /// The status that was told last.
    told: Option<RunStatus>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Read,
    Wait,
    Ended,
}

impl Follow {
    /// Follows a run from the record after `after`, 0 from the beginning; looks every so often for
    /// what is new.
    ///
    /// # Errors
    /// [`FeedError::NotFound`] when nothing of the run is stored, [`FeedError::Stored`] when the
    /// storage does not answer.
    pub async fn open(
        stored: Arc<dyn Stored>,
        run: &RunId,
        after: u64,
        every: Duration,
    ) -> Result<Self, FeedError> {
        let stands = stored.run(run).await?;
        if stands.is_none() {
            return Err(FeedError::NotFound { run: run.clone() });
        }
        Ok(Self {
            stored,
            run: run.clone(),
            seen: after,
            every,
            page: VecDeque::new(),
            stands,
            told: None,
            state: State::Read,
        })
    }

    /// The next event. After `complete` there is none. An `interrupted` event says that the newest
    /// life of the run was suspended; asked again, it waits for the next one. Cancel safe: a
    /// dropped call loses nothing.
    ///
    /// # Errors
    /// [`FeedError::Stored`] when the storage does not answer. Asked again, it tries again.
    pub async fn next(&mut self) -> Option<Result<StreamEvent, FeedError>> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.seen = event.id.unwrap_or(self.seen);
                // A new life goes on where the last one was suspended.
                self.told = None;
                return Some(Ok(event));
            }
            match self.state {
                State::Ended => return None,
                State::Wait => {
                    tokio::time::sleep(self.every).await;
                    self.state = State::Read;
                }
                State::Read => match self.read().await {
                    Ok(None) => {}
                    Ok(Some(event)) => return Some(Ok(event)),
                    Err(error) => {
                        self.state = State::Wait;
                        return Some(Err(error));
                    }
                },
            }
        }
    }

    async fn read(&mut self) -> Result<Option<StreamEvent>, FeedError> {
        // Before the records: what is recorded of a run that is over is there then.
        if self.stands.is_none() {
            self.stands = self.stored.run(&self.run).await?;
        }
        let page = self.stored.events(&self.run, self.seen, PAGE).await?;
        let mut newest = self.seen;
        let fresh = page.iter().filter(|event| {
            let fresh = event.seq > newest;
            newest = newest.max(event.seq);
            fresh
        });
        self.page = fresh.map(payload::of_stored).collect();
        if !self.page.is_empty() {
            return Ok(None);
        }
        let Some(stands) = self.stands.take() else {
            // Dropped by retention while it was read.
            self.state = State::Ended;
            return Err(FeedError::NotFound { run: self.run.clone() });
        };
        if let Some(status) = stands.ended() {
            self.state = State::Ended;
            return Ok(Some(StreamEvent::complete(status)));
        }
        self.state = State::Wait;
        let news = stands.status.is_some() && stands.status != self.told;
        self.told = stands.status;
        Ok(news.then(StreamEvent::interrupted))
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Follow");
        out.field("run", &self.run).field("seen", &self.seen).finish_non_exhaustive()
    }
}
