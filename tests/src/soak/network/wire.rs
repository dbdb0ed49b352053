//! The simulated network as the client sees it, and how many connections it has there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use executus_http::{ByteStream, Resolve, ResolveError, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

/// Connections and names of the simulation.
#[derive(Debug, Default)]
pub(super) struct Simulated {
    open: Arc<AtomicUsize>,
}

impl Simulated {
    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Transport for Simulated {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn ByteStream>> {
        let stream = TcpStream::connect(to).await?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Counted { stream, open: Arc::clone(&self.open) }))
    }
}

#[async_trait]
impl Resolve for Simulated {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(vec![turmoil::lookup(name)])
    }
}

/// A connection that counts as open until it is dropped.
struct Counted {
    stream: TcpStream,
    open: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
