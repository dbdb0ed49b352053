//! From a host and a port to a stream: which addresses it has, whether they are allowed, and which
//! of them answers first.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use executus_core::isolate::isolate;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::NoConnection;
use super::link::{Link, Transport};
use crate::address::{AddressPolicy, Host};
use crate::error::ConnectFailure;
use crate::resolve::{self, Resolve};

/// An address that has not answered by then gets company by the next one.
const HEAD_START: Duration = Duration::from_millis(250);
/// More addresses of a host than these are judged, and not tried.
const TRIED: usize = 16;

/// How a client reaches addresses. Shared by all its connectors.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) policy: AddressPolicy,
    pub(crate) resolve: Arc<dyn Resolve>,
    /// TCP without one.
    pub(crate) transport: Option<Arc<dyn Transport>>,
}

impl Dial {
    /// The host's addresses that are to be tried, in this order. All it has are allowed.
    pub(super) async fn find(&self, host: Host<'_>) -> Result<Vec<IpAddr>, NoConnection> {
        let ips = match host {
            Host::Ip(ip) => vec![ip],
            Host::Name(name) => self.look_up(name).await?,
        };
        self.policy.judge(ips.iter().copied()).map_err(NoConnection::Address)?;
        // A mapped address needs no system that speaks IPv6.
        Ok(in_turn(ips.iter().map(IpAddr::to_canonical).collect()))
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, NoConnection> {
        if let Some(known) = resolve::known(name) {
            return Ok(known);
        }
        let refused = |message| NoConnection::Failed { failure: ConnectFailure::Name, message };
        let found = isolate(|| self.resolve.resolve(name)).await;
        let found = found.map_err(|panicked| refused(format!("the look-up {panicked}")))?;
        let found = found.map_err(|error| refused(error.to_string()))?;
        if found.is_empty() {
            return Err(refused("the name has no address".to_owned()));
        }
        Ok(found)
    }

    /// A stream to the first that answers. Each has a head start before the next, and no longer than it takes
    /// to fail.
    pub(super) async fn race(&self, ips: &[IpAddr], port: u16) -> Result<Link, NoConnection> {
        let mut waiting = ips.iter().map(|ip| SocketAddr::new(*ip, port));
        let mut running = FuturesUnordered::new();
        let mut failed: Option<io::Error> = None;
        loop {
            let next = waiting.next();
            let has_more = next.is_some();
            running.extend(next.map(|to| self.open(to)));
            // Without another one to start, this waits for those that run.
            let outcome = if has_more {
                match select(running.next(), Box::pin(sleep(HEAD_START))).await {
                    Either::Left((outcome, _)) => outcome,
                    Either::Right(_) => continue,
                }
            } else {
                running.next().await
            };
            match outcome {
                Some(Ok(link)) => return Ok(link),
                Some(Err(error)) => {
                    if failed.as_ref().is_none_or(|first| weight(first) < weight(&error)) {
                        failed = Some(error);
                    }
                }
                None => return Err(failed.map_or(NoConnection::TimedOut, |error| told(&error))),
            }
        }
    }

    async fn open(&self, to: SocketAddr) -> io::Result<Link> {
        if let Some(transport) = &self.transport {
            let opened = isolate(|| transport.connect(to)).await;
            let panicked = |panicked| io::Error::other(format!("the transport {panicked}"));
            return opened.map_err(panicked)?.map(Link::Other);
        }
        let stream = TcpStream::connect(to).await?;
        // A request is written whole: waiting for more only delays it.
        stream.set_nodelay(true)?;
        Ok(Link::Tcp(stream))
    }
}

/// The families by turns, each in its order: if one of both leads nowhere, the other is tried next.
fn in_turn(ips: Vec<IpAddr>) -> Vec<IpAddr> {
    let Some(first) = ips.first().map(IpAddr::is_ipv6) else { return ips };
    let (mut one, mut other): (Vec<_>, Vec<_>) =
        ips.into_iter().partition(|ip| ip.is_ipv6() == first);
    let (mut one, mut other) = (one.drain(..), other.drain(..));
    let mut turns = Vec::new();
    while turns.len() < TRIED {
        let before = turns.len();
        turns.extend(one.next());
        turns.extend(other.next());
        if turns.len() == before {
            break;
        }
    }
    turns.truncate(TRIED);
    turns
}

/// Of several failures, the one that says most about the server.
fn weight(error: &io::Error) -> u8 {
    match kind(error) {
        Some(ConnectFailure::Refused | ConnectFailure::Closed) => 3,
        None => 2,
        Some(ConnectFailure::Other) => 1,
        Some(_) => 0,
    }
}

/// What the failure of a socket means; `None` when it was too slow.
pub(super) fn kind(error: &io::Error) -> Option<ConnectFailure> {
    Some(match error.kind() {
        io::ErrorKind::TimedOut => return None,
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ConnectFailure::Unreachable
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => ConnectFailure::Closed,
        _ => ConnectFailure::Other,
    })
}

pub(super) fn told(error: &io::Error) -> NoConnection {
    match kind(error) {
        Some(failure) => NoConnection::Failed { failure, message: error.to_string() },
        None => NoConnection::TimedOut,
    }
}

#[cfg(test)]
mod tests;
