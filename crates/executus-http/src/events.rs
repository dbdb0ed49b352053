//! Splitting a stream into events, within bounds: server-sent events, and lines.
//!
//! ```
//! use executus_http::events::{Events, Framing, TooLong};
//!
//! let mut events = Events::new(Framing::Sse, 1024);
//! let mut read = Vec::new();
//! let mut each = |data: &str| -> Result<(), TooLong> {
//!     read.push(data.to_owned());
//!     Ok(())
//! };
//! events.push(b": hello\n\ndata: on", &mut each)?;
//! events.push(b"e\ndata: event\n\nda", &mut each)?;
//! events.finish(&mut each)?;
//! assert_eq!(read, ["one\nevent"]);
//! # Ok::<(), TooLong>(())
//! ```

use thiserror::Error;

/// How a stream is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// Server-sent events: the data of each is one event.
    Sse,
    /// Each line that is not blank is one event.
    Lines,
}

/// A line, or the data of one event, is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a line or an event of the stream has more than {limit} bytes")]
pub struct TooLong {
    /// How long it may be, in bytes.
    pub limit: usize,
}

/// Splits bytes into lines and lines into events.
///
/// Each byte is looked at once, however the stream is cut. Lines end with LF, CR LF or CR.
/// Broken UTF-8 is replaced. It holds one line and one event, each of at most so many bytes.
#[derive(Debug)]
pub struct Events {
    framing: Framing,
    limit: usize,
    line: Vec<u8>,
    after_return: bool,
    data: String,
    has_data: bool,
}

impl Events {
    /// At the beginning of a stream whose lines and events have at most so many bytes.
    #[must_use]
    pub const fn new(framing: Framing, limit: usize) -> Self {
        Self {
            framing,
            limit,
            line: Vec::new(),
            after_return: false,
            data: String::new(),
            has_data: false,
        }
    }

    /// Takes in bytes and gives the data of each event that is complete.
    ///
    /// # Errors
    /// [`TooLong`], and whatever `each` returns, which ends the reading.
    pub fn push<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let line = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + line.len() > self.limit {
                return Err(TooLong { limit: self.limit }.into());
            }
            self.line.extend_from_slice(line);
            let Some(end) = end else { return Ok(()) };
            self.after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.end_line(each)?;
        }
        Ok(())
    }

    /// The stream has ended: a last event may lack its end.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish<E: From<TooLong>>(
        &mut self,
        each: &mut dyn FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.line.is_empty() {
            self.end_line(each)?;
        }
        self.dispatch(each)
    }

    fn end_line<E: From<TooLong>>(
        &mut self,
        each: &mut dyn FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let ended = match self.framing {
            Framing::Lines if line.trim().is_empty() => Ok(()),
            Framing::Lines => each(&line),
            Framing::Sse if line.is_empty() => self.dispatch(each),
            Framing::Sse => self.field(&line).map_err(E::from),
        };
        // The room is used again.
        self.line = bytes;
        self.line.clear();
        ended
    }

    /// A field of an event. Only its data count: every provider names the kind in there too.
    fn field(&mut self, line: &str) -> Result<(), TooLong> {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let Some(data) = line.strip_prefix("data:") else { return Ok(()) };
        let data = data.strip_prefix(' ').unwrap_or(data);
        if self.data.len() + data.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push('\n');
        }
        self.data.push_str(data);
        Ok(())
    }

    fn dispatch<E>(&mut self, each: &mut dyn FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        if !std::mem::take(&mut self.has_data) {
            return Ok(());
        }
        let data = std::mem::take(&mut self.data);
        let ended = if data.trim().is_empty() { Ok(()) } else { each(&data) };
        self.data = data;
        self.data.clear();
        ended
    }
}

#[cfg(test)]
mod tests;
