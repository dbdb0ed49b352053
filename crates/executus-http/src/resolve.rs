//! Which addresses a host's name has.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::Semaphore;

/// Which addresses a host's name has.
///
/// It is asked once for each new connection to a name; never for an IP address, and never for
/// `localhost`, which is this machine. It may be asked many times at once.
///
/// - R1: what it answers is judged by the [`AddressPolicy`](crate::AddressPolicy) of the client and
///   then connected to; nobody asks again in between.
/// - R2: it MAY answer from what it keeps. It MUST NOT answer with the addresses of another name.
///
/// The future is dropped when the limit for a connection has passed, or when the request is given
/// up. A panic is the panic of the request.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The addresses of the name, the ones to be tried first in front.
    ///
    /// # Errors
    /// [`ResolveError`]; the request fails as one that found no address, and may be repeated.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// A name whose addresses cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ResolveError {
    message: String,
}

impl ResolveError {
    /// An error with this message, without the name.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// So many look-ups at once; each holds a thread.
const AT_ONCE: usize = 32;

/// The system's name service.
///
/// A look-up holds a thread until the system answers, also when nobody waits for it any more, so
/// there are 32 of them at most at once; further ones wait for a place.
#[derive(Clone)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl SystemResolver {
    /// The system's name service, with places of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemResolver").finish_non_exhaustive()
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let gone = |_| ResolveError::new("the name service is gone");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(gone)?;
        let name = name.to_owned();
        let looking_up = tokio::task::spawn_blocking(move || {
            // The place is free when the thread is, and not when nobody waits any more.
            let _place = place;
            (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|to| to.ip()).collect())
        });
        let found: io::Result<Vec<IpAddr>> =
            looking_up.await.map_err(|_| ResolveError::new("the look-up broke off"))?;
        found.map_err(|error| ResolveError::new(error.to_string()))
    }
}

/// The addresses of a name that needs no look-up: names of this machine are nobody else's.
pub(crate) fn known(name: &str) -> Option<Vec<IpAddr>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
        .then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}
