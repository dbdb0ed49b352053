//! How each provider is asked, and how its answers are read.

use executus_core::secret::Secret;
use executus_http::{HttpError, Request};
use serde_json::Value;

use crate::ask::Ask;
use crate::draft::Draft;
use crate::failure::{Complaint, Failure};
use crate::name::Provider;
use executus_http::events::Framing;

mod anthropic;
mod gemini;
mod ollama;
mod openai;
mod turns;

/// What is different from provider to provider. Pure: no I/O, no clock.
pub(crate) trait Dialect: Send + Sync {
    /// Where requests go when nobody says.
    fn default_base(&self) -> &'static str;

    /// The address for a model, after the base address (which ends without `/`), and the body.
    fn request(&self, ask: &Ask<'_>) -> (String, Value);

    /// Adds what the provider wants in the head of a request.
    ///
    /// # Errors
    /// A key that no header field can hold.
    fn sign(&self, request: Request, key: Option<&Secret>) -> Result<Request, HttpError>;

    /// How its streams are framed.
    fn framing(&self) -> Framing;

    /// Reads a streamed answer, event by event.
    fn reader(&self) -> Box<dyn Reader>;

    /// Reads an answer that came whole. It must set [`Draft::finish`] when the answer is complete.
    ///
    /// # Errors
    /// An answer that is none, or an error in its place.
    fn whole(&self, body: &Value, draft: &mut Draft) -> Result<(), Failure>;

    /// What the body of an error says; `body` is `Null` when it is no JSON.
    fn complaint(&self, body: &Value) -> Complaint;
}

/// Reads the events of one streamed answer.
pub(crate) trait Reader: Send {
    /// Takes in the data of one event. `say` is called with each piece of visible text, after it
    /// was kept with [`Draft::push_text`]. Sets [`Draft::finish`] once the provider has said that
    /// the answer is complete; what comes after [`is_over`](Self::is_over) is not read.
    ///
    /// # Errors
    /// An event that cannot be read, or that is an error.
    fn event(
        &mut self,
        data: &str,
        draft: &mut Draft,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure>;

    /// Whether nothing more will come: the end was said.
    fn is_over(&self) -> bool;
}

/// The dialect of a provider.
pub(crate) fn of(provider: Provider) -> &'static dyn Dialect {
    match provider {
        Provider::OpenAi => &openai::OpenAi,
        Provider::Anthropic => &anthropic::Anthropic,
        Provider::Gemini => &gemini::Gemini,
        Provider::Ollama => &ollama::Ollama,
    }
}

/// The data of an event as JSON.
///
/// # Errors
/// What is no JSON.
fn json(data: &str) -> Result<Value, Failure> {
    serde_json::from_str(data).map_err(|error| {
        let shown = executus_core::text::bounded_to(data.to_owned(), 100);
        Failure::malformed(format!("an event of its stream is not JSON ({error}): {shown}"))
    })
}

/// A text in a JSON value, empty where there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
