//! Chat: an incoming webhook in the form that Slack made usual.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::secret::Secret;
use executus_http::Client;
use serde_json::json;

use super::Target;
use super::webhook::Webhook;
use crate::error::{SendError, TargetError};
use crate::message::Message;

/// What Slack takes, in characters; it cuts what is longer by itself.
const SLACK: usize = 40_000;
const CUT: &str = "… (cut)";

/// A chat's incoming webhook: `POST` of `{"text": "…"}`, as Slack, Mattermost, Rocket.Chat and
/// Discord (under `/slack`) take it.
///
/// The text is the title, the [text](Message::text) and the run's id, by which somebody tells that
/// it came twice: chats know no idempotency. It is cut at 40,000 characters, which is Slack's
/// documented limit. The URL is a secret, and is treated as one.
#[derive(Clone)]
pub struct Chat {
    webhook: Webhook,
    limit: usize,
}

impl Chat {
    /// To this URL, by this client.
    ///
    /// # Errors
    /// [`TargetError::Url`], which does not repeat it.
    pub fn new(client: Client, url: &Secret) -> Result<Self, TargetError> {
        Ok(Self { webhook: Webhook::new(client, url)?, limit: SLACK })
    }

    /// Cut at so many characters: 2,000 for Discord, 16,383 for Mattermost, say. At least 100.
    #[must_use]
    pub const fn limit(mut self, characters: usize) -> Self {
        self.limit = if characters < 100 { 100 } else { characters };
        self
    }

    /// With this limit for one request as a whole, instead of 20 s.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.webhook = self.webhook.timeout(limit);
        self
    }

    fn text_of(&self, message: &Message) -> String {
        let head = format!("*{}*\n", escaped(&message.title()));
        let key: String = message.key().as_str().chars().take(60).collect();
        let foot = format!("\n_run {}_", escaped(&key));
        let room = self.limit.saturating_sub(head.chars().count() + foot.chars().count());
        let text = cut(&escaped(&message.text()), room);
        cut(&format!("{head}{text}{foot}"), self.limit)
    }
}

/// The three characters that Slack reads as its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most so many characters, not in the middle of an escaped one.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(CUT.chars().count())).collect();
    let kept = match kept.rfind('&') {
        Some(at) if !kept[at..].contains(';') && kept.len() - at < 5 => &kept[..at],
        _ => &kept,
    };
    format!("{kept}{CUT}")
}

#[async_trait]
impl Target for Chat {
    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let body = json!({"text": self.text_of(message)}).to_string();
        self.webhook.post(message.key(), body.into_bytes()).await
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat").field("to", &self.webhook.shown()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_to_the_limit_and_leaves_no_half_character() {
        let text = escaped(&"<é&".repeat(50));
        for most in 10..text.chars().count() {
            let cut = cut(&text, most);
            assert!(cut.chars().count() <= most, "{most}: {cut}");
            let kept = cut.strip_suffix(CUT).unwrap();
            assert!(!kept.rsplit(';').next().unwrap().contains('&'), "{most}: {cut}");
        }
        assert_eq!(cut("short", 5), "short");
    }
}
