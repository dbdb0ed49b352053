//! What comes over the wire, as decoders read it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// A body as it comes over the wire.
pub(crate) type Wire = crate::pool::Body;

/// One chunk of the wire after the other, without lookahead.
pub(crate) struct Source {
    wire: Wire,
    chunk: Bytes,
}

impl Source {
    pub(crate) const fn new(wire: Wire) -> Self {
        Self { wire, chunk: Bytes::new() }
    }
}

/// The next bytes of a body, never empty; `None` at its end.
pub(crate) fn poll_chunk(
    wire: &mut Wire,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, hyper::Error>>> {
    loop {
        // Fields behind the body and empty chunks are not what the caller waits for.
        match ready!(Pin::new(&mut *wire).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                Ok(_) | Err(_) => {}
            },
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        }
    }
}

impl AsyncBufRead for Source {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.chunk.is_empty() {
            match ready!(poll_chunk(&mut this.wire, context)) {
                Some(Ok(bytes)) => this.chunk = bytes,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {}
            }
        }
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().chunk.advance(amount);
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.as_mut().poll_fill_buf(context))?;
        let amount = bytes.len().min(into.remaining());
        into.put_slice(&bytes[..amount]);
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}
