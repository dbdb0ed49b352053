//! Several models, asked in order.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Entry, Model, ModelError, Reply, Turn};

use crate::chat::ChatModel;

/// Asks the first of several models, and the next one when it cannot decide.
///
/// Every error of a model but [`ModelError::Failed`], which ends a run on purpose, leads to the next
/// model: one that is away, one that limits the rate, one whose key is wrong, one whose context is
/// too small. A run stays with the model that served its last step, as told by that reply; the
/// others come after it in order. When all have failed the error has each one's words, and the kind
/// of the last one's.
#[derive(Clone)]
pub struct Fallback(Arc<[Named]>);

/// A model, and the name that its replies are known by.
type Named = (Arc<str>, Arc<dyn Model>);

impl Fallback {
    /// These models, in this order.
    #[must_use]
    pub fn new(models: impl IntoIterator<Item = ChatModel>) -> Self {
        let named =
            |model: ChatModel| (model.name().to_string(), Arc::new(model) as Arc<dyn Model>);
        Self::of(models.into_iter().map(named))
    }

    /// These models under these names, in this order. A name is the beginning of what the model's
    /// replies say served them: `openai:gpt-5`.
    #[must_use]
    pub fn of<N: Into<Arc<str>>>(models: impl IntoIterator<Item = (N, Arc<dyn Model>)>) -> Self {
        Self(models.into_iter().map(|(name, model)| (name.into(), model)).collect())
    }

    /// The place of the model that served the newest reply.
    fn last(&self, turn: &Turn) -> usize {
        let newest = turn.transcript().entries().iter().rev().find_map(|entry| match entry {
            Entry::Reply(reply) => Some(reply.model.clone().unwrap_or_default()),
            Entry::Result(_) | Entry::Steer(_) => None,
        });
        let served = newest.unwrap_or_default();
        let fits = |(_, (name, _)): &(usize, &Named)| served.starts_with(&**name);
        // The longest name: `openai:gpt-5` begins `openai:gpt-5-mini` too.
        let best = self.0.iter().enumerate().filter(fits).max_by_key(|(_, (name, _))| name.len());
        best.map_or(0, |(place, _)| place)
    }
}

#[async_trait]
impl Model for Fallback {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let first = self.last(turn);
        let others = (0..self.0.len()).filter(|place| *place != first);
        let mut told = Vec::new();
        let mut last = None;
        for place in std::iter::once(first).chain(others) {
            let Some((name, model)) = self.0.get(place) else { continue };
            if last.is_some() {
                turn.reset();
            }
            match model.decide(turn).await {
                Err(error @ ModelError::Failed { .. }) => return Err(error),
                Err(error) => {
                    told.push(format!("{name}: {error}"));
                    last = Some(error);
                }
                Ok(reply) => return Ok(reply),
            }
        }
        Err(together(last, told))
    }
}

/// One error of several.
fn together(last: Option<ModelError>, told: Vec<String>) -> ModelError {
    let Some(error) = last else {
        return ModelError::Rejected { message: "there is no model to ask".to_owned() };
    };
    if told.len() == 1 {
        return error;
    }
    let message = format!("none of {} models decided: {}", told.len(), told.join("; "));
    match error {
        ModelError::RateLimited { retry_after, .. } => {
            ModelError::RateLimited { message, retry_after }
        }
        ModelError::ContextOverflow { .. } => ModelError::ContextOverflow { message },
        ModelError::Rejected { .. } => ModelError::Rejected { message },
        ModelError::Malformed { .. } => ModelError::Malformed { message },
        _ => ModelError::Unavailable { message },
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
