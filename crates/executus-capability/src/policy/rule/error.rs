//! What is wrong with a file of rules, and where.

use thiserror::Error;

/// The first mistake in a file of rules, with its place: `LINE:COLUMN: message; expected …`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{line}:{column}: {message}; expected {expected}")]
#[non_exhaustive]
pub struct RulesError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, on one line.
    pub message: String,
    /// What should stand there instead.
    pub expected: String,
}

impl RulesError {
    /// A mistake at a byte offset of the text.
    pub(super) fn at(text: &str, at: usize, message: &str, expected: &str) -> Self {
        let before = &text[..text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let one_line = |text: &str| {
            let words: Vec<_> = text.split_whitespace().collect();
            executus_core::text::bounded_to(words.join(" ").replace(char::is_control, "?"), 400)
        };
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: one_line(message),
            expected: expected.to_owned(),
        }
    }
}
