//! What showing something costs.

use std::io;

use executus_core::text::{bounded, scrub};
use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::driver::DriverError;
use crate::frame::{Frame, Mode};

/// What of a frame is paid for: its mode decides.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// Nothing: the handle alone costs nothing.
    Nothing,
    /// The facts of a summary.
    Facts(&'a [String]),
    /// The rows of a table.
    Rows(&'a [Map<String, Value>]),
    /// The raw data; `None` when there is none.
    Raw(Option<&'a Value>),
}

impl<'a> Shown<'a> {
    /// What of this frame is paid for.
    #[must_use]
    pub fn of(frame: &'a Frame) -> Self {
        match frame.mode {
            Mode::HandleOnly => Self::Nothing,
            Mode::Summary => Self::Facts(&frame.facts),
            Mode::Table => Self::Rows(&frame.rows),
            Mode::Raw => Self::Raw(frame.raw.as_ref()),
        }
    }

    /// It as JSON; empty for nothing.
    ///
    /// # Errors
    /// [`CountError`] when it cannot be written, which no JSON value gives cause for.
    pub fn to_json(self) -> Result<String, CountError> {
        let mut text = Vec::new();
        self.write(&mut text)?;
        String::from_utf8(text).map_err(|error| CountError::failed(error.to_string()))
    }

    /// How many bytes it has as JSON; 0 for nothing.
    ///
    /// # Errors
    /// As [`to_json`](Self::to_json).
    pub fn json_bytes(self) -> Result<u64, CountError> {
        let mut size = Size(0);
        self.write(&mut size)?;
        Ok(size.0)
    }

    fn write(self, to: impl io::Write) -> Result<(), CountError> {
        fn json<T: Serialize + ?Sized>(to: impl io::Write, what: &T) -> Result<(), CountError> {
            serde_json::to_writer(to, what).map_err(|error| CountError::failed(error.to_string()))
        }
        match self {
            Self::Nothing | Self::Raw(None) | Self::Facts([]) | Self::Rows([]) => Ok(()),
            Self::Facts(facts) => json(to, facts),
            Self::Rows(rows) => json(to, rows),
            Self::Raw(Some(raw)) => json(to, raw),
        }
    }
}

struct Size(u64);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why nothing was counted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CountError {
    /// The counter failed.
    #[error("the cost was not counted: {message}")]
    Failed {
        /// Why.
        message: String,
    },
    /// The counter asks a driver, and that failed.
    #[error("the cost was not counted")]
    Driver(#[source] DriverError),
}

impl CountError {
    /// A counter that failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: bounded(scrub(&message.into()).into_owned()) }
    }
}

/// Counts what it costs to show something, in tokens.
///
/// **Called** by the kernel, once for each frame, after the firewall. It must not block. **Panics**
/// are an error of the invocation, like an error of its own: the frame is not shown.
pub trait TokenCounter: Send + Sync {
    /// How many tokens this is.
    ///
    /// # Errors
    /// [`CountError`]: the frame is not shown.
    fn count(&self, shown: Shown<'_>) -> Result<u64, CountError>;
}

/// Four bytes of JSON to a token, rounded down.
#[derive(Debug, Clone, Copy, Default)]
pub struct SizeCounter;

impl TokenCounter for SizeCounter {
    fn count(&self, shown: Shown<'_>) -> Result<u64, CountError> {
        Ok(shown.json_bytes()? / 4)
    }
}
