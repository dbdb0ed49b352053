//! What somebody looks for, as an expression of the index.

use std::fmt::Write as _;

use crate::error::QueryError;

/// Every word in quotes: nothing that is typed has another meaning there.
pub(crate) fn expression(text: &str) -> Result<String, QueryError> {
    let mut all = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|char: char| !is_gap(char)) {
        rest = &rest[start..];
        let (piece, begins) = match rest.strip_prefix('"') {
            Some(phrase) => {
                let end = phrase.find('"').unwrap_or(phrase.len());
                rest = phrase[end..].strip_prefix('"').unwrap_or_default();
                (&phrase[..end], false)
            }
            None => {
                let end = rest.find(|char| is_gap(char) || char == '"').unwrap_or(rest.len());
                let (piece, after) = rest.split_at(end);
                rest = after;
                (piece, piece.ends_with('*'))
            }
        };
        // Without a word in it, it would match nothing.
        if piece.contains(char::is_alphanumeric) {
            let gap = if all.is_empty() { "" } else { " " };
            let word = piece.replace('\0', " ");
            let _ = write!(all, "{gap}\"{word}\"{}", if begins { "*" } else { "" });
        }
    }
    if all.is_empty() { Err(QueryError::NoWords) } else { Ok(all) }
}

fn is_gap(char: char) -> bool {
    char.is_whitespace() || char.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_phrases_are_quoted() {
        for (text, expected) in [
            ("one", "\"one\""),
            ("  one\ttwo ", "\"one\" \"two\""),
            ("\"one two\" three", "\"one two\" \"three\""),
            ("beg* x", "\"beg*\"* \"x\""),
            ("a:b NOT (c OR d) -e", "\"a:b\" \"NOT\" \"(c\" \"OR\" \"d)\" \"-e\""),
            ("open \"quote", "\"open\" \"quote\""),
            ("a\"b\"c", "\"a\" \"b\" \"c\""),
            ("a\0b -- c", "\"a\" \"b\" \"c\""),
        ] {
            assert_eq!(expression(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_without_words_is_refused() {
        for text in ["", " ", "\"\"", "-- * \"!?\"", "\0"] {
            assert!(matches!(expression(text), Err(QueryError::NoWords)), "{text:?}");
        }
    }
}
