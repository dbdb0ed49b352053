//! Any interleaving of records, crashes, ends, readers that are slow, go away and come again.

use std::sync::Arc;

use executus_core::{RunId, RunStatus};
use executus_stream::{Feed, Hub, HubConfig, Live, Publisher, Stored};
use executus_testkit::sample;
use proptest::prelude::*;

use crate::shelf::{Shelf, steered};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Turn {
    /// So many records are made durable and published.
    Publish(u8),
    /// So many are made durable, and the process dies before they are published.
    Die(u8),
    /// Another life begins.
    Live,
    /// A reader reads so many events.
    Read(u8),
    /// It goes away, and comes again with its last id.
    Leave,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (1..12_u8).prop_map(Turn::Publish),
        1 => (0..4_u8).prop_map(Turn::Die),
        2 => Just(Turn::Live),
        5 => (1..9_u8).prop_map(Turn::Read),
        2 => Just(Turn::Leave),
    ]
}

struct World {
    run: RunId,
    hub: Hub,
    shelf: Arc<Shelf>,
    publisher: Option<Publisher>,
    newest: u64,
    feed: Option<Feed>,
    /// The ids that the reader got, over all its feeds.
    got: Vec<u64>,
    complete: bool,
}

impl World {
    fn new(room: usize) -> Self {
        let hub = Hub::new(HubConfig { events: room, ..HubConfig::default() });
        let (run, shelf) = (RunId::new("a-run").unwrap(), Arc::new(Shelf::default()));
        shelf.stand(None);
        let publisher = Some(hub.publisher(&run, 0));
        Self { run, hub, shelf, publisher, newest: 0, feed: None, got: Vec::new(), complete: false }
    }

    fn keep(&mut self) -> u64 {
        self.newest += 1;
        self.shelf.keep(self.newest);
        self.newest
    }

    fn publish(&mut self, count: u8) {
        for _ in 0..count {
            if self.publisher.is_some() {
                let seq = self.keep();
                let record = steered(&self.run, seq);
                if let Some(publisher) = &self.publisher {
                    publisher.record(&record);
                }
            }
        }
    }

    async fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Publish(count) => self.publish(*count),
            Turn::Die(count) => {
                if self.publisher.take().is_some() {
                    for _ in 0..*count {
                        self.keep();
                    }
                }
            }
            Turn::Live => {
                self.publisher = None;
                self.publisher = Some(self.hub.publisher(&self.run, self.newest));
            }
            Turn::Read(count) => {
                for _ in 0..*count {
                    self.read().await;
                }
            }
            Turn::Leave => self.feed = None,
        }
    }

    /// Reads what is there; comes again when the stream is at its end.
    async fn read(&mut self) {
        if self.feed.is_none() {
            let after = self.got.last().copied().unwrap_or(0);
            let live: Arc<dyn Live> = Arc::new(self.hub.clone());
            let stored = Arc::<Shelf>::clone(&self.shelf) as Arc<dyn Stored>;
            self.feed = Feed::open(&self.run, after, Some(live), Some(stored)).await.ok();
        }
        let Some(feed) = &mut self.feed else { return };
        // A reader that finds nothing does something else; it may be dropped at any wait.
        let next = tokio::time::timeout(std::time::Duration::from_millis(1), feed.next()).await;
        match next {
            Err(_) => {}
            Ok(None) => self.feed = None,
            Ok(Some(event)) => {
                self.got.extend(event.id);
                self.complete |= &*event.kind == "complete";
            }
        }
    }
}

/// Each record once, in order, whatever happens between.
fn each_once_in_order(room: usize, turns: &[Turn]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(room);
        for turn in turns {
            world.turn(turn).await;
        }
        // The run ends; the reader stays until it has all.
        world.turn(&Turn::Live).await;
        world.publish(1);
        world.shelf.stand(Some(RunStatus::Ok));
        if let Some(publisher) = world.publisher.take() {
            publisher.end(&sample::outcome(&world.run, RunStatus::Ok));
        }
        for _ in 0..10 * (world.newest + 10) {
            if world.complete {
                break;
            }
            world.read().await;
        }
        prop_assert!(world.complete, "the end was not told");
        prop_assert_eq!(&world.got, &(1..=world.newest).collect::<Vec<_>>());
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// AL-09 SF-08: the id is the number, and what comes after the last one is each record once.
    #[test]
    fn each_record_comes_once_and_in_order(
        room in 1..20_usize,
        turns in prop::collection::vec(turn(), 0..40),
    ) {
        each_once_in_order(room, &turns)?;
    }
}
