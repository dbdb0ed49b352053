//! The secrets of targets stay where they were given.

use std::fs;

use executus_core::RunStatus;
use executus_core::port::Delivery as _;
use executus_core::secret::Secret;
use executus_deliver::{Chat, Direct, Outbox, Routes, Webhook, When};
use tempfile::TempDir;

use crate::receiver::{Act, Receiver};
use crate::support::{KEY, client, config, key, parcel, quick};

const PATH: &str = "/services/T0S3CRET/path";
const QUERY: &str = "token-in-the-query";
const HEADER: &str = "Bearer header-s3cret";

fn is_clean(what: &str, text: &str) {
    let key = KEY.trim_start_matches("whsec_");
    for secret in [PATH, "T0S3CRET", QUERY, HEADER, "header-s3cret", key] {
        assert!(!text.contains(secret), "{what} holds {secret}: {text}");
    }
}

/// No error, `Debug` or file of an outbox shows a URL's path or query, a header or a key, even when
/// the receiver repeats them.
#[tokio::test]
async fn no_secret_of_a_target_is_told() {
    let said = "you sent /services/T0S3CRET/path?token-in-the-query with Bearer header-s3cret";
    for status in [500, 403] {
        let receiver = Receiver::start(move |_, _| Act::Answer(status, "", said)).await;
        let url = receiver.url(&format!("{PATH}?{QUERY}"));
        let hook = Webhook::new(client(), &url)
            .unwrap()
            .key(key())
            .header("authorization", &Secret::new(HEADER))
            .unwrap();
        let chat = Chat::new(client(), &url).unwrap();
        let routes = Routes::new().to("hook", When::Always, hook).unwrap();
        let routes = routes.to("chat", When::Always, chat).unwrap();
        let parcel = parcel("run-1", RunStatus::Ok);

        let direct = Direct::new(routes.clone()).backoff(quick(1));
        let error = direct.deliver(&parcel).await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
        is_clean("an error", &format!("{error} {error:?}"));
        is_clean("a delivery", &format!("{direct:?}"));

        let folder = TempDir::new().unwrap();
        let outbox = Outbox::open(config(&folder, 1), routes).unwrap();
        is_clean("an outbox", &format!("{outbox:?}"));
        outbox.deliver(&parcel).await.unwrap();
        outbox.flush().await.unwrap();
        let entries = outbox.list(None, 9).await.unwrap();
        assert!(entries.iter().all(|entry| entry.error.is_some()), "{entries:?}");
        is_clean("the entries", &format!("{entries:?}"));
        outbox.close().await;
        for file in fs::read_dir(folder.path()).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            is_clean("a file", &String::from_utf8_lossy(&bytes));
        }
        drop(receiver);
        let error = direct.deliver(&parcel).await.unwrap_err();
        is_clean("an error without an answer", &format!("{error} {error:?}"));
    }
}
