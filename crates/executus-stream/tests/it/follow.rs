//! Following a run that another process records.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use executus_core::{RunId, RunStatus};
use executus_stream::{FeedError, Follow};

use crate::shelf::{Shelf, short};

const EVERY: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn it_goes_on_over_the_death_of_the_writer() {
    let run = RunId::new("a-run").unwrap();
    let shelf = Arc::new(Shelf::with(1..=3, None));
    let mut follow = Follow::open(Arc::<Shelf>::clone(&shelf), &run, 1, EVERY).await.unwrap();
    let mut got = Vec::new();
    for turn in 0..9 {
        match turn {
            2 => (4..=6).for_each(|seq| shelf.keep(seq)),
            // The life is suspended, and another one begins.
            5 => shelf.stand(Some(RunStatus::Interrupted)),
            6 => {
                shelf.stand(None);
                shelf.keep(7);
            }
            7 => {
                shelf.keep(8);
                shelf.stand(Some(RunStatus::Ok));
            }
            _ => {}
        }
        got.push(follow.next().await.map_or("-".into(), |event| short(&event.unwrap())));
    }
    assert_eq!(got, ["2", "3", "4", "5", "6", "interrupted", "7", "8", "complete"]);
    assert!(follow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_fails_is_asked_again() {
    let run = RunId::new("a-run").unwrap();
    let shelf = Arc::new(Shelf::with(1..=1, None));
    let mut follow = Follow::open(Arc::<Shelf>::clone(&shelf), &run, 0, EVERY).await.unwrap();
    assert_eq!(short(&follow.next().await.unwrap().unwrap()), "1");
    shelf.broken.store(true, Ordering::Relaxed);
    // What it knew of the run is used up by one look.
    let error = follow.next().await.unwrap().unwrap_err();
    assert!(matches!(error, FeedError::Stored(_)));
    shelf.broken.store(false, Ordering::Relaxed);
    shelf.keep(2);
    assert_eq!(short(&follow.next().await.unwrap().unwrap()), "2");
}

/// SF-10
#[tokio::test]
async fn a_run_of_which_nothing_is_stored_is_not_found() {
    let run = RunId::new("a-run").unwrap();
    let error = Follow::open(Arc::new(Shelf::default()), &run, 0, EVERY).await.unwrap_err();
    assert_eq!(error.http_status(), 404);
}
