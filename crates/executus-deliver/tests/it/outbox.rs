//! What an outbox keeps, sends, gives up and is told to send again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use executus_core::RunStatus;
use executus_core::port::Delivery as _;
use executus_deliver::{Outbox, OutboxError, Pick, Routes, State, Webhook, When};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::receiver::{Act, OK, Receiver};
use crate::support::{client, config, key, parcel, run};

fn routes(receiver: &Receiver) -> Routes {
    let webhook = Webhook::new(client(), &receiver.url("/")).unwrap().key(key());
    Routes::new().to("hook", When::Always, webhook).unwrap()
}

/// Refused at once, or tried so often: then it is dead, says why, and goes on when it is told to.
#[tokio::test]
async fn dead_letters_are_listed_and_sent_again() {
    for (status, attempts) in [(500, 4), (404, 1)] {
        let well = Arc::new(AtomicBool::new(false));
        let is_well = Arc::clone(&well);
        let receiver = Receiver::start(move |_, _| match is_well.load(Ordering::SeqCst) {
            true => OK,
            false => Act::Answer(status, "", "broken"),
        })
        .await;
        let folder = TempDir::new().unwrap();
        let outbox = Outbox::open(config(&folder, 4), routes(&receiver)).unwrap();
        for id in ["run-1", "run-2", "run-3"] {
            outbox.deliver(&parcel(id, RunStatus::Ok)).await.unwrap();
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = outbox.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { worker.run(async { drop(stopped.await) }).await });
        receiver.wait(3 * attempts).await;
        let dead = loop {
            let dead = outbox.list(Some(State::Dead), 10).await.unwrap();
            if dead.len() == 3 {
                break dead;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(receiver.received().len(), 3 * attempts);
        for entry in &dead {
            assert_eq!((entry.attempts as usize, &*entry.target), (attempts, "hook"));
            let error = entry.error.as_deref().unwrap();
            assert!(error.contains(&status.to_string()) && error.contains("broken"), "{error}");
            assert!(entry.ended_at.is_some() && !entry.held);
        }
        well.store(true, Ordering::SeqCst);
        assert_eq!(outbox.retry(Pick::Run(run("run-2"))).await.unwrap(), 1);
        receiver.wait(3 * attempts + 1).await;
        assert_eq!(outbox.discard(Pick::Entry(dead[2].id)).await.unwrap(), 1);
        assert_eq!(outbox.retry(Pick::Target("other".into())).await.unwrap(), 0);
        assert_eq!(outbox.retry(Pick::All).await.unwrap(), 1);
        receiver.wait(3 * attempts + 2).await;
        stop.send(()).unwrap();
        tasks.join_all().await;
        let counts = outbox.counts().await.unwrap();
        assert_eq!((counts.waiting, counts.sent, counts.dead), (0, 2, 0));
        assert_eq!(receiver.keys()[3 * attempts..], ["run-2", "run-1"]);
    }
}

/// A worker that is stopped gives back what it could not end, as if it had not begun.
#[tokio::test]
async fn a_worker_that_stops_gives_back() {
    let receiver = Receiver::start(|number, _| if number == 0 { Act::Hang } else { OK }).await;
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, 2);
    config.grace = Duration::from_millis(50);
    let outbox = Outbox::open(config, routes(&receiver)).unwrap();
    outbox.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    outbox.run(async { drop(receiver.wait(1).await) }).await;
    let entry = outbox.list(Some(State::Waiting), 1).await.unwrap().remove(0);
    assert_eq!((entry.attempts, entry.held), (0, false));
    outbox.flush().await.unwrap();
    assert_eq!(receiver.keys(), ["run-1", "run-1"]);
}

/// Two that send from one file: each message once. A held one is sent by another when its lease has
/// run out.
#[tokio::test]
async fn leases_keep_two_senders_apart() {
    let receiver = Receiver::start(|_, _| OK).await;
    let folder = TempDir::new().unwrap();
    let first = Outbox::open(config(&folder, 3), routes(&receiver)).unwrap();
    let second = Outbox::open(config(&folder, 3), routes(&receiver)).unwrap();
    let mut deliveries = tokio::task::JoinSet::new();
    for number in 0..60 {
        let outbox = if number % 2 == 0 { first.clone() } else { second.clone() };
        deliveries.spawn(async move {
            outbox.deliver(&parcel(&format!("run-{number}"), RunStatus::Ok)).await.unwrap();
        });
    }
    deliveries.join_all().await;
    let (one, other) = tokio::join!(first.flush(), second.flush());
    one.and(other).unwrap();
    let mut keys = receiver.keys();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), receiver.received().len()), (60, 60));
}

/// A sender that dies leaves a lease; the next one waits for it, and no longer.
#[tokio::test]
async fn what_the_dead_held_is_sent_when_the_lease_is_over() {
    let receiver = Receiver::start(|number, _| if number == 0 { Act::Hang } else { OK }).await;
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, 3);
    config.attempt = Duration::from_millis(200);
    config.margin = Duration::from_secs(1);
    let outbox = Outbox::open(config, routes(&receiver)).unwrap();
    outbox.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    tokio::select! {
        () = outbox.run(std::future::pending()) => unreachable!("nobody stops it"),
        _ = receiver.wait(1) => {}
    }
    let entry = outbox.list(None, 1).await.unwrap().remove(0);
    assert_eq!((entry.attempts, entry.held, entry.state), (1, true, State::Waiting));
    outbox.flush().await.unwrap();
    assert_eq!(receiver.received().len(), 1, "it is still held");
    tokio::select! {
        () = outbox.run(std::future::pending()) => unreachable!("nobody stops it"),
        _ = receiver.wait(2) => {}
    }
    assert_eq!(receiver.keys(), ["run-1", "run-1"]);
}

/// A name that no route has any more waits, and is sent when there is one again.
#[tokio::test]
async fn a_target_that_is_gone_is_waited_for() {
    let receiver = Receiver::start(|_, _| OK).await;
    let folder = TempDir::new().unwrap();
    let outbox = Outbox::open(config(&folder, 3), routes(&receiver)).unwrap();
    outbox.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    outbox.close().await;
    assert!(matches!(outbox.counts().await, Ok(counts) if counts.waiting == 1));
    let error = outbox.deliver(&parcel("run-2", RunStatus::Ok)).await.unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    assert!(matches!(outbox.flush().await, Err(OutboxError::Closed { .. })));
    let without = Outbox::open(config(&folder, 3), Routes::new()).unwrap();
    without.deliver(&parcel("run-3", RunStatus::Ok)).await.unwrap();
    without.flush().await.unwrap();
    assert_eq!(without.counts().await.unwrap().waiting, 1);
    without.close().await;
    let outbox = Outbox::open(config(&folder, 3), routes(&receiver)).unwrap();
    outbox.flush().await.unwrap();
    assert_eq!(receiver.keys(), ["run-1"]);
}

/// What was sent long ago is forgotten, with its text; the text goes before that.
#[tokio::test]
async fn what_was_sent_is_forgotten() {
    let receiver = Receiver::start(|_, _| OK).await;
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, 3);
    config.remember = Duration::ZERO;
    let outbox = Outbox::open(config.clone(), routes(&receiver)).unwrap();
    outbox.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    outbox.flush().await.unwrap();
    assert_eq!(outbox.counts().await.unwrap().sent, 1);
    outbox.flush().await.unwrap();
    assert_eq!(outbox.counts().await.unwrap().sent, 0);
}
