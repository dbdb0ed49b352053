//! One look at a peer over the network, and what it means: not what an ordinary request means.
//!
//! A look is made to learn whether the peer is there. So what an ordinary request forgives, such as
//! a timeout, counts here; and it goes over a connection of its own, outside of pools and windows of
//! grace.

use std::time::Duration;

use executus_circuit::Outcome;
use tokio::time::Instant;

use super::facts::NetworkFacts;
use crate::client::Client;
use crate::error::{ConnectFailure, DropKind, HttpError, Phase};
use crate::method::Method;
use crate::request::Request;

/// Where a peer is asked, below its base address.
const PATH: &str = "/health";
/// How long an unexpected error's text may be, in characters.
const MAX_TEXT: usize = 200;
/// The most that is read of what the peer says of itself.
const MAX_BODY: usize = 64 * 1024;

/// How long a connection may take to close.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// What a look found.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) facts: NetworkFacts,
    /// What the circuit is to learn.
    pub(super) outcome: Outcome,
    /// What the peer says of itself, where it is JSON.
    pub(super) said: Option<serde_json::Value>,
}

/// Looks at a peer.
///
/// **Cancellation**: the connection is closed, and nobody learns anything.
pub(super) async fn look(client: &Client, base: &str, limit: Duration) -> Looked {
    let began = Instant::now();
    let client = client.apart();
    let asked = ask(&client, base, limit).await;
    let taken = began.elapsed().as_secs_f64() * 1000.0;
    // The next look does not begin before this one's connection is gone.
    client.close(CLOSED_WITHIN).await;
    match asked {
        Ok((status, said)) => {
            let latency_ms = Some((taken * 100.0).round() / 100.0);
            let facts =
                NetworkFacts { reachable: true, status: Some(status), latency_ms, error: None };
            Looked { facts, outcome: Outcome::Success, said }
        }
        Err(error) => {
            let (outcome, text) = meaning(&error);
            // What it was in detail is for whoever mends the peer, not for who reads the status.
            tracing::debug!(base, %error, "no answer to a health check");
            let facts = NetworkFacts {
                reachable: false,
                status: None,
                latency_ms: None,
                error: Some(text),
            };
            Looked { facts, outcome, said: None }
        }
    }
}

async fn ask(
    client: &Client,
    base: &str,
    limit: Duration,
) -> Result<(u16, Option<serde_json::Value>), HttpError> {
    let url = format!("{}{PATH}", base.trim_end_matches('/'));
    let request = Request::new(Method::Get, &url)?.total_timeout(limit);
    let response = client.send(request).await?;
    let status = response.status();
    let is_json = response.is_success() && response.content_type() == Some("application/json");
    // It has answered: what is wrong with the rest of its answer is not for this layer.
    let body = if is_json { response.bytes(MAX_BODY).await.ok() } else { None };
    Ok((status, body.and_then(|body| serde_json::from_slice(&body).ok())))
}

/// What an error means to the circuit, and what is told of it.
fn meaning(error: &HttpError) -> (Outcome, String) {
    let transport =
        |kind: &str| (Outcome::Failure, format!("HTTP transport error on {PATH}: {kind}"));
    match error {
        HttpError::Connect { failure: ConnectFailure::Refused, .. }
        | HttpError::Timeout { phase: Phase::Connect, .. } => {
            (Outcome::Failure, "Connection refused".to_owned())
        }
        HttpError::Dropped { kind: DropKind::Reset, .. } => {
            (Outcome::Neutral, "Connection dropped: connection reset".to_owned())
        }
        HttpError::Dropped { kind: DropKind::BrokenPipe, .. } => {
            (Outcome::Neutral, "Connection dropped: broken pipe".to_owned())
        }
        HttpError::Dropped { kind: DropKind::Closed, .. }
        | HttpError::Connect { failure: ConnectFailure::Closed, .. } => transport("closed"),
        HttpError::Protocol { .. } | HttpError::TooLarge { .. } => transport("protocol"),
        HttpError::Timeout { .. } => (Outcome::Failure, "HTTP timeout".to_owned()),
        other => {
            tracing::warn!(error = %other, "a health check failed in an unexpected way");
            (Outcome::Neutral, other.to_string().chars().take(MAX_TEXT).collect())
        }
    }
}
