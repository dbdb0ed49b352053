//! The stream of bytes under a connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Makes streams of bytes to addresses: TCP without one; a simulated network in tests.
///
/// It is called for an address that the [`AddressPolicy`](crate::AddressPolicy) of the client has
/// allowed, and for several addresses of a host at once.
///
/// - T1: the stream leads to this address and to no other.
/// - T2: dropping the future, or the stream, closes what was opened.
///
/// The future is dropped when the limit for a connection has passed, or when another address was
/// faster. A panic is a failed connection.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// A stream to this address.
    ///
    /// # Errors
    /// As of a socket; the kind says what [`ConnectFailure`](crate::ConnectFailure) it is.
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn ByteStream>>;
}

/// Anything that is read and written as a stream of bytes.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A stream without TLS. The usual one costs no box.
pub(crate) enum Link {
    Tcp(TcpStream),
    Other(Box<dyn ByteStream>),
}

/// A stream to a server, with TLS or without.
pub(crate) enum Channel {
    Plain(Link),
    Secure(Box<TlsStream<Link>>),
}

impl Channel {
    /// Whether both sides have agreed on HTTP/2.
    pub(crate) fn is_h2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

/// Hands everything on to the one stream that is there.
macro_rules! hand_on {
    ($kind:ident: $($variant:ident),+) => {
        impl AsyncRead for $kind {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_read(context, buffer),)+
                }
            }
        }

        impl AsyncWrite for $kind {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_write(context, bytes),)+
                }
            }

            fn poll_flush(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_flush(context),)+
                }
            }

            fn poll_shutdown(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_shutdown(context),)+
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => {
                        Pin::new(stream).poll_write_vectored(context, pieces)
                    })+
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $(Self::$variant(stream) => stream.is_write_vectored(),)+
                }
            }
        }
    };
}

hand_on!(Link: Tcp, Other);
hand_on!(Channel: Plain, Secure);
