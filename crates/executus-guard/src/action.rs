//! Actions that destroy something, told by their wording.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::isolate::isolate;
use thiserror::Error;

const DESTRUCTIVE: &[&str] = &[
    "delete",
    "remove",
    "erase",
    "wipe",
    "destroy",
    "purge",
    "discard",
    "drop table",
    "drop database",
    "terminate",
    "deactivate",
    "disable account",
    "close account",
    "cancel subscription",
    "cancel order",
    "cancel booking",
    "unsubscribe",
    "revoke",
    "reset account",
    "factory reset",
    "format disk",
    "uninstall",
    "pay",
    "buy",
    "purchase",
    "place order",
    "submit order",
    "confirm order",
    "confirm purchase",
    "checkout",
    "check out",
    "transfer money",
    "transfer funds",
    "send money",
    "withdraw",
    "donate",
    "overwrite",
    "empty trash",
    "force push",
];

const HARMLESS: &[&str] = &[
    "next",
    "next page",
    "previous",
    "previous page",
    "back",
    "forward",
    "home",
    "search",
    "find",
    "filter",
    "sort",
    "sort by",
    "show",
    "show more",
    "view",
    "read",
    "read more",
    "learn more",
    "see more",
    "more",
    "details",
    "expand",
    "collapse",
    "open",
    "close",
    "menu",
    "help",
    "about",
    "page",
    "load more",
    "refresh",
    "scroll",
    "zoom in",
    "zoom out",
    "print preview",
    "skip",
];

/// Says whether an action destroys something: a small model, a service, a table of a host's.
#[async_trait]
pub trait Classifier: Send + Sync {
    /// Whether the action with this wording destroys something, spends or sends.
    ///
    /// # Errors
    /// An error, a panic and an answer that takes too long refuse the action.
    async fn is_destructive(&self, tool: &str, wording: &str) -> Result<bool, ClassifyError>;
}

/// A classifier that did not say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the action was not judged: {message}")]
pub struct ClassifyError {
    /// What happened.
    pub message: String,
}

/// What becomes of actions that may destroy something.
///
/// Obvious destructive wording is refused, obvious harmless wording is allowed, and the rest goes to
/// the classifier. Without one the rest is allowed.
#[derive(Clone)]
pub struct ActionPolicy {
    destructive: Vec<Vec<String>>,
    harmless: Vec<Vec<String>>,
    classifier: Option<Arc<dyn Classifier>>,
    deadline: Duration,
}

impl Default for ActionPolicy {
    fn default() -> Self {
        Self {
            destructive: DESTRUCTIVE.iter().map(|phrase| words(phrase)).collect(),
            harmless: HARMLESS.iter().map(|phrase| words(phrase)).collect(),
            classifier: None,
            deadline: Duration::from_secs(10),
        }
    }
}

impl ActionPolicy {
    /// With this wording refused too.
    #[must_use]
    pub fn destructive<S: AsRef<str>>(mut self, phrases: impl IntoIterator<Item = S>) -> Self {
        self.destructive.extend(phrases.into_iter().map(|phrase| words(phrase.as_ref())));
        self
    }

    /// With this wording allowed too, unless it holds a destructive one.
    #[must_use]
    pub fn harmless<S: AsRef<str>>(mut self, phrases: impl IntoIterator<Item = S>) -> Self {
        self.harmless.extend(phrases.into_iter().map(|phrase| words(phrase.as_ref())));
        self
    }

    /// Asking this for the rest, for at most this long each time.
    #[must_use]
    pub fn classifier(mut self, classifier: Arc<dyn Classifier>, deadline: Duration) -> Self {
        self.classifier = Some(classifier);
        self.deadline = deadline;
        self
    }

    /// Whether an action may be made; why not, if it may not.
    pub(crate) async fn check(&self, tool: &str, wording: &str) -> Result<(), String> {
        let said = words(wording);
        let holds = |phrase: &Vec<String>| {
            !phrase.is_empty() && said.windows(phrase.len()).any(|window| window == &phrase[..])
        };
        if let Some(phrase) = self.destructive.iter().find(|phrase| holds(phrase)) {
            let phrase = phrase.join(" ");
            return Err(format!("`{phrase}` may destroy, spend or send something"));
        }
        if self.harmless.iter().any(|phrase| !phrase.is_empty() && said.starts_with(phrase)) {
            return Ok(());
        }
        let Some(classifier) = &self.classifier else { return Ok(()) };
        let asked = isolate(|| classifier.is_destructive(tool, wording));
        match tokio::time::timeout(self.deadline, asked).await {
            Ok(Ok(Ok(false))) => Ok(()),
            Ok(Ok(Ok(true))) => Err("it was judged to destroy, spend or send something".into()),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(panicked)) => Err(format!("the action was not judged: it {panicked}")),
            Err(_) => Err("the action was not judged in time".into()),
        }
    }
}

/// The words of a text in lower case, without what nobody sees.
fn words(text: &str) -> Vec<String> {
    let hidden =
        |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let seen: String = text.chars().filter(|c| !hidden(c)).collect();
    let words = seen.to_lowercase();
    let words = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

impl fmt::Debug for ActionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionPolicy")
            .field("classifier", &self.classifier.is_some())
            .finish_non_exhaustive()
    }
}
