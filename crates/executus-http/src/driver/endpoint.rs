//! What one operation is in HTTP.

use std::fmt;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_core::template::Template;

use crate::events::Framing;
use crate::method::Method;
use crate::outline::{Field, Outline};

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// As JSON, whatever its media type; an empty body is null. An object with a key twice, and
    /// what is nested more than 128 deep, is no JSON here.
    #[default]
    Json,
    /// As text, broken UTF-8 replaced, and never parsed.
    Text,
    /// As `{"bytes": …, "content_type": …, "base64": …}`.
    Bytes,
}

/// What the pieces of a body that streams are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pieces {
    /// Texts, as they come, whatever the format; no character is in two of them.
    Text,
    /// Its lines, or its server-sent events.
    Events {
        /// Which of both.
        framing: Framing,
        /// What the last one says. A stream that ends without it was cut; what follows it is not
        /// read.
        last: Option<String>,
    },
}

impl Pieces {
    /// The lines of the body that are not blank.
    #[must_use]
    pub const fn lines() -> Self {
        Self::Events { framing: Framing::Lines, last: None }
    }

    /// The data of server-sent events.
    #[must_use]
    pub const fn events() -> Self {
        Self::Events { framing: Framing::Sse, last: None }
    }

    /// With an event that says that the stream is whole, such as `[DONE]`.
    #[must_use]
    pub fn until(self, last: impl Into<String>) -> Self {
        match self {
            Self::Text => Self::Text,
            Self::Events { framing, .. } => Self::Events { framing, last: Some(last.into()) },
        }
    }
}

/// One operation: a request with places for its arguments, and how the answer is read.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) outline: Outline,
    pub(super) format: Format,
    pub(super) pieces: Option<Pieces>,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: u32,
    pub(super) max_body: Option<usize>,
}

impl Endpoint {
    /// A request of this method to this URL. What the driver is bound to may stand anywhere in it,
    /// arguments only behind the server.
    #[must_use]
    pub const fn new(method: Method, url: Template) -> Self {
        Self {
            outline: Outline::new(method, url),
            format: Format::Json,
            pieces: None,
            timeout: None,
            redirects: 0,
            max_body: None,
        }
    }

    /// A header field, instead of the driver's of the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Template) -> Self {
        self.outline.headers.push((name.into(), Field::Open(value)));
        self
    }

    /// A header field with a value that is never shown.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.outline.headers.push((name.into(), Field::Secret(value)));
        self
    }

    /// How the body is read, or each of its pieces. [`Format::Json`] without this.
    #[must_use]
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The body comes in pieces, each of them read on its own. What asks for the whole gets one
    /// text, or a list of the events.
    #[must_use]
    pub fn streamed(mut self, pieces: Pieces) -> Self {
        self.pieces = Some(pieces);
        self
    }

    /// The longest time that the request may take, instead of the driver's. Of one that streams:
    /// the longest time to the head of the response, and to each piece.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Follows at most so many redirects. Without this, a redirect is a failed attempt.
    #[must_use]
    pub const fn follow_redirects(mut self, most: u32) -> Self {
        self.redirects = most;
        self
    }

    /// The most bytes of a body, decoded, instead of the driver's.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Whether an argument of this name has a place.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.outline.places().any(|place| place == name)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("request", &self.outline)
            .field("format", &self.format)
            .field("pieces", &self.pieces)
            .finish_non_exhaustive()
    }
}
