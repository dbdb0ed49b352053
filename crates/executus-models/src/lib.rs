//! Language models behind [`Model`](executus_core::Model).
//!
//! A [`ChatModel`] asks one model of one provider: OpenAI and whatever is compatible with it,
//! Anthropic, Gemini, or Ollama. It turns a run's brief and transcript into the provider's words
//! and reads the answer, streamed or whole, into a [`Reply`](executus_core::Reply) with calls,
//! usage, cost and the model that served it. An answer that stops before its end is an error, calls
//! with arguments that cannot be read are answered as such, and no answer takes more than bounded
//! memory. What is safe to ask again is asked again, a few times and within the run's deadline;
//! every attempt that failed is told to the run, with what it used.
//!
//! [`Fallback`] goes through several models in order. [`Recording`] writes what a model says to a
//! file, and [`Scripted`] says it again.

pub mod name;
pub mod price;

mod chat;
mod config;
mod environment;

mod address;
mod ask;
mod attempt;
mod conversation;
mod dialect;
mod draft;
mod failure;
mod retry_after;

mod fallback;
mod recording;
mod script;
mod scripted;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

pub use chat::ChatModel;
pub use config::{ChatModelBuilder, ConfigError, Timeouts};
pub use fallback::Fallback;
pub use name::{ModelName, Provider};
pub use price::{Price, Prices};
pub use recording::Recording;
pub use scripted::{ScriptError, Scripted};
