//! Live or stored, by the rule.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use executus_core::{RunId, RunStatus};
use executus_stream::{Feed, FeedError, Hub, HubConfig, Live, Stored};
use executus_testkit::sample;

use crate::shelf::{Breaks, Shelf, rest, short, steered};

async fn open(
    after: u64,
    live: Option<Arc<dyn Live>>,
    shelf: Option<&Arc<Shelf>>,
) -> Result<Feed, FeedError> {
    let run = RunId::new("a-run").unwrap();
    let stored = shelf.map(|shelf| Arc::clone(shelf) as Arc<dyn Stored>);
    Feed::open(&run, after, live, stored).await
}

/// SF-05 SF-06
#[tokio::test]
async fn what_cannot_be_reached_is_replayed() {
    for unreachable in [true, false] {
        let shelf = Arc::new(Shelf::with(1..=3, Some(RunStatus::Ok)));
        let live = Arc::new(Breaks { unreachable, ..Breaks::after(0) });
        let mut feed =
            open(0, Some(Arc::clone(&live) as Arc<dyn Live>), Some(&shelf)).await.unwrap();
        assert_eq!(rest(&mut feed).await, ["1", "2", "3", "complete"]);
        assert_eq!(live.retired.load(Ordering::Relaxed), 1, "marked inactive once");
        // Its handle is dropped: the test alone holds it.
        assert_eq!(Arc::strong_count(&live), 1);
    }
}

/// SF-07
#[tokio::test]
async fn after_a_live_event_nothing_is_replayed() {
    let shelf = Arc::new(Shelf::with(1..=9, Some(RunStatus::Ok)));
    let live = Arc::new(Breaks::after(2));
    let mut feed = open(0, Some(Arc::clone(&live) as Arc<dyn Live>), Some(&shelf)).await.unwrap();
    assert_eq!(rest(&mut feed).await, ["1", "2", "error"]);
    assert_eq!(live.retired.load(Ordering::Relaxed), 1);
}

/// SF-07
#[tokio::test]
async fn what_cannot_be_reached_and_is_not_stored_is_one_error() {
    let live: Arc<dyn Live> = Arc::new(Breaks { unreachable: true, ..Breaks::after(0) });
    let mut feed = open(0, Some(live), None).await.unwrap();
    let error = feed.next().await.unwrap();
    assert_eq!(&*error.kind, "error");
    assert!(error.data.contains("does not answer"), "{}", error.data);
    assert!(rest(&mut feed).await.is_empty());
}

