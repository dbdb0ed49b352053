//! The body of a response, with the connection that it comes on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::error::{DropKind, HttpError};
use crate::pool::connection::Sender;
use crate::pool::host::Host;
use crate::pool::seat::Seat;

/// The body of a response. At its end the connection goes back to the pool; one that is dropped
/// before takes its connection with it.
#[derive(Debug)]
pub(crate) struct Body {
    incoming: Incoming,
    /// Until the end of the body.
    lease: Option<Lease>,
}

/// What an exchange has until it is over. One that is dropped closes its connection.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) sender: Sender,
    pub(super) seat: Seat,
    /// The pool that the connection belongs to.
    pub(super) generation: Option<u64>,
}

impl Body {
    pub(super) fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut body = Self { incoming, lease: Some(lease) };
        if http_body::Body::is_end_stream(&body.incoming) {
            body.finish();
        }
        body
    }

    /// Who knows what it means that nothing more comes; `None` when all is there.
    pub(crate) fn watch(&self) -> Option<Watch> {
        self.lease.as_ref().map(|lease| Watch(Arc::clone(lease.seat.host())))
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            Host::give_back(lease);
        }
    }
}

/// Knows what happened at a base address meanwhile.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Host>);

impl Watch {
    /// A limit in time has passed in the middle of a body: inside the window of grace it is told
    /// as a drop.
    pub(crate) fn late(&self, error: HttpError) -> HttpError {
        match error {
            HttpError::Timeout { address, .. } if self.0.is_in_grace(Instant::now()) => {
                let kind = DropKind::Wake;
                HttpError::Dropped { kind, before_head: false, sent: true, address }
            }
            error => error,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        match &frame {
            Some(Ok(_)) if !self.incoming.is_end_stream() => {}
            Some(Ok(_)) | None => self.finish(),
            Some(Err(_)) => {
                if let Some(lease) = self.lease.take() {
                    lease.seat.host().body_dropped(lease.generation);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
