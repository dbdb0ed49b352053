//! A model of a provider, asked until it answers or there is no use in asking.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use executus_core::secret::{Secret, Secrets};
use executus_core::{Model, ModelError, Reply, Turn};
use executus_http::{Client, Method, Request};

use crate::attempt::Attempt;
use crate::config::{ChatModelBuilder, ConfigError, Timeouts};
use crate::conversation::Conversation;
use crate::dialect::Dialect;
use crate::environment;
use crate::failure::Failure;
use crate::name::ModelName;
use crate::price::{Price, Prices};

/// A wait of our own grows no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One model of one provider. It keeps nothing between turns; clones share its connections.
///
/// **Asking**: the turn's brief and transcript become the provider's request, the run's tools its
/// tools. A run without a brief is refused. **Trying again**: when there is no connection, when the
/// provider is away, overloaded or limits the rate, and when an answer is cut or cannot be read:
/// asking changes nothing in the world. A `retry-after` is kept to, as seconds or as a date; one
/// that is longer than what is left of [all waits](ChatModelBuilder::waits), or of the run, ends the
/// asking at once.
/// **Attempts** that failed are told to the run by [`Turn::attempt_failed`], with what they used.
/// **Usage** is what the provider reports: a server that reports none is not held by limits of
/// tokens or cost, and an answer that was cut before its end has none from most.
/// **Cancellation**: dropping the decision closes the connection, and counts as a failed attempt.
/// **Watching**: pieces of text are sent as they come, and taken back when an attempt is made again.
#[derive(Clone)]
pub struct ChatModel(Arc<Settings>);

/// What a model is asked with.
pub(crate) struct Settings {
    pub(crate) name: ModelName,
    pub(crate) label: Arc<str>,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) client: Client,
    pub(crate) base: String,
    pub(crate) at_home: bool,
    pub(crate) key: Option<Secret>,
    /// The key again, to be taken out of whatever a provider says.
    pub(crate) secrets: Secrets,
    pub(crate) stream: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: u32,
    /// The wait before the second attempt, and all waits together.
    pub(crate) waits: (Duration, Duration),
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) prices: Prices,
}

impl ChatModel {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// The model with this name, such as `openai:gpt-5-mini`, with its key and address from the
    /// environment of this process.
    ///
    /// # Errors
    /// [`ConfigError`] when the name is none, or the environment lacks something.
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        Self::builder(name.parse()?).variables(&environment::variable).build()
    }

    /// A model to be set up.
    #[must_use]
    pub fn builder(name: ModelName) -> ChatModelBuilder {
        ChatModelBuilder::new(name)
    }

    /// Its key, under the name of its environment variable: for a run that must not show it.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// What its tokens cost; `None` when nobody knows.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        self.0.prices.get(&self.0.name)
    }

    /// Whether its server answers at all: asks for its base address, without the key and without
    /// the model. Any answer will do. What the key and the model are worth, only a run tells.
    ///
    /// # Errors
    /// [`ModelError::Unavailable`] when no answer comes within the time.
    pub async fn reach(&self, within: Duration) -> Result<(), ModelError> {
        let failed = |error: executus_http::HttpError| {
            let message = self.0.secrets.redact(error.to_string());
            ModelError::Unavailable { message }
        };
        let request = Request::new(Method::Get, &self.0.base).map_err(failed)?;
        let request = request.total_timeout(within);
        self.0.client.send(request).await.map(drop).map_err(failed)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ModelName {
        &self.0.name
    }
}

#[async_trait]
impl Model for ChatModel {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let settings = &*self.0;
        let Some(conversation) = Conversation::of(turn) else {
            let message = "the run has no brief: give its request one with `RunRequest::brief`";
            return Err(ModelError::Rejected { message: message.to_owned() });
        };
        let mut waits = Waits::new(settings);
        loop {
            let failure = match Attempt::new(settings, turn).make(&conversation).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let Some(wait) = waits.next(&failure, turn.remaining()) else {
                return Err(failure.error);
            };
            // The provider's words, which may repeat what a tool has told the model.
            let error = || turn.secrets().redact(failure.error.to_string());
            tracing::debug!(model = %settings.label, error = error(), ?wait, "asking again");
            turn.reset();
            tokio::time::sleep(wait).await;
        }
    }
}

/// The waits before further attempts.
struct Waits {
    backoff: ExponentialBackoff,
    left: Duration,
}

impl Waits {
    fn new(settings: &Settings) -> Self {
        let (first, most) = settings.waits;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(first.min(LONGEST_WAIT))
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(settings.retries as usize)
            // Many runs do not come back at once.
            .with_jitter()
            .build();
        Self { backoff, left: most }
    }

    /// How long to wait after this failure; `None` when there is no use in asking again.
    fn next(&mut self, failure: &Failure, remaining: Duration) -> Option<Duration> {
        if !failure.again {
            return None;
        }
        let own = self.backoff.next()?;
        // Not sooner than it wants, and never at once: it may want nothing.
        let wait = failure.after.map_or(own, |after| after.max(own));
        if wait > self.left || wait >= remaining {
            return None;
        }
        self.left -= wait;
        Some(wait)
    }
}

impl fmt::Debug for ChatModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatModel")
            .field("name", &self.0.name)
            .field("stream", &self.0.stream)
            .field("timeouts", &self.0.timeouts)
            .finish_non_exhaustive()
    }
}
