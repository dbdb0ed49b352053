//! Local HTTP servers that speak the dialects of model providers.
//!
//! A [`ProviderServer`] listens on a port of this machine and answers each request with the next
//! [`Answer`] of a script, in the words of its [`Dialect`]: whole or streamed, as the request asks.
//! Answers can be late, cut, endless or wrong in the ways real ones are. Requests are looked at as
//! the providers look at them: one that a provider would refuse is refused here, with that
//! provider's error body, and does not use up an answer.
//!
//! The formats are those of the public documentation of the providers, not those of any client.
//!
//! ```
//! use executus_testkit::provider::{Answer, Dialect, ProviderServer};
//! use serde_json::json;
//!
//! let server = ProviderServer::start(
//!     Dialect::OpenAi,
//!     [Answer::calls([("search", json!({ "for": "rain" }))]), Answer::text("It rains.")],
//! );
//! assert!(server.base_url().ends_with("/v1")); // for OPENAI_BASE_URL
//! // … run something against it, then:
//! assert_eq!(server.requests().len(), 0);
//! assert_eq!(server.refusals(), Vec::<String>::new());
//! ```
//!
//! **Pieces.** A streamed answer is a row of events (or lines). The faults that come "after n
//! pieces" count only those with content: a piece of text, of thinking or of a tool call. The frame
//! around them, such as the event that opens a message, is not counted and is written before the
//! fault. The fault always comes before the event that tells the reason of the end, however large n
//! is. Where nothing is streamed it comes in the middle of the body.
//!
//! **Real time.** The server has a thread and a clock of its own: a test that pauses tokio's clock
//! does not pause the server.

mod answer;
mod anthropic;
mod check;
mod deliver;
mod dialect;
mod gemini;
mod http;
mod ollama;
mod openai;
mod piece;
mod server;
mod wait;

pub use answer::{Answer, Used};
pub use dialect::Dialect;
pub use http::SeenRequest;
pub use server::ProviderServer;
