//! Webhooks: a request for each message, signed.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::digest::Digest;
use executus_core::secret::{Secret, Secrets};
use executus_core::{RunId, Timestamp};
use executus_http::{Client, HttpError, Method, Request};
use sha2::{Digest as _, Sha256};

use super::signature::SigningKey;
use super::{Target, retry_after};
use crate::error::{SendError, TargetError};
use crate::message::Message;

/// The longest key that stands in a header field as it is.
const LONGEST: usize = 255;
/// How long a receiver has, unless it is told otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How much of an answer that is not looked at is read, so that its connection can be kept.
const READ: usize = 64 << 10;

/// A webhook: `POST` of the message's JSON.
///
/// Each request carries the run's id as `idempotency-key` and as `webhook-id`; one that is no plain
/// word of at most 255 characters stands there as `sha256-` and its digest, and in the body as it
/// is. With keys it is signed in the scheme of [Standard Webhooks](https://www.standardwebhooks.com):
/// `webhook-timestamp` is the time of the attempt, `webhook-signature` has one signature for each
/// key, so that a key can be changed without a gap.
///
/// A status of 200 to 299 is an arrival. 408, 409, 425, 429 and 500 to 599 are worth another attempt,
/// not before the time that `retry-after` asks for; any other is a refusal, a redirect too. Where
/// requests may go, and through which connections, is the client's affair.
///
/// The URL is taken for a secret: errors, logs and `Debug` show its host alone.
#[derive(Clone)]
pub struct Webhook {
    request: Request,
    shown: String,
    client: Client,
    keys: Vec<SigningKey>,
    secrets: Vec<Secret>,
    timeout: Duration,
}

impl Webhook {
    /// To this URL, by this client.
    ///
    /// # Errors
    /// [`TargetError::Url`], which does not repeat it.
    pub fn new(client: Client, url: &Secret) -> Result<Self, TargetError> {
        let request = Request::new(Method::Post, url.expose())
            .map_err(|error| TargetError::Url { message: error.to_string() })?;
        let address = request.address();
        let host = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let shown = format!("{host}/…");
        // Whatever a receiver says, it does not say the path again.
        let path = address.get(host.len()..).unwrap_or_default().to_owned();
        let query = url.expose().split_once('?').map_or("", |(_, query)| query);
        let secrets = [path.as_str(), query].map(Secret::new).to_vec();
        let request = request.shown_as(shown.clone());
        Ok(Self { request, shown, client, keys: Vec::new(), secrets, timeout: TIMEOUT })
    }

    /// Signed with this key too.
    #[must_use]
    pub fn key(mut self, key: SigningKey) -> Self {
        self.keys.push(key);
        self
    }

    /// With this header field, whose value is never shown.
    ///
    /// # Errors
    /// [`TargetError::Header`] for a field that cannot be sent.
    pub fn header(mut self, name: &str, value: &Secret) -> Result<Self, TargetError> {
        self.request = self
            .request
            .secret_header(name, value)
            .map_err(|error| TargetError::Header { message: error.to_string() })?;
        self.secrets.push(value.clone());
        Ok(self)
    }

    /// With this limit for one request as a whole, instead of 20 s.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sends this body under this key.
    pub(super) async fn post(&self, key: &RunId, body: Vec<u8>) -> Result<(), SendError> {
        let id = key_of(key);
        let seconds = Timestamp::now().as_millis() / 1000;
        let mut request = self.field(self.request.clone(), "idempotency-key", &id)?;
        if !self.keys.is_empty() {
            let signatures: Vec<_> =
                self.keys.iter().map(|key| key.sign(&id, seconds, &body)).collect();
            request = self.field(request, "webhook-id", &id)?;
            request = self.field(request, "webhook-timestamp", &seconds.to_string())?;
            request = self.field(request, "webhook-signature", &signatures.join(" "))?;
        }
        let request = request.body("application/json", body).total_timeout(self.timeout);
        let response = self.client.send(request).await.map_err(|error| self.failed(&error))?;
        if response.is_success() {
            // It has arrived, whatever comes now; with the rest read, the connection is kept.
            let _ = response.bytes(READ).await;
            return Ok(());
        }
        let (status, asked) = (response.status(), response.header("retry-after"));
        let retry_after = asked.and_then(|text| retry_after::read(text, Timestamp::now()));
        let said = match response.success().await {
            Err(error @ HttpError::Status { .. }) => error.to_string(),
            Err(_) | Ok(_) => format!("{} answered with status {status}", self.shown),
        };
        let error = match status {
            408 | 409 | 425 | 429 | 500.. => SendError::unavailable(self.redacted(said)),
            _ => SendError::refused(self.redacted(said)),
        };
        Err(match error {
            SendError::Unavailable { message, .. } => {
                SendError::Unavailable { message, retry_after }
            }
            refused @ SendError::Refused { .. } => refused,
        })
    }

    fn field(&self, request: Request, name: &str, value: &str) -> Result<Request, SendError> {
        request.header(name, value).map_err(|error| SendError::refused(error.to_string()))
    }

    /// What a request that got no answer means.
    fn failed(&self, error: &HttpError) -> SendError {
        let message = self.redacted(error.to_string());
        match error {
            HttpError::Request { .. } | HttpError::Address { .. } => SendError::refused(message),
            // A certificate is renewed, a server that speaks no HTTP is mended.
            _ => SendError::unavailable(message),
        }
    }

    /// Without the secrets that a receiver may repeat.
    fn redacted(&self, text: String) -> String {
        let named = |(at, secret): (usize, &Secret)| (at.to_string(), secret.clone());
        self.secrets.iter().enumerate().map(named).collect::<Secrets>().redact(text)
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// The key as a header field has it.
fn key_of(run: &RunId) -> String {
    let id = run.as_str();
    // A full stop separates what is signed.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '/');
    if id.len() <= LONGEST && id.chars().all(is_plain) {
        return id.to_owned();
    }
    format!("sha256-{}", Digest::from_bytes(Sha256::digest(id.as_bytes()).into()))
}

#[async_trait]
impl Target for Webhook {
    async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.post(message.key(), message.body().to_vec()).await
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("to", &self.shown)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::key_of;
    use executus_core::RunId;

    #[test]
    fn a_key_is_a_header_field() {
        let of = |id: &str| key_of(&RunId::new(id).unwrap());
        assert_eq!(of("0198-run_1:x/y"), "0198-run_1:x/y");
        for id in ["a.b", "a b", "ü", "a,b", &"x".repeat(256)] {
            let key = of(id);
            assert!(key.starts_with("sha256-") && key.len() == 71, "{key}");
        }
    }
}
