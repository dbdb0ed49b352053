//! What a model says, on the terminal as it comes.

use std::io::{self, IsTerminal};

use crate::output::{self, Screen};

/// The longest text that is remembered as shown, in bytes.
const MOST: usize = 1 << 20;

/// Shows pieces of text where a person watches: on standard output when that is a terminal, else on
/// standard error when that is one, else nowhere.
#[derive(Debug)]
pub(crate) struct Speech {
    to: Option<To>,
    /// What was shown of the step under way.
    shown: String,
    /// A line has begun and not ended.
    is_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Output,
    Error,
}

impl Speech {
    pub(crate) fn new(screen: Screen) -> Self {
        let to = if io::stdout().is_terminal() {
            Some(To::Output)
        } else if screen.live {
            Some(To::Error)
        } else {
            None
        };
        Self { to, shown: String::new(), is_open: false }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self) {
        self.end_line();
        self.shown.clear();
    }

    /// Shows a piece.
    pub(crate) fn say(&mut self, piece: &str) {
        if self.to.is_none() || piece.is_empty() || self.shown.len() > MOST {
            return;
        }
        self.shown.push_str(piece);
        let printable = printable(piece);
        if !printable.is_empty() {
            self.is_open = !printable.ends_with('\n');
            self.write(&printable);
        }
    }

    /// What was shown of this step is void: it begins again.
    pub(crate) fn take_back(&mut self) {
        if !self.shown.is_empty() {
            self.end_line();
            self.write("(once more)\n");
            self.shown.clear();
        }
    }

    /// Something else is to be shown on a line of its own.
    pub(crate) fn end_line(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.write("\n");
        }
    }

    /// Whether anything of this step was shown.
    pub(crate) const fn has_said(&self) -> bool {
        !self.shown.is_empty()
    }

    /// Whether this text stands on standard output already, whole.
    pub(crate) fn has_output(&self, text: &str) -> bool {
        self.to == Some(To::Output) && !text.is_empty() && self.shown == text
    }

    fn write(&self, text: &str) {
        match self.to {
            // The result tells of an output that cannot be written.
            Some(To::Output) => drop(output::result(text)),
            Some(To::Error) => output::raw_note(text),
            None => {}
        }
    }
}

/// A piece without control characters: an escape may be cut in two, so none is let through.
fn printable(piece: &str) -> String {
    piece.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_passes() {
        assert_eq!(printable("a\u{1b}[31mb\r\n\tc\u{7}\u{9b}d"), "a[31mb\n\tcd");
    }
}
