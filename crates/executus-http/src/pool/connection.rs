//! One connection: how it is made, and how a request goes on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::Uri;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::body::Whole;
use crate::connect::{Connector, NoConnection};
use crate::pool::seat::Place;
use crate::pool::tasks::Open;

/// The most that is read at a time, and so the most of a head before anybody looks at it: long
/// bodies are slow in small pieces. What hyper has by itself.
const READ_BYTES: usize = 408 * 1024;
/// How long a connection that nobody wants may take to close.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

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
        http1.max_buf_size(READ_BYTES.max(max_header_bytes));
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
    pub(crate) async fn open(&self, to: &Uri, open: Open) -> Result<(Sender, Life), Unopened> {
        let stream = self.connector.connect(to).await.map_err(Unopened::Connect)?;
        let (life, left) = oneshot::channel();
        if stream.inner().is_h2() {
            let (sender, connection) =
                self.http2.handshake(stream).await.map_err(Unopened::Handshake)?;
            spawn(open, left, connection);
            return Ok((Sender::Http2(sender), Life::Own(life)));
        }
        let (sender, connection) =
            self.http1.handshake(stream).await.map_err(Unopened::Handshake)?;
        spawn(open, left, connection);
        Ok((Sender::Http1(sender), Life::Own(life)))
    }
}

/// The task that reads and writes. It ends with the connection, and soon after nobody wants it any
/// more: a server that does not take what is written must not keep it open.
fn spawn(
    open: Open,
    left: oneshot::Receiver<Place>,
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
) {
    let mut connection = Box::pin(connection);
    TokioExecutor::new().execute(async move {
        let place = match select(connection.as_mut(), left).await {
            Either::Left((ended, left)) => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "connection");
                }
                drop(connection);
                // A place that was left in this very moment is given back now.
                drop(left);
                None
            }
            Either::Right((place, _)) => {
                let _ended = timeout(CLOSED_WITHIN, connection).await;
                place.ok()
            }
        };
        drop(open);
        drop(place);
    });
}

/// Held by those who want a connection: it is closed when this is dropped.
#[derive(Debug)]
pub(crate) enum Life {
    /// By one.
    Own(oneshot::Sender<Place>),
    /// By all whose requests are on it.
    Shared(Arc<oneshot::Sender<Place>>),
}

impl Life {
    /// Ends it. Its place is free when the connection is closed, so that there are never more than
    /// there may be.
    pub(crate) fn leave(self, place: Place) {
        if let Self::Own(task) = self {
            // One that is closed already gives it back.
            let _closed = task.send(place);
        }
    }
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

/// A connection of HTTP/2 that is shared.
#[derive(Debug)]
pub(crate) struct Shared {
    sender: http2::SendRequest<Whole>,
    life: Arc<oneshot::Sender<Place>>,
}

impl Shared {
    /// Shares a connection that was just made.
    pub(crate) fn new(sender: http2::SendRequest<Whole>, life: Life) -> Self {
        let life = match life {
            Life::Own(life) => Arc::new(life),
            Life::Shared(life) => life,
        };
        Self { sender, life }
    }

    pub(crate) fn sender(&self) -> (Sender, Life) {
        (Sender::Http2(self.sender.clone()), Life::Shared(Arc::clone(&self.life)))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether no request is on it.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.life) == 1
    }
}
