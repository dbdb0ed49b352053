//! One run, many readers.

use std::sync::Arc;

use executus_core::{RunId, RunStatus};
use executus_stream::{Hub, HubConfig, LiveEvents, LiveItem};
use executus_testkit::sample;
use tokio::task::JoinSet;

use crate::shelf::steered;

/// Each reader gets each record once and in order, or is told how many it missed: together they
/// are all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_get_all_or_are_told() {
    const RECORDS: u64 = 5_000;
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::new(HubConfig { events: 64, ..HubConfig::default() });
    let publisher = hub.publisher(&run, 0);
    let mut readers = JoinSet::new();
    for slowness in 0..20_u64 {
        let mut reader = hub.subscribe(&run, 0).unwrap();
        readers.spawn(async move {
            let (mut seen, mut got, mut missed) = (0, 0, 0);
            loop {
                match reader.next().await.unwrap() {
                    Some(LiveItem::Event(event)) => {
                        let Some(id) = event.id else {
                            assert_eq!(&*event.kind, "complete");
                            continue;
                        };
                        assert!(id > seen, "{id} after {seen}");
                        seen = id;
                        got += 1;
                        for _ in 0..slowness {
                            tokio::task::yield_now().await;
                        }
                    }
                    Some(LiveItem::Missed { events, .. }) => missed += events,
                    None => return got + missed,
                }
            }
        });
    }
    // Nothing here waits for a reader.
    for seq in 1..=RECORDS {
        publisher.record(&steered(&run, seq));
        if seq % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    while let Some(all) = readers.join_next().await {
        assert_eq!(all.unwrap(), RECORDS, "records and misses are all there was");
    }
    assert!(!hub.is_live(&run), "a run that is over is not kept");
}

#[tokio::test]
async fn what_is_kept_is_bounded_by_bytes_too() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::new(HubConfig { bytes: 1, ..HubConfig::default() });
    let publisher = hub.publisher(&run, 0);
    let mut reader = hub.subscribe(&run, 0).unwrap();
    (1..=9).for_each(|seq| publisher.record(&steered(&run, seq)));
    let missed = reader.next().await.unwrap();
    assert_eq!(missed, Some(LiveItem::Missed { events: 8, records: true }));
    let Some(LiveItem::Event(newest)) = reader.next().await.unwrap() else { panic!() };
    assert_eq!(newest.id, Some(9), "the newest one stays");
}

#[tokio::test]
async fn a_publisher_that_goes_away_is_a_lost_stream() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let publisher = hub.publisher(&run, 0);
    let mut reader = hub.subscribe(&run, 0).unwrap();
    publisher.record(&steered(&run, 1));
    drop(publisher);
    assert!(!hub.is_live(&run));
    assert!(matches!(reader.next().await, Ok(Some(LiveItem::Event(_)))), "what was there is read");
    assert!(reader.next().await.is_err());
    assert!(reader.next().await.is_err(), "and stays lost");
    // A later life is not taken for it.
    let next = hub.publisher(&run, 1);
    executus_stream::Live::retire(&hub, &run);
    assert!(hub.is_live(&run));
    drop(next);
}

#[tokio::test]
async fn a_dropped_call_loses_nothing() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let publisher = hub.publisher(&run, 0);
    let mut reader = hub.subscribe(&run, 0).unwrap();
    for seq in 1..=50 {
        {
            let waiting = reader.next();
            tokio::pin!(waiting);
            let polled = futures(&mut waiting).await;
            assert!(polled.is_none(), "nothing is there yet");
        }
        publisher.record(&steered(&run, seq));
        let Ok(Some(LiveItem::Event(event))) = reader.next().await else { panic!() };
        assert_eq!(event.id, Some(seq));
    }
}

/// What a future gives at once.
async fn futures<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

/// Memory does not depend on the readers: they share what is in the ring.
#[tokio::test]
async fn readers_share_what_they_read() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let publisher = hub.publisher(&run, 0);
    publisher.record(&steered(&run, 1));
    let mut first = hub.subscribe(&run, 0).unwrap();
    let mut second = hub.subscribe(&run, 0).unwrap();
    let Ok(Some(LiveItem::Event(one))) = first.next().await else { panic!() };
    let Ok(Some(LiveItem::Event(other))) = second.next().await else { panic!() };
    assert!(Arc::ptr_eq(&one.data, &other.data));
}

#[tokio::test]
async fn a_record_that_is_given_again_is_shown_once() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let publisher = hub.publisher(&run, 2);
    let mut reader = hub.subscribe(&run, 0).unwrap();
    assert_eq!(reader.starts_after(), 2);
    for seq in [1, 2, 3, 3, 4, 3, 4] {
        publisher.record(&steered(&run, seq));
    }
    publisher.end(&sample::outcome(&run, RunStatus::Ok));
    publisher.record(&steered(&run, 5));
    let mut ids = Vec::new();
    while let Some(LiveItem::Event(event)) = reader.next().await.unwrap() {
        ids.push(event.id);
    }
    assert_eq!(ids, [Some(3), Some(4), None], "and nothing comes after the end");
}
