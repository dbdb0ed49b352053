//! One connection: how it is made, and how a request goes on it.

use std::sync::Arc;

use http::Uri;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::Whole;
use crate::connect::{Connector, NoConnection};
use crate::pool::tasks::Open;

type Sent = Result<http::Response<Incoming>, TrySendError<http::Request<Whole>>>;

/// Makes connections.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub(crate) connector: Connector,
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unopened {
    #[error("no connection")]
    Connect(#[source] NoConnection),
    #[error("no agreement on HTTP")]
    Handshake(#[source] hyper::Error),
}

impl Opener {
    pub(crate) fn new(connector: Connector, max_header_bytes: usize) -> Self {
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(max_header_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(max_header_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(crate::config::PING_INTERVAL)
            .keep_alive_timeout(crate::config::PING_TIMEOUT);
        Self { connector, http1, http2 }
    }

    /// A new connection. It is closed when its sender is dropped, what is on it included.
    ///
    /// **Cancellation**: no connection is left behind.
    pub(crate) async fn open(&self, to: &Uri, open: Open) -> Result<Sender, Unopened> {
        let stream = self.connector.connect(to).await.map_err(Unopened::Connect)?;
        if stream.inner().is_h2() {
            let (sender, connection) =
                self.http2.handshake(stream).await.map_err(Unopened::Handshake)?;
            spawn(open, connection);
            return Ok(Sender::Http2(sender));
        }
        let (sender, connection) =
            self.http1.handshake(stream).await.map_err(Unopened::Handshake)?;
        spawn(open, connection);
        Ok(Sender::Http1(sender))
    }
}

/// The task that reads and writes. It ends with the connection.
fn spawn(open: Open, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    TokioExecutor::new().execute(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "connection");
        }
        drop(open);
    });
}

/// The sending end of a connection.
#[derive(Debug)]
pub(crate) enum Sender {
    /// For one request at a time.
    Http1(http1::SendRequest<Whole>),
    /// For many.
    Http2(http2::SendRequest<Whole>),
}

impl Sender {
    pub(crate) async fn send(&mut self, request: http::Request<Whole>) -> Sent {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

/// A shared connection of HTTP/2, and who uses it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) sender: http2::SendRequest<Whole>,
    /// One more than there are exchanges on it.
    pub(crate) users: Arc<()>,
}

impl Shared {
    pub(crate) fn new(sender: http2::SendRequest<Whole>) -> Self {
        Self { sender, users: Arc::new(()) }
    }

    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.users) == 1
    }
}
