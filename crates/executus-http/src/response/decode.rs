//! Undoing the compression of a body while it comes.
//!
//! Nothing is decoded before it is asked for, and a piece at a time, so that a body that unfolds
//! into gigabytes costs no more than whoever reads it takes. What a decoder looks back into is bounded
//! as well: gzip and deflate have 32 KiB, and of brotli and zstd more than 4 MiB are refused.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use source::{Source, Wire};

pub(crate) mod source;

/// What the client says that it can undo.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";

/// The most that is decoded at once, in bytes.
const PIECE: usize = 32 * 1024;
/// How far zstd may look back: 2 to the power of this.
const ZSTD_WINDOW: u32 = 22;
/// How far brotli may look back, likewise.
const BROTLI_WINDOW: u8 = 22;

/// What is said of a body that is not whole.
const CUT: &str = "it ends before its end";

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// A body that cannot be decoded.
#[derive(Debug)]
pub(crate) enum Undecoded {
    /// It did not come.
    Wire(hyper::Error),
    /// It is not what it is said to be.
    Broken(String),
}

impl Coding {
    /// How a body with these header fields is encoded; `Err` has what the server says when it
    /// cannot be undone.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, String> {
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let said = String::from_utf8_lossy(value.as_bytes());
            let names = said.split(',').map(|name| name.trim().to_ascii_lowercase());
            codings.extend(names.filter(|name| !name.is_empty() && name != "identity"));
        }
        // One in another is how a small body becomes a very large one; nobody else does it.
        match codings.as_slice() {
            [] => Ok(None),
            [one] => Self::named(one).map(Some).ok_or_else(|| one.clone()),
            several => Err(several.join(", ")),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// A body that is decoded as it is read.
pub(crate) struct Decoded {
    state: State,
    piece: Box<[u8]>,
}

enum State {
    /// Nothing has come yet.
    Fresh(Coding, Source),
    Gzip(GzipDecoder<Source>),
    Deflate(ZlibDecoder<Source>),
    Brotli(BrotliDecoder<Source>),
    Zstd(ZstdDecoder<Source>),
    Done,
}

impl Decoded {
    pub(crate) fn new(coding: Coding, wire: Wire) -> Self {
        Self { state: State::Fresh(coding, Source::new(wire)), piece: vec![0; PIECE].into() }
    }

    /// The next piece, never empty; `None` at the end.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Undecoded>>> {
        // What is decoded out of what is there already must leave others their turn.
        let budget = ready!(tokio::task::coop::poll_proceed(context));
        let piece = ready!(self.poll_decode(context));
        budget.made_progress();
        if !matches!(piece, Ok(Some(_))) {
            self.state = State::Done;
        }
        Poll::Ready(piece.map_err(Undecoded::from).transpose())
    }

    fn poll_decode(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if let State::Fresh(_, source) = &mut self.state {
            let first = ready!(Pin::new(source).poll_fill_buf(context))?.first().copied();
            let fresh = std::mem::replace(&mut self.state, State::Done);
            // An empty body is empty, whatever it is said to be.
            if let (Some(first), State::Fresh(coding, source)) = (first, fresh) {
                self.state = State::begun(coding, source, first)?;
            }
        }
        let mut read = ReadBuf::new(&mut self.piece);
        let decoder: &mut (dyn AsyncRead + Unpin + Send) = match &mut self.state {
            State::Gzip(decoder) => decoder,
            State::Deflate(decoder) => decoder,
            State::Brotli(decoder) => decoder,
            State::Zstd(decoder) => decoder,
            State::Fresh(..) | State::Done => return Poll::Ready(Ok(None)),
        };
        ready!(Pin::new(decoder).poll_read(context, &mut read))?;
        if !read.filled().is_empty() {
            return Poll::Ready(Ok(Some(Bytes::copy_from_slice(read.filled()))));
        }
        if !ready!(self.poll_rest(context))?.is_empty() {
            return Poll::Ready(Err(broken("it has data after its end")));
        }
        Poll::Ready(Ok(None))
    }

    /// What is left when the decoder has finished.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let source = match &mut self.state {
            State::Gzip(decoder) => decoder.get_mut(),
            State::Deflate(decoder) => decoder.get_mut(),
            State::Brotli(decoder) => decoder.get_mut(),
            State::Zstd(decoder) => decoder.get_mut(),
            State::Fresh(_, source) => source,
            State::Done => return Poll::Ready(Ok(&[])),
        };
        Pin::new(source).poll_fill_buf(context)
    }
}

impl State {
    fn begun(coding: Coding, source: Source, first: u8) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(source);
                decoder.multiple_members(true);
                Self::Gzip(decoder)
            }
            Coding::Deflate => Self::Deflate(ZlibDecoder::new(source)),
            Coding::Brotli => {
                if brotli_window(first).is_none_or(|bits| bits > BROTLI_WINDOW) {
                    return Err(broken("it looks back further than 4 MiB"));
                }
                Self::Brotli(BrotliDecoder::new(source))
            }
            Coding::Zstd => {
                let window = [DParameter::window_log_max(ZSTD_WINDOW)];
                let mut decoder = ZstdDecoder::with_params(source, &window);
                decoder.multiple_members(true);
                Self::Zstd(decoder)
            }
        })
    }
}

/// How far a stream of brotli looks back, as it says in its first byte: RFC 7932, 9.1. The one
/// without a meaning there stands for a format of up to 1 GiB.
const fn brotli_window(first: u8) -> Option<u8> {
    if first & 1 == 0 {
        return Some(16);
    }
    match (first >> 1 & 7, first >> 4 & 7) {
        (0, 0) => Some(17),
        (0, 1) => None,
        (0, small) => Some(8 + small),
        (large, _) => Some(17 + large),
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl From<io::Error> for Undecoded {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Broken(CUT.to_owned());
        }
        match error.downcast::<hyper::Error>() {
            Ok(wire) => Self::Wire(wire),
            Err(error) => {
                let message = error.to_string();
                // What the decoder of deflate says of the same.
                let is_cut = message == "unexpected BufError";
                Self::Broken(if is_cut { CUT.to_owned() } else { message })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_known_coding_is_undone() {
        for (fields, expected) in [
            (&[][..], Ok(None)),
            (&["identity"], Ok(None)),
            (&["gzip"], Ok(Some(Coding::Gzip))),
            (&["X-GZip"], Ok(Some(Coding::Gzip))),
            (&[" br , identity"], Ok(Some(Coding::Brotli))),
            (&["identity", "zstd"], Ok(Some(Coding::Zstd))),
            (&["deflate"], Ok(Some(Coding::Deflate))),
            (&["gzip, gzip"], Err("gzip, gzip".to_owned())),
            (&["gzip", "br"], Err("gzip, br".to_owned())),
            (&["compress"], Err("compress".to_owned())),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(field));
            }
            assert_eq!(Coding::of(&headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn windows_of_brotli_are_read() {
        for (first, bits) in
            [(0b0000, 16), (0b0001, 17), (0b0011, 18), (0b1011, 22), (0b1111, 24), (0b10_0001, 10)]
        {
            assert_eq!(brotli_window(first), Some(bits), "{first:b}");
        }
        assert_eq!(brotli_window(0b1_0001), None);
        assert_eq!(brotli_window(0b1001_0001), None);
    }
}
