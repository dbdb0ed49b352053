//! The pieces of a streamed answer, which the dialects write and the delivery counts.

use super::answer::{Arguments, Call, Reply, Text};

/// What the filler is made of: 64 bytes.
const LINE: &str = "This line is one of very many that fill a very long reply of 64\n";
/// Bytes of a piece of filler.
const FILLER: usize = 4096;
/// Characters of a fragment of arguments: small, so that every call comes in several.
const FRAGMENT: usize = 5;

/// One event or line, its line ends included.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) body: String,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Around the content; not counted.
    Frame,
    /// Text, thinking or (a fragment of) a call.
    Content,
    /// Tells the reason of the end, or comes after it.
    End,
}

pub(super) type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

impl Piece {
    pub(super) fn frame(body: String) -> Self {
        Self { part: Part::Frame, body }
    }

    pub(super) fn content(body: String) -> Self {
        Self { part: Part::Content, body }
    }

    pub(super) fn end(body: String) -> Self {
        Self { part: Part::End, body }
    }
}

impl Text {
    /// The text in the pieces it is streamed in; may have no end.
    pub(super) fn pieces(&self) -> Box<dyn Iterator<Item = String> + Send> {
        match self {
            Self::Words(text) => Box::new(words(text).into_iter()),
            Self::Filler(bytes) => {
                let bytes = *bytes;
                let lengths = (0..bytes).step_by(FILLER).map(move |at| FILLER.min(bytes - at));
                Box::new(lengths.map(filler))
            }
            Self::Endless => Box::new(std::iter::repeat_with(|| filler(FILLER))),
        }
    }

    /// The text as one; of one without end the first piece.
    pub(super) fn whole(&self) -> String {
        match self {
            Self::Words(text) => text.clone(),
            Self::Filler(bytes) => filler(*bytes),
            Self::Endless => filler(FILLER),
        }
    }
}

impl Reply {
    /// The text and thinking in their pieces, empty when there is none.
    pub(super) fn text_pieces(&self) -> Box<dyn Iterator<Item = String> + Send> {
        self.text.as_ref().map_or_else(|| Box::new(std::iter::empty()) as _, Text::pieces)
    }

    pub(super) fn thinking_pieces(&self) -> Vec<String> {
        self.thinking.as_deref().map(words).unwrap_or_default()
    }
}

impl Call {
    /// The arguments as the model wrote them.
    pub(super) fn written(&self) -> String {
        match &self.arguments {
            Arguments::Json(value) => value.to_string(),
            Arguments::Broken(raw) => raw.clone(),
        }
    }

    /// The same in fragments.
    pub(super) fn fragments(&self) -> Vec<String> {
        let written: Vec<char> = self.written().chars().collect();
        let size = FRAGMENT.max(written.len() / 64);
        written.chunks(size).map(|part| part.iter().collect()).collect()
    }
}

/// So many bytes of filler.
pub(super) fn filler(bytes: usize) -> String {
    let mut text = LINE.repeat(bytes / LINE.len() + 1);
    text.truncate(bytes);
    text
}

fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Arguments, Call, LINE, Text};

    #[test]
    fn pieces_make_the_whole() {
        assert_eq!(LINE.len(), 64);
        for text in [Text::Words("one two  drei ".into()), Text::Filler(10_000), Text::Filler(0)] {
            assert_eq!(text.pieces().collect::<String>(), text.whole());
        }
        let call = Call { name: "f".into(), arguments: Arguments::Json(json!({"a": "äöü€"})) };
        assert!(call.fragments().len() > 1);
        assert_eq!(call.fragments().concat(), call.written());
    }
}
