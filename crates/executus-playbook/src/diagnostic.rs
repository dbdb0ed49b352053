//! What is wrong with a run file, and where.

use thiserror::Error;

/// The longest message or expectation, in characters: a diagnostic is one readable line.
const MAX_CHARS: usize = 400;

/// The first mistake in a run file, as one line: `FILE:LINE:COLUMN: message; expected …`.
///
/// A file that cannot be read at all is reported at 1:1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {message}; expected {expected}")]
#[non_exhaustive]
pub struct Diagnostic {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What should stand there instead.
    pub expected: String,
}

impl Diagnostic {
    pub(crate) fn new(file: &str, (line, column): (usize, usize), problem: Problem) -> Self {
        Self {
            file: one_line(file),
            line,
            column,
            message: one_line(&problem.message),
            expected: one_line(&problem.expected),
        }
    }
}

/// A mistake at a byte offset of the text.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) expected: String,
}

impl Problem {
    pub(crate) fn new(at: usize, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { at, message: message.into(), expected: expected.into() }
    }
}

/// The text without line breaks and control characters, cut when it is too long to read.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARS {
            line.push('…');
            break;
        }
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The words as `a`, `b`, `c`; at most twenty of them.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    if words.is_empty() {
        return "none".into();
    }
    if words.len() > 20 {
        words.truncate(20);
        words.push("…".into());
    }
    words.join(", ")
}
