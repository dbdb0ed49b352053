//! The servers of `provider` against a raw client.
#![expect(clippy::unwrap_used, reason = "the client is part of the tests")]

mod anthropic;
mod client;
mod faults;
mod gemini;
mod hostile;
mod ollama;
mod openai;
mod server;
