//! What a client is set to.

use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{CircuitStore, OnAlert, Owner, Policy};
use executus_core::Clock;
use http::HeaderValue;
use thiserror::Error;

use crate::address::AddressPolicy;
use crate::client::{Client, Inner};
use crate::connect::{Connector, Dial, Transport};
use crate::pool::{Circuits, Opener, Pool, Settings};
use crate::profile::Profile;
use crate::resolve::{Resolve, SystemResolver};
use crate::retry::Retries;
use crate::tls::{self, Tls};

const KIB: usize = 1024;
/// What hyper needs to read at all.
const LEAST_HEADER_BYTES: usize = 8 * KIB;
/// More than any server sends, and small enough for the settings of HTTP/2.
const MOST_HEADER_BYTES: usize = 16 * KIB * KIB;

/// A connection of HTTP/2 that carries a request is asked this often whether it still lives.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(20);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// More connections than any system has descriptors for.
const MOST_CONNECTIONS: usize = 1_000_000;
/// More base addresses than these are rarely used by one host.
const MOST_ADDRESSES: usize = 1024;

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
    /// A number that means nothing.
    #[error("`{setting}` is {found}; choose {expected}")]
    Number {
        /// Which setting.
        setting: &'static str,
        /// What it was set to.
        found: String,
        /// What it may be.
        expected: &'static str,
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
    profile: Profile,
    pool_timeout: Duration,
    max_addresses: usize,
    retries: Option<Retries>,
    circuits: Option<Circuits>,
    policy: AddressPolicy,
    resolve: Option<Arc<dyn Resolve>>,
    transport: Option<Arc<dyn Transport>>,
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
            profile: Profile::default(),
            pool_timeout: Duration::from_secs(10),
            max_addresses: MOST_ADDRESSES,
            retries: None,
            circuits: None,
            policy: AddressPolicy::default(),
            resolve: None,
            transport: None,
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

    /// How many connections there may be to one base address, and how long a request may take as a
    /// whole: [`Profile::DRIVER`], [`Profile::PEER`]. Without this, the driver's numbers without a
    /// limit for the whole.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The longest time that a request waits for one of the connections that there may be. 10 s
    /// without this.
    #[must_use]
    pub const fn pool_timeout(mut self, limit: Duration) -> Self {
        self.pool_timeout = limit;
        self
    }

    /// For how many base addresses connections are kept. 1024 without this; beyond it, the one
    /// that was used longest ago is forgotten, unless it is in use.
    #[must_use]
    pub const fn max_addresses(mut self, most: usize) -> Self {
        self.max_addresses = most;
        self
    }

    /// Sends again what failed and may be sent again. Without this, nothing is sent twice.
    #[must_use]
    pub const fn retries(mut self, retries: Retries) -> Self {
        self.retries = Some(retries);
        self
    }

    /// With a circuit for each base address, kept in this store. Without this, there is none.
    #[must_use]
    pub fn circuits(mut self, store: Arc<dyn CircuitStore>, policy: Policy) -> Self {
        let owner = Owner::random();
        self.circuits = Some(Circuits { store, policy, owner, on_alert: None });
        self
    }

    /// Who tells an operator that a circuit is dormant. It is called after
    /// [`circuits`](Self::circuits), and does nothing without them.
    #[must_use]
    pub fn on_alert(mut self, on_alert: Arc<dyn OnAlert>) -> Self {
        if let Some(circuits) = &mut self.circuits {
            circuits.on_alert = Some(on_alert);
        }
        self
    }

    /// Where requests may go. [`AddressPolicy::private`] without this.
    #[must_use]
    pub fn address_policy(mut self, policy: AddressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Who finds the addresses of names. The system without this.
    #[must_use]
    pub fn resolver(mut self, resolve: Arc<dyn Resolve>) -> Self {
        self.resolve = Some(resolve);
        self
    }

    /// What connections are made of. TCP without this.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The client. It connects when the first request is sent.
    ///
    /// # Errors
    /// [`BuildError`] names the setting that is not possible.
    pub fn build(self) -> Result<Client, BuildError> {
        self.check()?;
        let limit = self.max_header_bytes;
        if !(LEAST_HEADER_BYTES..=MOST_HEADER_BYTES).contains(&limit) {
            return Err(BuildError::HeaderLimit { limit });
        }
        let user_agent =
            HeaderValue::from_str(&self.user_agent).map_err(|_| BuildError::UserAgent)?;
        let tls = Tls::new(tls::read_roots(&self.roots)?);
        let dial = Dial {
            policy: self.policy,
            resolve: self.resolve.unwrap_or_else(|| Arc::new(SystemResolver::new())),
            transport: self.transport,
        };
        let connector = Connector::new(Arc::new(dial), Arc::new(tls), self.connect_timeout);
        let pool = Pool::new(Settings {
            opener: Opener::new(connector, limit),
            profile: self.profile,
            pool_timeout: self.pool_timeout,
            connect_timeout: self.connect_timeout,
            max_header_bytes: limit,
            max_addresses: self.max_addresses,
            circuits: self.circuits,
            clock: Clock::system(),
        });
        Ok(Client(Arc::new(Inner {
            pool,
            user_agent,
            headers_timeout: self.headers_timeout,
            idle_timeout: self.idle_timeout,
            total_timeout: self.profile.timeout,
            retries: self.retries,
        })))
    }

    /// Numbers that mean something.
    fn check(&self) -> Result<(), BuildError> {
        let of =
            |setting, found: String, expected| Err(BuildError::Number { setting, found, expected });
        let most = self.profile.max_connections;
        if !(1..=MOST_CONNECTIONS).contains(&most) {
            return of("max_connections", most.to_string(), "1 to 1000000");
        }
        if self.max_addresses == 0 {
            return of("max_addresses", "0".to_owned(), "1 or more");
        }
        for (setting, limit) in [
            ("connect_timeout", Some(self.connect_timeout)),
            ("headers_timeout", Some(self.headers_timeout)),
            ("idle_timeout", Some(self.idle_timeout)),
            ("pool_timeout", Some(self.pool_timeout)),
            ("keep_alive", Some(self.profile.keep_alive)),
            ("timeout", self.profile.timeout),
        ] {
            if limit == Some(Duration::ZERO) {
                return of(setting, "0".to_owned(), "a time");
            }
        }
        Ok(())
    }
}
