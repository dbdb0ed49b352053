//! Chats, in the form of Slack's incoming webhooks.

use executus_core::RunStatus;
use executus_core::port::Delivery as _;
use executus_deliver::{Chat, Direct, Routes, When};

use crate::receiver::{OK, Receiver};
use crate::support::{client, parcel, with};

async fn said(chat: impl Fn(Chat) -> Chat, parcel: &executus_core::port::Parcel) -> String {
    let receiver = Receiver::start(|_, _| OK).await;
    let chat = chat(Chat::new(client(), &receiver.url("/services/T0/B0/s3cret")).unwrap());
    let direct = Direct::new(Routes::new().to("chat", When::Always, chat).unwrap());
    direct.deliver(parcel).await.unwrap();
    let message = receiver.received()[0].json();
    assert_eq!(message.as_object().unwrap().len(), 1);
    message["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_result_is_a_text() {
    let text = said(|chat| chat, &with("run-1", "a < b & c", &[])).await;
    assert_eq!(text, "*a sample: ok*\na &lt; b &amp; c\n_run run-1_");
    let text = said(|chat| chat, &parcel("run-2", RunStatus::Timeout)).await;
    assert!(text.starts_with("*a sample: timeout*\nfailed: a sample failure"), "{text}");
}

/// At most 40,000 characters, or as many as are told; the run's id is never cut off.
#[tokio::test]
async fn a_long_text_is_cut_at_the_limit() {
    let parcel = with("run-1", &"é<".repeat(60_000), &[]);
    let text = said(|chat| chat, &parcel).await;
    assert!((39_900..=40_000).contains(&text.chars().count()), "{}", text.chars().count());
    assert!(text.ends_with("… (cut)\n_run run-1_"), "{}", &text[text.len() - 40..]);
    let text = said(|chat| chat.limit(2_000), &parcel).await;
    assert!((1_900..=2_000).contains(&text.chars().count()), "{}", text.chars().count());
}
