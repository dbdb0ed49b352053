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
    /// The step under way.
    step: u32,
    /// What was shown of it, from its beginning.
    shown: String,
    /// The number of the piece that comes next; what follows a gap is not shown.
    next: u32,
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
        Self { to, step: 0, shown: String::new(), next: 0, is_open: false }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, step: u32) {
        self.end_line();
        self.step = step;
        self.shown.clear();
        self.next = 0;
    }

    /// Shows a piece of a step, unless one before it was lost on the way to here.
    pub(crate) fn say(&mut self, step: u32, index: u32, piece: &str) {
        // That it begins, or begins again, may be lost too.
        if step != self.step {
            self.begin(step);
        } else if index == 0 && self.next > 0 {
            self.take_back();
        }
        if index != self.next || self.shown.len() > MOST {
            return;
        }
        self.next += 1;
        self.show(piece);
    }

    /// Shows what is missing of the text of a step whose beginning was shown.
    pub(crate) fn complete(&mut self, step: u64, text: &str) {
        let has_begun = self.has_said() && u64::from(self.step) == step;
        if let Some(rest) = text.strip_prefix(&*self.shown).filter(|_| has_begun) {
            self.show(rest);
        }
    }

    fn show(&mut self, piece: &str) {
        if self.to.is_none() || piece.is_empty() {
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
        self.next = 0;
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

    fn speech() -> Speech {
        Speech { to: Some(To::Error), step: 1, shown: String::new(), next: 0, is_open: false }
    }

    #[test]
    fn what_is_lost_is_shown_in_the_end() {
        let mut speech = speech();
        for (index, piece) in [(0, "one "), (1, "two "), (3, "four "), (4, "five")] {
            speech.say(1, index, piece);
        }
        assert_eq!(speech.shown, "one two ");
        speech.complete(1, "another text");
        speech.complete(2, "one two three four five");
        assert_eq!(speech.shown, "one two ");
        speech.complete(1, "one two three four five");
        assert_eq!(speech.shown, "one two three four five");
        speech.complete(1, "one two three four five");
        assert_eq!(speech.shown, "one two three four five");
    }

    #[test]
    fn what_begins_again_is_shown_again() {
        let mut speech = speech();
        speech.say(1, 0, "one ");
        speech.say(1, 2, "three");
        speech.say(1, 0, "once ");
        speech.say(1, 1, "again");
        assert_eq!(speech.shown, "once again");
        speech.begin(2);
        speech.say(2, 0, "then");
        assert_eq!(speech.shown, "then");
        speech.say(3, 0, "and");
        assert_eq!((speech.step, &*speech.shown), (3, "and"));
    }

    #[test]
    fn no_control_character_passes() {
        assert_eq!(printable("a\u{1b}[31mb\r\n\tc\u{7}\u{9b}d"), "a[31mb\n\tcd");
    }
}
