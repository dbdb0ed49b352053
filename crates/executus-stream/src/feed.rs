//! The stream of one reader: live, or from storage, by the rule of falling back.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use executus_core::RunId;

use crate::error::{FeedError, StoredError};
use crate::event::StreamEvent;
use crate::live::{Live, LiveEvents, LiveItem};
use crate::payload;
use crate::stored::{Stored, StoredRun};

/// How many stored records are read at once.
const PAGE: usize = 256;

/// The events of a run for one reader, each record once and in order, and how it ended.
///
/// What is stored is sent only as long as nothing live was. A live stream that breaks off before
/// its first event is replaced by what is stored; one that breaks off later ends with one `error`
/// event. A reader that was too slow for some records is told, and its stream ends when they are
/// in storage: it comes again with the last id that it has, and gets them from there.
pub struct Feed {
    run: RunId,
    live: Option<Arc<dyn Live>>,
    stored: Option<Arc<dyn Stored>>,
    /// The newest record that was sent, or that the reader had before.
    seen: u64,
    /// Something live was sent: from here on nothing stored is.
    delivered: bool,
    state: State,
}

enum State {
    /// Stored records up to a number go before the live ones.
    CatchUp {
        page: VecDeque<StreamEvent>,
        until: u64,
        events: Box<dyn LiveEvents>,
    },
    Live(Box<dyn LiveEvents>),
    /// A reader was too slow before anything live was sent: it is served from storage.
    Reopen,
    /// The live stream broke off, for this reason.
    Lost(String),
    /// All that is stored, then how the run stands. What is not known was not asked for yet.
    Replay {
        page: VecDeque<StreamEvent>,
        stands: Option<StoredRun>,
    },
    Last(StreamEvent),
    Ended,
}

impl Feed {
    /// Opens the stream of a run after the record `after`; 0 is from the beginning.
    ///
    /// # Errors
    /// [`FeedError::NotFound`] when the run is not live and nothing of it is stored;
    /// [`FeedError::Stored`] when it is not live and the storage does not answer.
    pub async fn open(
        run: &RunId,
        after: u64,
        live: Option<Arc<dyn Live>>,
        stored: Option<Arc<dyn Stored>>,
    ) -> Result<Self, FeedError> {
        let run = run.clone();
        let mut feed =
            Self { run, live, stored, seen: after, delivered: false, state: State::Ended };
        feed.state = match feed.begin().await? {
            Some(state) => state,
            None => return Err(FeedError::NotFound { run: feed.run }),
        };
        Ok(feed)
    }

