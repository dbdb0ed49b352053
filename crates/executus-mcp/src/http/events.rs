//! The events of a body, none larger than a message may be.

use executus_http::{HttpError, Response};
use futures_util::stream::{self, StreamExt};
use sse_stream::SseStream;
use thiserror::Error;

use super::Events;
use crate::fault::{Fault, Why};

#[derive(Debug, Error)]
enum Broken {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("an event has more than {0} bytes")]
    TooLarge(usize),
}

/// The events of a response.
pub(super) fn of(response: Response, limit: usize, fault: Fault) -> Events {
    let size = Size { limit, bytes: 0, at_line_start: false };
    let chunks = stream::unfold(Some((response, size)), move |state| {
        let fault = fault.clone();
        async move {
            let (mut response, mut size) = state?;
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    if !size.fits(&chunk) {
                        fault.set(Why::TooLarge(limit));
                        return Some((Err(Broken::TooLarge(limit)), None));
                    }
                    Some((Ok(chunk), Some((response, size))))
                }
                Ok(None) => None,
                Err(error) => Some((Err(error.into()), None)),
            }
        }
    });
    SseStream::from_bytes_stream(Box::pin(chunks)).boxed()
}

/// Counts the bytes since the last empty line, which is what an event ends with.
struct Size {
    limit: usize,
    bytes: usize,
    at_line_start: bool,
}

impl Size {
    fn fits(&mut self, chunk: &[u8]) -> bool {
        for &byte in chunk {
            match byte {
                b'\n' if self.at_line_start => self.bytes = 0,
                b'\n' => self.at_line_start = true,
                b'\r' => {}
                _ => self.at_line_start = false,
            }
            self.bytes += 1;
            if self.bytes > self.limit {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str, limit: usize) -> bool {
        Size { limit, bytes: 0, at_line_start: false }.fits(text.as_bytes())
    }

    #[test]
    fn an_event_ends_with_an_empty_line() {
        for (text, limit, expected) in [
            ("data: abc\n\ndata: abc\n\n", 12, true),
            ("data: abc\r\n\r\ndata: abc\r\n\r\n", 15, true),
            ("data: abc\ndata: abc\n\n", 12, false),
            ("data: abcdef", 11, false),
        ] {
            assert_eq!(fits(text, limit), expected, "{text:?}");
        }
    }
}
