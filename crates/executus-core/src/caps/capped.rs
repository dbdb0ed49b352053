//! A model that asks for a permit before each call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{CapAsk, Caps, CapsError, Permit};
use crate::model::{Model, ModelError, Turn};
use crate::transcript::Reply;

/// A model whose calls stay under caps: of its provider, and of each caller if asked for.
///
/// A call without a permit is not made: the error is [`ModelError::RateLimited`], so that a
/// fallback goes on with another provider. Waiting takes from the run's time, and never longer than
/// that lasts.
pub struct Capped {
    model: Arc<dyn Model>,
    caps: Arc<dyn Caps>,
    key: Arc<str>,
    per_caller: Option<Arc<str>>,
    ask: CapAsk,
}

impl Capped {
    /// Caps under this key, which names the provider; refused at once where they are reached.
    #[must_use]
    pub fn new(model: Arc<dyn Model>, caps: Arc<dyn Caps>, key: impl Into<Arc<str>>) -> Self {
        Self { model, caps, key: key.into(), per_caller: None, ask: CapAsk::default() }
    }

    /// Under caps of each caller too, asked for first: their keys are this prefix and the caller's
    /// id.
    #[must_use]
    pub fn per_caller(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.per_caller = Some(prefix.into());
        self
    }

    /// Tokens that a call is expected to use; what it did use is corrected after it.
    #[must_use]
    pub const fn estimate(mut self, tokens: u64) -> Self {
        self.ask.tokens = tokens;
        self
    }

    /// Waits this long for a permit instead of being refused at once.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.ask.patience = patience;
        self
    }

    async fn permit(&self, turn: &Turn, key: &Arc<str>) -> Result<Permit, ModelError> {
        let patience = self.ask.patience.min(turn.remaining());
        let error = match self.caps.acquire(key, CapAsk { patience, ..self.ask }).await {
            Ok(permit) => return Ok(permit),
            Err(error) => error,
        };
        let message = error.to_string();
        Err(match error {
            CapsError::Full { again, .. } => {
                let now = turn.shared.clock().now();
                ModelError::RateLimited { message, retry_after: again.map(|at| at.since(now)) }
            }
            CapsError::Unavailable { .. } => ModelError::Unavailable { message },
        })
    }
}

#[async_trait]
impl Model for Capped {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let own = match &self.per_caller {
            Some(prefix) => {
                let key = format!("{prefix}{}", turn.spec().caller_id).into();
                Some(self.permit(turn, &key).await?)
            }
            None => None,
        };
        let permit = self.permit(turn, &self.key).await?;
        let reply = self.model.decide(turn).await?;
        let usage = &reply.usage;
        let used = [usage.output_tokens, usage.thinking_tokens]
            .into_iter()
            .fold(usage.input_tokens, u64::saturating_add);
        // A reply that does not say what it used leaves the estimate.
        for permit in [Some(permit), own].into_iter().flatten().filter(|_| used > 0) {
            permit.used(used);
        }
        Ok(reply)
    }
}

impl std::fmt::Debug for Capped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capped")
            .field("key", &self.key)
            .field("per_caller", &self.per_caller)
            .field("ask", &self.ask)
            .finish_non_exhaustive()
    }
}
