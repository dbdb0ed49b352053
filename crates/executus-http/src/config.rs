//! What a client is set to.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;

use crate::address::AddressPolicy;
use crate::client::Client;
use crate::connect::{Connector, Dial};
use crate::resolve::SystemResolver;
use crate::tls::{self, Tls};

const KIB: usize = 1024;
/// What hyper needs to read at all.
const LEAST_HEADER_BYTES: usize = 8 * KIB;
/// More than any server sends, and small enough for the settings of HTTP/2.
const MOST_HEADER_BYTES: usize = 16 * KIB * KIB;

/// An unused connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEPT_PER_HOST: usize = 20;
/// A connection of HTTP/2 that carries a request is asked this often whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a client cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A root certificate cannot be used.
    #[error("root certificate: {message}; pass certificates in PEM form")]
    Certificate {
        /// What is wrong with it.
        message: String,
    },
    /// The name of the user agent is no header value.
    #[error("the user agent has line breaks, control characters or characters that are not ASCII")]
    UserAgent,
    /// The limit for the head of a response is out of range.
    #[error(
        "a head of at most {limit} bytes is not possible; choose {LEAST_HEADER_BYTES} to \
         {MOST_HEADER_BYTES}"
    )]
    HeaderLimit {
        /// The limit that was asked for.
        limit: usize,
    },
}

/// Collects what a [`Client`] is set to.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    connect_timeout: Duration,
    headers_timeout: Duration,
    idle_timeout: Duration,
    user_agent: String,
    max_header_bytes: usize,
    roots: Vec<Vec<u8>>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            headers_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            user_agent: concat!("executus/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_header_bytes: 64 * KIB,
            roots: Vec::new(),
        }
    }
}

impl ClientBuilder {
    /// The longest time to a connection: finding the address, TCP and the handshake of TLS. 10 s
    /// without this.
    #[must_use]
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The longest time from the connection to the head of the response, the sending of the
    /// request included. 60 s without this; a request may have its own.
    #[must_use]
    pub const fn headers_timeout(mut self, limit: Duration) -> Self {
        self.headers_timeout = limit;
        self
    }

    /// The longest time between two chunks of a body. 60 s without this; a request may have its
    /// own.
    #[must_use]
    pub const fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// The `user-agent` of requests that have none; `executus/<version>` without this.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// The most bytes that the head of a response may have, 8 KiB to 16 MiB. 64 KiB without this.
    #[must_use]
    pub const fn max_header_bytes(mut self, limit: usize) -> Self {
        self.max_header_bytes = limit;
        self
    }

    /// Accepts servers whose certificates were signed by one of these too, one or more in PEM
    /// form, beside those that the platform accepts.
    #[must_use]
    pub fn add_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// The client. It connects when the first request is sent.
    ///
    /// # Errors
    /// [`BuildError`] names the setting that is not possible.
    pub fn build(self) -> Result<Client, BuildError> {
        let limit = self.max_header_bytes;
        if !(LEAST_HEADER_BYTES..=MOST_HEADER_BYTES).contains(&limit) {
            return Err(BuildError::HeaderLimit { limit });
        }
        let user_agent =
            HeaderValue::from_str(&self.user_agent).map_err(|_| BuildError::UserAgent)?;
        let tls = Tls::new(tls::read_roots(&self.roots)?);
        let dial = Dial {
            policy: AddressPolicy::default(),
            resolve: Arc::new(SystemResolver::new()),
            transport: None,
        };
        let hyper = legacy::Client::builder(TokioExecutor::new())
            // What is sent twice is for the caller to decide.
            .retry_canceled_requests(false)
            .set_host(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_ALIVE)
            .pool_max_idle_per_host(KEPT_PER_HOST)
            .http1_max_buf_size(limit)
            .http2_max_header_list_size(u32::try_from(limit).unwrap_or(u32::MAX))
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .build(Connector::new(Arc::new(dial), Arc::new(tls), self.connect_timeout));
        Ok(Client {
            hyper,
            user_agent,
            connect_timeout: self.connect_timeout,
            headers_timeout: self.headers_timeout,
            idle_timeout: self.idle_timeout,
            max_header_bytes: limit,
        })
    }
}
