//! Models over real HTTP, against local servers that speak as the providers do.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod anthropic;
mod body;
mod fallback;
mod faults;
mod gemini;
mod hello;
mod limits;
mod nonsense;
mod ollama;
mod openai;
mod recording;
mod scenarios;
mod support;
