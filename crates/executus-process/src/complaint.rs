//! What a failed child said, for an error.

use crate::escape::strip_escapes;

/// How much of what a failed child said goes into its error, in bytes.
const COMPLAINT: usize = 2048;

/// The last of an output, for an error: short and safe to print.
pub(crate) fn complaint(bytes: &[u8]) -> String {
    strip_escapes(&tail(bytes)).trim().to_owned()
}

/// The last [`COMPLAINT`] bytes, from the beginning of a line where there is one.
pub(crate) fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(COMPLAINT);
    let line = match bytes[from..].iter().position(|&byte| byte == b'\n') {
        Some(newline) if from > 0 && from + newline + 1 < bytes.len() => from + newline + 1,
        _ => from,
    };
    let mut text = String::from_utf8_lossy(&bytes[line..]).into_owned();
    // A broken byte takes three as text.
    let over = text.len().saturating_sub(COMPLAINT);
    text.drain(..text.ceil_char_boundary(over));
    text
}
