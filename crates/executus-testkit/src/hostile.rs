//! A local server that does its part of HTTP as badly as a test says.
//!
//! A [`HostileServer`] listens on a port of this machine and answers each request with a [`Reply`]:
//! a row of steps that send bytes exactly as they are written down, wait, drip, send for ever, stall,
//! close or reset. Nothing is checked, so lengths can lie and chunks can be anything. A [`Greeting`]
//! says what happens to a connection before its first request. The test sees every request, counts
//! connections and bytes, and cuts all connections at once.
//!
//! ```
//! use executus_testkit::hostile::{HostileServer, Reply};
//!
//! let server = HostileServer::start(|request| match request.path.as_str() {
//!     "/short" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").close(),
//!     "/reset" => Reply::new().reset(),
//!     "/never" => Reply::new().stall(),
//!     _ => Reply::ok("hello"),
//! });
//! let url = server.url("/short");
//! assert!(url.starts_with("http://127.0.0.1:"));
//! ```
//!
//! **Real time.** The server has a thread and a clock of its own: a test that pauses tokio's clock
//! does not pause the server.

mod reply;
mod request;
mod server;

pub use reply::Reply;
pub use request::Seen;
pub use server::{Counts, Greeting, HostileServer};
