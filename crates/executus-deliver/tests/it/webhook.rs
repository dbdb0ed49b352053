//! Webhooks, and what a receiver's answer means.

use std::time::Duration;

use executus_core::RunStatus;
use executus_core::port::{Delivery as _, DeliveryError};
use executus_core::secret::Secret;
use executus_deliver::{Direct, Routes, TargetError, Webhook, When};
use executus_http::{AddressPolicy, Client};
use tokio::time::Instant;

use crate::receiver::{Act, OK, Receiver};
use crate::support::{KEY, client, key, parcel, quick};

fn direct(webhook: Webhook) -> Direct {
    Direct::new(Routes::new().to("hook", When::Always, webhook).unwrap()).backoff(quick(3))
}

/// Signed as Standard Webhooks wants it, by every key, with the body as it is.
#[tokio::test]
async fn a_request_is_signed_and_carries_its_key() {
    let receiver = Receiver::start(|_, _| OK).await;
    let other = executus_deliver::SigningKey::new(&Secret::new("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"));
    let webhook = Webhook::new(client(), &receiver.url("/in?x=1"))
        .unwrap()
        .key(key())
        .key(other.clone().unwrap())
        .header("authorization", &Secret::new("Bearer t0ps3cret"))
        .unwrap();
    direct(webhook).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    let received = &receiver.received()[0];
    assert!(received.head.starts_with("POST /in?x=1 HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.header("authorization"), Some("Bearer t0ps3cret"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("idempotency-key"), Some("run-1"));
    assert_eq!(received.header("webhook-id"), Some("run-1"));
    let at: u64 = received.header("webhook-timestamp").unwrap().parse().unwrap();
    let signatures = received.header("webhook-signature").unwrap();
    for key in [key(), other.unwrap()] {
        assert!(key.verify("run-1", at, &received.body, signatures));
        assert!(!key.verify("run-1", at, b"another body", signatures));
    }
    let message = received.json();
    assert_eq!(message["type"], "run.ok");
    assert_eq!(message["data"]["key"], "run-1");
    assert_eq!(message["data"]["output"], "42");
}

/// A server in trouble is asked again, with the same key and the same body, until it takes it.
#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for trouble in [408, 409, 425, 429, 500, 502, 503, 504] {
        let receiver = Receiver::start(move |number, _| match number {
            0 => Act::Answer(trouble, "", "not now"),
            1 => Act::Drop,
            _ => OK,
        })
        .await;
        let webhook = Webhook::new(client(), &receiver.url("/")).unwrap().key(key());
        direct(webhook).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
        let received = receiver.received();
        assert_eq!(receiver.keys(), ["run-1"; 3], "{trouble}");
        assert!(received.iter().all(|request| request.body == received[0].body));
    }
}

/// A refusal is told and not repeated.
#[tokio::test]
async fn a_refusal_is_final() {
    for refusal in [301, 400, 401, 404, 410, 413, 422] {
        let receiver =
            Receiver::start(move |_, _| Act::Answer(refusal, "location: /\r\n", "invalid_token"))
                .await;
        let webhook = Webhook::new(client(), &receiver.url("/")).unwrap();
        let error = direct(webhook).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Rejected { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&refusal.to_string()) && text.contains("invalid_token"), "{text}");
        assert_eq!(receiver.received().len(), 1);
    }
}

/// `Retry-After` is waited for.
#[tokio::test]
async fn a_receiver_says_when() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Act::Answer(429, "retry-after: 1\r\n", ""),
        _ => OK,
    })
    .await;
    let began = Instant::now();
    let webhook = Webhook::new(client(), &receiver.url("/")).unwrap();
    direct(webhook).deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(receiver.received().len(), 2);
}

/// Nobody listens: the delivery is told as unavailable, within its time.
#[tokio::test]
async fn a_receiver_that_is_away() {
    let receiver = Receiver::start(|_, _| OK).await;
    let url = receiver.url("/");
    drop(receiver);
    let error = direct(Webhook::new(client(), &url).unwrap())
        .deliver(&parcel("run-1", RunStatus::Ok))
        .await
        .unwrap_err();
    assert!(error.retry(), "{error}");
    assert!(error.to_string().contains("hook: no connection"), "{error}");
}

/// Where requests may go is the client's policy; it is no use to try again.
#[tokio::test]
async fn an_address_that_is_not_allowed() {
    let receiver = Receiver::start(|_, _| OK).await;
    let client = Client::builder().address_policy(AddressPolicy::public()).build().unwrap();
    let error = direct(Webhook::new(client, &receiver.url("/")).unwrap())
        .deliver(&parcel("run-1", RunStatus::Ok))
        .await
        .unwrap_err();
    assert!(!error.retry(), "{error}");
    assert!(receiver.received().is_empty());
}

/// A run id that no header can hold has a digest there, and stands in the body as it is.
#[tokio::test]
async fn a_strange_run_id_is_a_key_too() {
    let receiver = Receiver::start(|_, _| OK).await;
    let webhook = Webhook::new(client(), &receiver.url("/")).unwrap().key(key());
    direct(webhook).deliver(&parcel("ein Läufer. 1", RunStatus::Ok)).await.unwrap();
    let received = &receiver.received()[0];
    assert!(received.key().starts_with("sha256-"), "{}", received.key());
    assert_eq!(received.header("webhook-id"), Some(&*received.key()));
    assert_eq!(received.json()["data"]["key"], "ein Läufer. 1");
}

/// What cannot be a webhook is refused when it is configured, without its secrets.
#[test]
fn what_cannot_be_asked_is_refused_at_once() {
    for url in ["", "hooks.example.com/s3cret", "ftp://h/s3cret", "http://u:s3cret@h/"] {
        let error = Webhook::new(client(), &Secret::new(url)).unwrap_err();
        assert!(matches!(error, TargetError::Url { .. }));
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let webhook = || Webhook::new(client(), &Secret::new("http://h/")).unwrap();
    for (name, value) in [("a b", "v"), ("x", "s3cret\n"), ("host", "s3cret")] {
        let error = webhook().header(name, &Secret::new(value)).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert!(!format!("{:?}", webhook().key(key())).contains(KEY));
}
