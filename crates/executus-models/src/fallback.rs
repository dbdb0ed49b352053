//! Several models, asked in order.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Entry, Model, ModelError, Reply, Turn};
use parking_lot::Mutex;

use crate::chat::ChatModel;

/// Asks the first of several models, and the next one when it cannot decide.
///
/// Every error of a model but [`ModelError::Failed`], which ends a run on purpose, leads to the next
/// model: one that is away, one that limits the rate, one whose key is wrong, one whose context is
/// too small. A run stays with the model that served its last step, as told by that reply; the
/// others come after it in order. When all have failed the error has each one's words, and the kind
/// of the last one's.
///
/// One that only hangs is left when its own limits in time have passed, for each of its attempts: a
/// run whose time is shorter than these never comes to the next one.
#[derive(Clone)]
pub struct Fallback(Arc<[Candidate]>);

/// One of the models.
struct Candidate {
    /// What its replies are known by.
    name: Arc<str>,
    model: Arc<dyn Model>,
    /// What its newest reply said served it; `None` since it failed. A name may be an alias, and
    /// two models may have the same one.
    served: Mutex<Option<Arc<str>>>,
}

impl Fallback {
    /// These models, in this order.
    #[must_use]
    pub fn new(models: impl IntoIterator<Item = ChatModel>) -> Self {
        let named =
            |model: ChatModel| (model.name().to_string(), Arc::new(model) as Arc<dyn Model>);
        Self::of(models.into_iter().map(named))
    }

    /// These models under these names, in this order. A name is the beginning of what the model's
    /// replies say served them, such as `openai:gpt-5` of `openai:gpt-5-2025-08-07`: a run that is
    /// resumed by another process finds its model by it.
    #[must_use]
    pub fn of<N: Into<Arc<str>>>(models: impl IntoIterator<Item = (N, Arc<dyn Model>)>) -> Self {
        let candidate = |(name, model): (N, Arc<dyn Model>)| {
            let served = Mutex::new(None);
            Candidate { name: name.into(), model, served }
        };
        Self(models.into_iter().map(candidate).collect())
    }

    /// The place of the model that served the newest reply.
    fn last(&self, turn: &Turn) -> usize {
        let newest = turn.transcript().entries().iter().rev().find_map(|entry| match entry {
            Entry::Reply(reply) => Some(reply.model.clone().unwrap_or_default()),
            Entry::Result(_) | Entry::Steer(_) => None,
        });
        let Some(served) = newest else { return 0 };
        let known = self.0.iter().position(|it| it.served.lock().as_ref() == Some(&served));
        known.or_else(|| self.named(&served)).unwrap_or(0)
    }

    /// The first with the longest name that this model is a version of: `openai:gpt-5` begins
    /// `openai:gpt-5-mini` too.
    fn named(&self, served: &str) -> Option<usize> {
        let fits = |name: &str| {
            let version = served.strip_prefix(name)?;
            (version.is_empty() || version.starts_with(['-', ':', '@'])).then_some(name.len())
        };
        let fitting =
            self.0.iter().enumerate().filter_map(|(place, it)| Some((fits(&it.name)?, place)));
        let best = fitting.max_by_key(|(len, place)| (*len, std::cmp::Reverse(*place)));
        best.map(|(_, place)| place)
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
            let Some(candidate) = self.0.get(place) else { continue };
            if last.is_some() {
                turn.reset();
            }
            match candidate.model.decide(turn).await {
                Err(error @ ModelError::Failed { .. }) => return Err(error),
                Err(error) => {
                    *candidate.served.lock() = None;
                    told.push(format!("{}: {error}", candidate.name));
                    last = Some(error);
                }
                Ok(reply) => {
                    *candidate.served.lock() = Some(reply.model.clone().unwrap_or_default());
                    return Ok(reply);
                }
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
        f.debug_list().entries(self.0.iter().map(|candidate| &candidate.name)).finish()
    }
}