/// SF-08
#[tokio::test]
async fn a_replay_goes_on_after_the_last_id_and_tells_the_status() {
    let shelf = Arc::new(Shelf::with(1..=700, Some(RunStatus::Timeout)));
    let mut feed = open(697, None, Some(&shelf)).await.unwrap();
    let first = feed.next().await.unwrap();
    assert_eq!((first.id, &*first.kind), (Some(698), "steered"));
    let rest = [feed.next().await, feed.next().await, feed.next().await].map(Option::unwrap);
    assert_eq!(rest.each_ref().map(short), ["699", "700", "complete"]);
    assert_eq!(&*rest[2].data, r#"{"status":"timeout"}"#);
    assert_eq!(feed.next().await, None);

    let mut whole = open(0, None, Some(&shelf)).await.unwrap();
    assert_eq!(crate::shelf::rest(&mut whole).await.len(), 701);
}

/// SF-10
#[tokio::test]
async fn a_run_that_is_over_comes_from_storage() {
    let shelf = Arc::new(Shelf::with(1..=2, Some(RunStatus::Error)));
    let hub: Arc<dyn Live> = Arc::new(Hub::default());
    let mut feed = open(0, Some(Arc::clone(&hub)), Some(&shelf)).await.unwrap();
    assert_eq!(rest(&mut feed).await, ["1", "2", "complete"]);

    let nothing = Arc::new(Shelf::default());
    for shelf in [Some(&nothing), None] {
        let error = open(0, Some(Arc::clone(&hub)), shelf).await.unwrap_err();
        assert!(matches!(error, FeedError::NotFound { .. }));
        assert_eq!(error.http_status(), 404);
        assert!(error.to_string().contains("a-run"), "{error}");
    }
    nothing.broken.store(true, Ordering::Relaxed);
    let error = open(0, Some(hub), Some(&nothing)).await.unwrap_err();
    assert_eq!(error.http_status(), 503);
}

#[tokio::test]
async fn a_run_that_died_is_replayed_as_interrupted() {
    let shelf = Arc::new(Shelf::with(1..=2, None));
    let mut feed = open(0, None, Some(&shelf)).await.unwrap();
    assert_eq!(rest(&mut feed).await, ["1", "2", "interrupted"]);
}

#[tokio::test]
async fn what_the_hub_has_no_more_comes_from_storage_first() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::new(HubConfig { events: 4, ..HubConfig::default() });
    let shelf = Arc::new(Shelf::with(1..=20, None));
    let publisher = hub.publisher(&run, 3);
    (4..=20).for_each(|seq| publisher.record(&steered(&run, seq)));
    let live: Arc<dyn Live> = Arc::new(hub.clone());
    let mut feed = open(1, Some(live), Some(&shelf)).await.unwrap();
    publisher.record(&steered(&run, 21));
    shelf.keep(21);
    shelf.stand(Some(RunStatus::Ok));
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    let expected: Vec<_> = (2..=21).map(|seq| seq.to_string()).chain(["complete".into()]).collect();
    assert_eq!(rest(&mut feed).await, expected);
    assert!(!hub.is_live(&run));
}

#[tokio::test]
async fn a_slow_reader_is_told_and_comes_again() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::new(HubConfig { events: 4, ..HubConfig::default() });
    let shelf = Arc::new(Shelf::default());
    let publisher = hub.publisher(&run, 0);
    let give = |seq| {
        publisher.record(&steered(&run, seq));
        shelf.keep(seq);
    };
    give(1);
    let live = || Some(Arc::new(hub.clone()) as Arc<dyn Live>);
    let mut feed = open(0, live(), Some(&shelf)).await.unwrap();
    assert_eq!(short(&feed.next().await.unwrap()), "1");
    (2..=10).for_each(give);
    let missed = feed.next().await.unwrap();
    assert_eq!(&*missed.data, r#"{"after":1,"missed":5}"#);
    assert!(rest(&mut feed).await.is_empty(), "it ends: storage has the rest");

    let mut again = open(1, live(), Some(&shelf)).await.unwrap();
    shelf.stand(Some(RunStatus::Ok));
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    let expected: Vec<_> = (2..=10).map(|seq| seq.to_string()).chain(["complete".into()]).collect();
    assert_eq!(rest(&mut again).await, expected);

    // Without a storage it goes on with what there is.
    let publisher = hub.publisher(&run, 0);
    publisher.record(&steered(&run, 1));
    let mut feed = open(0, live(), None).await.unwrap();
    assert_eq!(short(&feed.next().await.unwrap()), "1");
    (2..=10).for_each(|seq| publisher.record(&steered(&run, seq)));
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    assert_eq!(rest(&mut feed).await, ["missed", "8", "9", "10", "complete"]);
}

/// Servers run their handlers on any worker.
#[test]
fn streams_may_be_read_on_any_thread() {
    fn may<F: Send>(_: impl FnOnce() -> F) {}
    may(|| open(0, None, None));
    may(|| async { open(0, None, None).await.unwrap().next().await });
    may(|| async { executus_stream::ByteFeed::new(None, None).next().await });
    may(|| async {
        let run = RunId::new("a-run").unwrap();
        let shelf = Arc::new(Shelf::default());
        let every = std::time::Duration::from_secs(1);
        executus_stream::Follow::open(shelf, &run, 0, every).await.unwrap().next().await
    });
}
