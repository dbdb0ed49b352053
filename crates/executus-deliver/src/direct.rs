//! Delivery without an outbox: while the run settles.

use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Delivery, DeliveryError, Parcel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::artifacts::Artifacts;
use crate::attempt::attempt;
use crate::backoff::Backoff;
use crate::error::{SendError, of_targets};
use crate::message::Message;
use crate::routes::{Route, Routes};

/// Sends to all targets at once while the run settles, and again where that may help, until its
/// time is over. What has not arrived by then has not been delivered; who needs more than that
/// takes an outbox.
///
/// # Cancellation
/// A `deliver` that is dropped sends no more.
#[derive(Debug, Clone)]
pub struct Direct {
    routes: Routes,
    artifacts: Option<Artifacts>,
    backoff: Backoff,
    within: Duration,
}

impl Direct {
    /// To these targets: within 8 s (the settling of a run has 10 s), three attempts for each.
    #[must_use]
    pub const fn new(routes: Routes) -> Self {
        let backoff = Backoff {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(2),
            attempts: 3,
        };
        Self { routes, artifacts: None, backoff, within: Duration::from_secs(8) }
    }

    /// With a folder for what is large.
    #[must_use]
    pub fn artifacts(mut self, artifacts: Artifacts) -> Self {
        self.artifacts = Some(artifacts);
        self
    }

    /// With these waits and so many attempts.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Within this time, all attempts included.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }
}

/// Sends to one target until it has arrived, is refused, or the time is over.
async fn send(
    route: Route,
    message: Message,
    backoff: Backoff,
    until: Instant,
) -> Result<(), (String, SendError)> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let left = until.saturating_duration_since(Instant::now());
        let error = match attempt(&*route.target, &message, left).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let wait = backoff.wait(attempts, error.retry_after());
        let ends_before = Instant::now() + wait >= until;
        if !error.retry() || backoff.is_last(attempts) || ends_before {
            return Err((route.name.to_string(), error));
        }
        tracing::debug!(to = &*route.name, key = %message.key(), %error, ?wait, "once more");
        sleep(wait).await;
    }
}

#[async_trait]
impl Delivery for Direct {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        let until = Instant::now() + self.within;
        let packed = timeout_at(until, Message::of(parcel, self.artifacts.as_ref())).await;
        let message = packed
            .unwrap_or_else(|_| Err(SendError::unavailable("writing its artifacts took too long")))
            .map_err(|error| of_targets(&[("artifacts".to_owned(), error)]))?;
        let mut sending = JoinSet::new();
        for route in self.routes.of(message.status()) {
            sending.spawn(send(route.clone(), message.clone(), self.backoff, until));
        }
        let mut failed = Vec::new();
        while let Some(sent) = sending.join_next().await {
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.push(error),
                Err(error) => {
                    failed.push(("a target".to_owned(), SendError::unavailable(error.to_string())));
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(of_targets(&failed)) }
    }
}
