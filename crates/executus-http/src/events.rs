//! Splitting a stream into events, within bounds.

use crate::failure::Failure;

/// The longest line of a stream, in bytes: one event of the longest arguments, escaped.
pub(crate) const MAX_LINE: usize = 8 << 20;

/// How a provider frames its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Sse,
    /// A JSON value a line.
    Lines,
}

/// Splits bytes into lines and lines into events.
///
/// Each byte is looked at once, however the stream is cut. Lines end with LF, CR LF or CR.
#[derive(Debug)]
pub(crate) struct Events {
    framing: Framing,
    line: Vec<u8>,
    after_return: bool,
    data: String,
    has_data: bool,
}

impl Events {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Vec::new(),
            after_return: false,
            data: String::new(),
            has_data: false,
        }
    }

    /// Takes in bytes and gives the data of each event that is complete.
    ///
    /// # Errors
    /// A line or an event that is too long; whatever `each` returns.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let line = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + line.len() > MAX_LINE {
                return Err(Failure::too_large(MAX_LINE));
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
    pub(crate) fn finish(
        &mut self,
        each: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.line.is_empty() {
            self.end_line(each)?;
        }
        self.dispatch(each)
    }

    fn end_line(
        &mut self,
        each: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let ended = match self.framing {
            Framing::Lines if line.trim().is_empty() => Ok(()),
            Framing::Lines => each(&line),
            Framing::Sse if line.is_empty() => self.dispatch(each),
            Framing::Sse => self.field(&line),
        };
        // The room is used again.
        self.line = bytes;
        self.line.clear();
        ended
    }

    /// A field of an event. Only its data count: every provider names the kind in there too.
    fn field(&mut self, line: &str) -> Result<(), Failure> {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let Some(data) = line.strip_prefix("data:") else { return Ok(()) };
        let data = data.strip_prefix(' ').unwrap_or(data);
        if self.data.len() + data.len() > MAX_LINE {
            return Err(Failure::too_large(MAX_LINE));
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push('\n');
        }
        self.data.push_str(data);
        Ok(())
    }

    fn dispatch(
        &mut self,
        each: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
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
