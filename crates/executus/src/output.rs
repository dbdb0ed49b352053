//! The one place that writes to the standard streams.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use executus_process::strip_escapes;

use crate::fault::Fault;

/// Writes a text to standard output, as it is; a terminal gets it without escapes.
///
/// Nobody reading any more is not an error: `executus runs | head` is a normal thing to do.
///
/// # Errors
/// What the system says of a full disk and the like.
pub(crate) fn result(text: &str) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    let written = if stdout.is_terminal() {
        stdout.write_all(strip_escapes(text).as_bytes())
    } else {
        stdout.write_all(text.as_bytes())
    };
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::error(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a text and a newline to standard output.
///
/// # Errors
/// As [`result`].
pub(crate) fn line(text: &str) -> Result<(), Fault> {
    result(&format!("{text}\n"))
}

/// Writes a line to standard error, without the escapes of whoever is quoted in it.
pub(crate) fn note(text: &str) {
    raw_note(&format!("{}\n", strip_escapes(text)));
}

/// Writes to standard error, as it is. There is nobody to tell when that fails.
pub(crate) fn raw_note(text: &str) {
    let mut stderr = io::stderr().lock();
    let _unread = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// What standard error can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Lines can be written over.
    pub(crate) live: bool,
    /// Colours are wanted.
    pub(crate) colour: bool,
}

impl Screen {
    /// Looks at standard error and at what the environment asks for (`NO_COLOR`, `TERM`).
    pub(crate) fn of_stderr() -> Self {
        let stderr = io::stderr();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = stderr.is_terminal() && !is_dumb;
        let colour = live && AutoStream::choice(&stderr) != ColorChoice::Never;
        Self { live, colour }
    }
}
