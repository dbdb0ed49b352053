//! Making a connection, within its time.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::error::ConnectFailure;
use crate::failure::find;
use crate::tls::Tls;

/// Connects to `http` and `https` addresses.
///
/// The limit is here, around name, TCP and TLS together, and not only around the request: hyper
/// goes on with a connection that its request no longer needs, and nothing else would end one
/// whose handshake is never answered.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    http: HttpConnector,
    tls: Arc<Tls>,
    limit: Duration,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum NoConnection {
    #[error("no connection in time")]
    TimedOut,
    #[error("{0}")]
    Tls(String),
    #[error("{message}")]
    Failed { failure: ConnectFailure, message: String },
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Connector {
    pub(crate) fn new(tls: Tls, limit: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        // Of several addresses of a host, one that does not answer leaves time for the next.
        http.set_connect_timeout(Some(limit));
        Self { http, tls: Arc::new(tls), limit }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = NoConnection;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, NoConnection>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NoConnection>> {
        self.http.poll_ready(context).map_err(|error| told(&error))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.http.call(uri);
            return Box::pin(within(limit, async move {
                connecting.await.map(MaybeHttpsStream::Http).map_err(|error| told(&error))
            }));
        }
        let (http, tls) = (self.http.clone(), Arc::clone(&self.tls));
        Box::pin(within(limit, async move {
            let config = tls.config().map_err(NoConnection::Tls)?;
            let connecting = HttpsConnector::from((http, config)).call(uri);
            connecting.await.map_err(|error| told(&*error))
        }))
    }
}

async fn within(
    limit: Duration,
    connecting: impl Future<Output = Result<Stream, NoConnection>>,
) -> Result<Stream, NoConnection> {
    tokio::time::timeout(limit, connecting).await.unwrap_or(Err(NoConnection::TimedOut))
}

fn told(error: &(dyn Error + 'static)) -> NoConnection {
    if let Some(tls) = find::<rustls::Error>(error) {
        return NoConnection::Tls(tls.to_string());
    }
    let io = find::<io::Error>(error);
    let failure = match io.map(io::Error::kind) {
        // The connector's own word; there is no type to ask for.
        _ if error.to_string().starts_with("dns error") => ConnectFailure::Name,
        Some(io::ErrorKind::TimedOut) => return NoConnection::TimedOut,
        Some(io::ErrorKind::ConnectionRefused) => ConnectFailure::Refused,
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            ConnectFailure::Unreachable
        }
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => ConnectFailure::Closed,
        _ => ConnectFailure::Other,
    };
    NoConnection::Failed { failure, message: io.map_or(error.to_string(), io::Error::to_string) }
}
