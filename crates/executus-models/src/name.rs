//! Names of models: `provider:model`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Who serves a model, and so the dialect that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// OpenAI's chat completions, which many others serve too.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Ollama, on this machine or another.
    Ollama,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// The name before the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a model: `openai:gpt-5-mini`. What follows the first colon is the provider's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    provider: Provider,
    model: Arc<str>,
}

/// A text that names no model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` names no model; expected `provider:model` with one of the providers openai, anthropic, gemini, ollama"
)]
pub struct NameError {
    text: String,
}

impl ModelName {
    /// A model of a provider.
    pub fn new(provider: Provider, model: impl Into<Arc<str>>) -> Self {
        Self { provider, model: model.into() }
    }

    /// Who serves it.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// The provider's own name of it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let unnamed = || NameError { text: executus_core::text::bounded_to(text.to_owned(), 100) };
        let (provider, model) = text.split_once(':').ok_or_else(unnamed)?;
        let provider = Provider::ALL.into_iter().find(|known| known.as_str() == provider);
        let fits = !model.is_empty()
            && model.len() <= 200
            && model.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        match provider {
            Some(provider) if fits => Ok(Self::new(provider, model)),
            Some(_) | None => Err(unnamed()),
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.model)
    }
}
