//! The kit, for each target at once and behind an outbox.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::RunId;
use executus_core::port::Delivery;
use executus_deliver::{Chat, Direct, Folder, Lines, Outbox, Routes, Shape, Target, Webhook, When};
use executus_testkit::conformance::{self, DeliveryProbe};
use tempfile::TempDir;

use crate::receiver::{OK, Receiver};
use crate::support::{Sheet, client, config, key};

type Arrivals = Box<dyn Fn(&RunId) -> Vec<String> + Send + Sync>;

struct Seen(Arrivals);

#[async_trait]
impl DeliveryProbe for Seen {
    async fn arrivals(&self, run: &RunId) -> Vec<String> {
        self.0(run)
    }
}

/// What is kept in an outbox or has arrived.
struct Kept(Outbox);

#[async_trait]
impl DeliveryProbe for Kept {
    async fn arrivals(&self, run: &RunId) -> Vec<String> {
        let entries = self.0.list(None, u32::MAX).await.unwrap();
        let of_run = entries.into_iter().filter(|entry| entry.key == *run);
        of_run.map(|entry| entry.key.to_string()).collect()
    }
}

fn routes(target: impl Target + 'static) -> Routes {
    Routes::new().to("there", When::Always, target).unwrap()
}

async fn direct(target: impl Target + 'static, seen: Arrivals) {
    let delivery: Arc<dyn Delivery> = Arc::new(Direct::new(routes(target)));
    conformance::delivery(&delivery, &Seen(seen)).await;
}

/// D1 D2 D3: files.
#[tokio::test]
async fn a_folder_conforms() {
    let folder = TempDir::new().unwrap();
    for shape in [Shape::Json, Shape::Text] {
        let target = Folder::new(folder.path()).shape(shape);
        let seen = target.clone();
        let seen: Arrivals = Box::new(move |run| {
            let text = std::fs::read_to_string(seen.path_of(run)).unwrap_or_default();
            if text.is_empty() { Vec::new() } else { vec![run.to_string()] }
        });
        direct(target, seen).await;
    }
}

/// D1 D2 D3: a stream.
#[tokio::test]
async fn lines_conform() {
    let sheet = Sheet::default();
    let text = Arc::clone(&sheet.0);
    let seen: Arrivals = Box::new(move |run| {
        let text = String::from_utf8(text.lock().clone()).unwrap();
        let keys = text.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(message["data"]["key"].as_str()?.to_owned())
        });
        keys.filter(|key| key == run.as_str()).collect()
    });
    direct(Lines::to(sheet), seen).await;
}

/// D1 D2 D3: webhooks and chats.
#[tokio::test]
async fn webhooks_and_chats_conform() {
    for chat in [false, true] {
        let receiver = Arc::new(Receiver::start(|_, _| OK).await);
        let url = receiver.url("/hook");
        let seen = Arc::clone(&receiver);
        let seen: Arrivals = Box::new(move |run| {
            seen.keys().into_iter().filter(|key| key == run.as_str()).collect()
        });
        if chat {
            direct(Chat::new(client(), &url).unwrap(), seen).await;
        } else {
            direct(Webhook::new(client(), &url).unwrap().key(key()), seen).await;
        }
    }
}

/// D1 D2 D3: mails.
#[cfg(feature = "email")]
#[tokio::test]
async fn mails_conform() {
    use crate::smtp::{Server, Ways};
    let server = Arc::new(Server::start(Ways::default()).await);
    let target = server.mailbox();
    let seen = Arc::clone(&server);
    let seen: Arrivals = Box::new(move |run| {
        let keys = seen.mails().into_iter().map(|mail| mail.field("Idempotency-Key"));
        keys.filter(|key| key == run.as_str()).collect()
    });
    direct(target, seen).await;
}

/// D1 D2 D3: an outbox whose target is away, one that sends, and what is kept over a new opening.
#[tokio::test]
async fn an_outbox_conforms() {
    let folder = TempDir::new().unwrap();
    let receiver = Receiver::start(|_, _| OK).await;
    let hook = || Webhook::new(client(), &receiver.url("/")).unwrap().key(key());
    let outbox = Outbox::open(config(&folder, 3), routes(hook())).unwrap();
    let delivery: Arc<dyn Delivery> = Arc::new(outbox.clone());
    conformance::delivery(&delivery, &Kept(outbox.clone())).await;
    let counts = outbox.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.sent, receiver.received().len()), (7, 0, 0));
    outbox.close().await;
    let outbox = Outbox::open(config(&folder, 3), routes(hook())).unwrap();
    outbox.flush().await.unwrap();
    let counts = outbox.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.sent, receiver.received().len()), (0, 7, 7));
}
