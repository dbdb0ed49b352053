//! Models over real HTTP, against local servers that speak as the providers do.

mod anthropic;
mod fallback;
mod faults;
mod gemini;
mod nonsense;
mod ollama;
mod openai;
mod recording;
mod scenarios;
mod support;
