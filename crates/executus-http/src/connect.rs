//! Making a connection, within its time.

mod dial;
mod link;

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio_rustls::TlsConnector;

pub(crate) use self::dial::Dial;
pub(crate) use self::link::Channel;
pub use self::link::{ByteStream, Transport};
use crate::address::{Host, Refused};
use crate::error::ConnectFailure;
use crate::failure::find;
use crate::tls::Tls;
use crate::url;

/// Connects to `http` and `https` addresses.
///
/// The limit is here, around name, TCP and TLS together, and not only around the request: a
/// connection may be made for a request that another one serves in the meantime, and nothing else
/// would end one whose handshake is never answered.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    dial: Arc<Dial>,
    tls: Arc<Tls>,
    limit: Duration,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum NoConnection {
    #[error("no connection in time")]
    TimedOut,
    #[error("requests may not go to {}", .0.ip)]
    Address(Refused),
    #[error("{0}")]
    Tls(String),
    #[error("{message}")]
    Failed { failure: ConnectFailure, message: String },
}

/// What hyper reads and writes.
pub(crate) type Stream = TokioIo<Channel>;

impl Connector {
    /// Connects as `dial` says, within the limit.
    pub(crate) const fn new(dial: Arc<Dial>, tls: Arc<Tls>, limit: Duration) -> Self {
        Self { dial, tls, limit }
    }

    /// A connection to the host and port of this address. When the future is dropped, nothing of
    /// it stays open.
    pub(crate) async fn connect(&self, to: &Uri) -> Result<Stream, NoConnection> {
        let channel = tokio::time::timeout(self.limit, self.channel(to)).await;
        channel.unwrap_or(Err(NoConnection::TimedOut)).map(TokioIo::new)
    }

    async fn channel(&self, to: &Uri) -> Result<Channel, NoConnection> {
        let is_secure = to.scheme() == Some(&Scheme::HTTPS);
        let port = url::port(to);
        let host = Host::read(to.host().unwrap_or_default()).map_err(|what| {
            let message = format!("the URL {what}");
            NoConnection::Failed { failure: ConnectFailure::Other, message }
        })?;
        let ips = self.dial.find(host).await?;
        if !is_secure {
            return self.dial.race(&ips, port).await.map(Channel::Plain);
        }
        // What makes TLS impossible is known before anything is sent.
        let config = self.tls.config().map_err(NoConnection::Tls)?;
        let name = name_of(host)?;
        let link = self.dial.race(&ips, port).await?;
        match TlsConnector::from(config).connect(name, link).await {
            Ok(stream) => Ok(Channel::Secure(Box::new(stream))),
            Err(error) => Err(match find::<rustls::Error>(&error) {
                Some(tls) => NoConnection::Tls(tls.to_string()),
                None => dial::told(&error),
            }),
        }
    }
}

/// What the certificate must be for.
fn name_of(host: Host<'_>) -> Result<ServerName<'static>, NoConnection> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(ip)),
        Host::Name(name) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name))
            .map(|name| name.to_owned())
            .map_err(|_| NoConnection::Tls("no certificate can be for such a name".to_owned())),
    }
}