    /// The next event; `None` after the last one, from then on always. Cancel safe: a dropped call
    /// loses nothing.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            let event = match self.step().await {
                Ok(Step::Event(event)) => event,
                Ok(Step::On) => continue,
                Ok(Step::End) => return None,
                Err(error) => {
                    self.state = State::Ended;
                    StreamEvent::error(&self.run, &error.to_string())
                }
            };
            self.seen = event.id.unwrap_or(self.seen).max(self.seen);
            return Some(event);
        }
    }

    /// Where the stream begins; `None` when nothing is known of the run.
    async fn begin(&mut self) -> Result<Option<State>, StoredError> {
        let opened = match &self.live {
            Some(live) => live.open(&self.run, self.seen).await,
            None => Ok(None),
        };
        match opened {
            Ok(Some(events)) => Ok(Some(self.caught_up(events))),
            Ok(None) => self.replay().await,
            Err(lost) => {
                self.retire();
                self.lost(&lost.to_string()).await.map(Some)
            }
        }
    }

    /// Where a live stream begins.
    fn caught_up(&self, events: Box<dyn LiveEvents>) -> State {
        match events.starts_after() {
            until if until > self.seen => State::CatchUp { page: VecDeque::new(), until, events },
            _ => State::Live(events),
        }
    }

    /// The live stream broke off: the run is inactive.
    fn retire(&mut self) {
        if let Some(live) = self.live.take() {
            live.retire(&self.run);
        }
    }

    /// What comes instead of a live stream that broke off.
    async fn lost(&mut self, why: &str) -> Result<State, StoredError> {
        let instead = if self.delivered { None } else { self.replay().await? };
        Ok(instead.unwrap_or_else(|| State::Last(StreamEvent::error(&self.run, why))))
    }

    async fn replay(&mut self) -> Result<Option<State>, StoredError> {
        let Some(stored) = &self.stored else { return Ok(None) };
        let stands = stored.run(&self.run).await?;
        Ok(stands.map(|stands| State::Replay { page: VecDeque::new(), stands: Some(stands) }))
    }

    async fn step(&mut self) -> Result<Step, StoredError> {
        match &mut self.state {
            State::CatchUp { page, until, events } => {
                if let Some(event) = page.pop_front() {
                    return Ok(Step::Event(event));
                }
                let (run, until) = (self.run.clone(), *until);
                let read = read(&self.stored, &run, self.seen, Some(until)).await?;
                match read {
                    more if !more.is_empty() => *page = more,
                    // All of it, or as much as there is.
                    _ => {
                        let missed = until.saturating_sub(self.seen);
                        let events = std::mem::replace(events, Box::new(Nothing));
                        self.state = State::Live(events);
                        if missed > 0 {
                            return Ok(Step::Event(StreamEvent::missed(missed, self.seen)));
                        }
                    }
                }
                Ok(Step::On)
            }
            State::Live(events) => match events.next().await {
                Ok(Some(item)) => Ok(self.live_item(item)),
                Ok(None) => Ok(self.end()),
                Err(lost) => {
                    self.state = State::Lost(lost.to_string());
                    self.retire();
                    Ok(Step::On)
                }
            },
            State::Lost(why) => {
                let why = why.clone();
                self.state = self.lost(&why).await?;
                Ok(Step::On)
            }
            State::Reopen => {
                let why = "the run is not live any more, and nothing is stored";
                self.state = match self.begin().await? {
                    Some(state) => state,
                    None => State::Last(StreamEvent::error(&self.run, why)),
                };
                Ok(Step::On)
            }
            State::Replay { page, stands } => {
                if let Some(event) = page.pop_front() {
                    return Ok(Step::Event(event));
                }
                let run = self.run.clone();
                let more = read(&self.stored, &run, self.seen, None).await?;
                if !more.is_empty() {
                    *page = more;
                    return Ok(Step::On);
                }
                let ended = stands.and_then(|stands| stands.ended());
                let last = ended.map_or_else(StreamEvent::interrupted, StreamEvent::complete);
                self.state = State::Ended;
                Ok(Step::Event(last))
            }
            State::Last(event) => {
                let event = event.clone();
                self.state = State::Ended;
                Ok(Step::Event(event))
            }
            State::Ended => Ok(Step::End),
        }
    }

    fn live_item(&mut self, item: LiveItem) -> Step {
        match item {
            LiveItem::Event(event) => {
                self.delivered = true;
                Step::Event(event)
            }
            LiveItem::Missed { records: true, .. } if !self.delivered && self.stored.is_some() => {
                self.state = State::Reopen;
                Step::On
            }
            LiveItem::Missed { events, records } => {
                self.delivered = true;
                if records && self.stored.is_some() {
                    self.state = State::Ended;
                }
                Step::Event(StreamEvent::missed(events, self.seen))
            }
        }
    }

    fn end(&mut self) -> Step {
        self.state = State::Ended;
        Step::End
    }
}

enum Step {
    Event(StreamEvent),
    On,
    End,
}

/// The stored records after `seen`, a page of them; empty when there are no more.
async fn read(
    stored: &Option<Arc<dyn Stored>>,
    run: &RunId,
    seen: u64,
    until: Option<u64>,
) -> Result<VecDeque<StreamEvent>, StoredError> {
    let Some(stored) = stored else { return Ok(VecDeque::new()) };
    if until.is_some_and(|until| seen >= until) {
        return Ok(VecDeque::new());
    }
    let page = stored.events(run, seen, PAGE).await?;
    // A storage that gives what was sent already, or twice, must not make a reader see it twice.
    let mut newest = seen;
    let fresh = page.into_iter().filter(|event| {
        let fresh = event.seq > newest && until.is_none_or(|until| event.seq <= until);
        newest = newest.max(event.seq);
        fresh
    });
    Ok(fresh.map(|event| payload::of_stored(&event)).collect())
}

/// Stands in while a stream is moved.
struct Nothing;

#[async_trait::async_trait]
impl LiveEvents for Nothing {
    fn starts_after(&self) -> u64 {
        0
    }

    async fn next(&mut self) -> Result<Option<LiveItem>, crate::error::LiveError> {
        Ok(None)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("run", &self.run)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
