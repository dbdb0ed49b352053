//! What providers find wrong with requests, a file for each.
//!
//! Only what their documentation or their error messages are known to refuse; the words of the
//! messages follow theirs where they are known.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

use serde_json::Value;

use super::dialect::{Dialect, ErrorReply};
use super::http::SeenRequest;

/// The first thing that the provider finds wrong with the request.
pub(super) fn check(dialect: Dialect, request: &SeenRequest) -> Result<(), ErrorReply> {
    match dialect {
        Dialect::OpenAi => openai::check(request),
        Dialect::Anthropic => anthropic::check(request),
        Dialect::Gemini => gemini::check(request),
        Dialect::Ollama => ollama::check(request),
    }
}

/// The path of a request without its query.
fn bare_path(request: &SeenRequest) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

/// A header that is there and says something.
fn filled<'r>(request: &'r SeenRequest, name: &str) -> Option<&'r str> {
    request.header(name).filter(|value| !value.is_empty())
}

/// The first field of an object that is not among the known ones.
fn unknown_field<'v>(value: &'v Value, known: &[&str]) -> Option<&'v str> {
    let mut fields = value.as_object()?.keys();
    fields.find(|name| !known.contains(&name.as_str())).map(String::as_str)
}

/// The entries of an array; nothing for anything else.
fn entries(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a name has 1 to `longest` letters, digits, underscores and dashes.
fn plain_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
