//! An HTTP client for HTTP/1.1 and HTTP/2, and tools that make requests.
//!
//! A [`Client`] sends a [`Request`] and gives back a [`Response`] whose body is read chunk by chunk.
//! Three limits hold in any case: the time to a connection, the time to the head of the response,
//! and the time between two chunks of its body. What goes wrong is an [`HttpError`], which knows
//! whether the request can have left and whether it may be sent again. Nothing is done behind the
//! caller's back: who does not ask for it has no redirect followed and no request sent twice. Where
//! requests may go is an [`AddressPolicy`], which each connection is judged by. No error, log line
//! or `Debug` shows a secret header, a query string or a body.
//!
//! An [`HttpTool`] is one request as a tool of a run; with the feature `driver`, `HttpDriver` performs
//! capabilities by requests.
//!
//! `https` needs one of the features `aws-lc-rs` (on by default) and `ring`; with both, the first is
//! used. The certificates that are accepted are the platform's, and those that a builder adds.

mod method;
mod request;
mod response;

mod address;
mod body;
mod client;
mod config;
mod connect;
mod pool;
mod profile;
mod redirect;
mod resolve;
mod retry;
mod tls;

pub mod events;
pub mod health;

mod error;
mod failure;
mod text;
mod url;

#[cfg(feature = "driver")]
mod driver;
mod outline;
mod tool;

pub use address::{AddressKind, AddressPolicy, Network, NetworkError};
pub use client::Client;
pub use config::{BuildError, ClientBuilder};
pub use connect::{ByteStream, Transport};
#[cfg(feature = "driver")]
pub use driver::{DriverBuildError, Endpoint, Format, HttpDriver, HttpDriverBuilder, Pieces};
pub use error::{ConnectFailure, DropKind, HttpError, NotFollowed, Part, Phase};
pub use method::Method;
pub use pool::AddressSnapshot;
pub use profile::Profile;
pub use request::Request;
pub use resolve::{Resolve, ResolveError, SystemResolver};
pub use response::Response;
pub use retry::Retries;
pub use tool::{HttpTool, HttpToolBuilder, Template, ToolBuildError};
