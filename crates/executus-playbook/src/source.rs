//! The text of a run file, and positions in it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Problem};

/// The largest run file, in bytes: 1 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A run file's text under the name that diagnostics give it.
#[derive(Debug)]
pub(crate) struct Source {
    file: String,
    text: String,
}

impl Source {
    /// Reads at most [`MAX_FILE_BYTES`] and one byte more.
    pub(crate) fn read(path: &Path) -> Result<Self, Diagnostic> {
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            let problem =
                Problem::new(0, format!("cannot be read: {error}"), "a readable run file");
            Diagnostic::new(&file, (1, 1), problem)
        };
        let opened = File::open(path).map_err(unreadable)?;
        if opened.metadata().map_err(unreadable)?.is_dir() {
            let problem = Problem::new(0, "this is a directory", "a run file");
            return Err(Diagnostic::new(&file, (1, 1), problem));
        }
        let mut bytes = Vec::new();
        opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(file, bytes)
    }

    pub(crate) fn from_bytes(file: String, bytes: Vec<u8>) -> Result<Self, Diagnostic> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            let problem =
                Problem::new(0, "the file is larger than 1 MiB", "a run file of at most 1 MiB");
            return Err(Diagnostic::new(&file, (1, 1), problem));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            let good = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default());
            let problem =
                Problem::new(at, format!("byte 0x{byte:02x} is not UTF-8"), "a text in UTF-8");
            Diagnostic::new(&file, position(&good, at), problem)
        })?;
        if let Some(rest) = text.strip_prefix('\u{feff}') {
            // A byte order mark says nothing in UTF-8 and would shift the first line's columns.
            text = rest.to_owned();
        }
        Ok(Self { file, text })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn diagnostic(&self, problem: Problem) -> Diagnostic {
        Diagnostic::new(&self.file, position(&self.text, problem.at), problem)
    }
}

/// Line and column, both from 1, the column in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("a\néé=x", 6), (2, 3));
        assert_eq!(position("a\néé=x", 99), (2, 5));
        // In the middle of a character: that character.
        assert_eq!(position("é", 1), (1, 1));
    }
}
