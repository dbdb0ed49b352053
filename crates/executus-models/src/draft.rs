//! A reply while it is being read.

use std::sync::Arc;

use executus_core::text::bounded_to;
use executus_core::{Call, Reply, Usage};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The most tokens that a provider may report of one call: beyond this the figure is nonsense.
const MOST_TOKENS: u64 = 1 << 40;
/// How much of arguments that cannot be read is told.
const SHOWN_BYTES: usize = 200;
/// The most calls that are read of one reply. A run has a lower limit of its own, which answers
/// those beyond it; this one bounds memory.
const MOST_CALLS: usize = 1024;

/// What of a reply has been read. Its text and arguments have a limit each.
#[derive(Debug)]
pub(crate) struct Draft {
    text: String,
    calls: Vec<DraftCall>,
    pub(crate) usage: Usage,
    /// The provider's name of the model that served.
    pub(crate) model: Option<String>,
    pub(crate) finish: Option<Finish>,
    max: usize,
    /// Bytes of arguments and signatures.
    call_bytes: usize,
    /// Why what was read is not all.
    cut: Option<String>,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It said all it had to say, or asked for calls.
    Whole,
    /// It met its limit of output tokens.
    Length,
    /// It was kept from going on: by a filter, a refusal, a safety rule. In the provider's words.
    Withheld(String),
}

#[derive(Debug, Default)]
struct DraftCall {
    id: String,
    name: String,
    args: Args,
    signature: Option<String>,
}

#[derive(Debug)]
enum Args {
    /// As text, perhaps not all of it yet.
    Text(String),
    Whole(Value),
}

impl Default for Args {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Draft {
    /// Nothing yet. Text and arguments may have this many bytes, in sum each.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            calls: Vec::new(),
            usage: Usage::default(),
            model: None,
            finish: None,
            max,
            call_bytes: 0,
            cut: None,
        }
    }

    /// Takes in a piece of text, and gives back the part of it that is kept.
    pub(crate) fn push_text<'a>(&mut self, piece: &'a str) -> &'a str {
        let room = if self.is_full() { 0 } else { self.max.saturating_sub(self.text.len()) };
        let kept = &piece[..piece.floor_char_boundary(room)];
        self.text.push_str(kept);
        if kept.len() < piece.len() && !self.is_full() {
            self.cut = Some(format!("it is longer than {} bytes", self.max));
        }
        kept
    }

    /// Whether there is no use in reading on.
    pub(crate) const fn is_full(&self) -> bool {
        self.cut.is_some()
    }

    /// A new call, and its place. Its arguments may come later, in pieces.
    pub(crate) fn begin_call(&mut self, id: &str, name: &str) -> usize {
        let place = self.calls.len();
        if place == MOST_CALLS {
            self.cut = Some(format!("it has more than {MOST_CALLS} calls"));
        } else {
            self.calls.push(DraftCall::default());
            self.name_call(place, Some(id), Some(name));
        }
        place
    }

    /// More of a call's id or name: some servers send them late.
    pub(crate) fn name_call(&mut self, place: usize, id: Option<&str>, name: Option<&str>) {
        if let Some(call) = self.calls.get_mut(place) {
            if let Some(id) = id.filter(|_| call.id.is_empty()) {
                call.id = shown(id);
            }
            if let Some(name) = name.filter(|_| call.name.is_empty()) {
                call.name = shown(name);
            }
        }
    }

    /// A piece of a call's arguments, as JSON text.
    pub(crate) fn push_args(&mut self, place: usize, piece: &str) {
        if piece.is_empty() || !self.has_room(piece.len()) {
            return;
        }
        match self.calls.get_mut(place).map(|call| &mut call.args) {
            Some(Args::Text(text)) => text.push_str(piece),
            // Some servers open a call with an empty object and send the real one in pieces.
            Some(args) => *args = Args::Text(piece.to_owned()),
            None => {}
        }
    }

    /// A call's arguments, all of them.
    pub(crate) fn set_args(&mut self, place: usize, args: Value) {
        let args = match args {
            Value::String(text) => Args::Text(text),
            Value::Null => Args::default(),
            whole => Args::Whole(whole),
        };
        if !self.has_room(args.len()) {
            return;
        }
        if let Some(call) = self.calls.get_mut(place) {
            call.args = args;
        }
    }

    /// What the provider wants to read again with a call.
    pub(crate) fn sign_call(&mut self, place: usize, signature: impl Into<String>) {
        let signature = signature.into();
        if !self.has_room(signature.len()) {
            return;
        }
        if let Some(call) = self.calls.get_mut(place) {
            call.signature = Some(signature);
        }
    }

    /// Takes so many bytes for calls, unless there is no room for them.
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.is_full() {
            return false;
        }
        self.call_bytes = self.call_bytes.saturating_add(bytes);
        if self.call_bytes > self.max {
            self.cut = Some(format!("its arguments are longer than {} bytes", self.max));
        }
        !self.is_full()
    }

    /// The reply, once all has been read. `served_by` names the model where the provider did not.
    ///
    /// # Errors
    /// When the provider never said that the reply was whole.
    pub(crate) fn finish(self, provider: &str, served_by: &str) -> Result<Reply, Failure> {
        let cut = match (self.cut, self.finish) {
            (Some(cut), _) => Some(cut),
            (None, Some(Finish::Whole)) => None,
            (None, Some(Finish::Length)) => Some("the model met its limit of output".to_owned()),
            (None, Some(Finish::Withheld(why))) => {
                Some(format!("the provider withheld the rest ({})", bounded_to(why, SHOWN_BYTES)))
            }
            (None, None) => return Err(Failure::truncated()),
        };
        let model = self.model.as_deref().filter(|model| !model.is_empty()).unwrap_or(served_by);
        Ok(Reply {
            text: self.text,
            calls: self.calls.into_iter().map(|call| call.finish(cut.is_some())).collect(),
            usage: self.usage,
            model: Some(bounded_to(format!("{provider}:{model}"), SHOWN_BYTES).into()),
            cut: cut.map(Into::into),
        })
    }
}

impl Args {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Whole(value) => value.to_string().len(),
        }
    }
}

impl DraftCall {
    /// The call. Of a reply that was cut, arguments of which nothing came are not known to be none.
    fn finish(self, is_cut: bool) -> Call {
        let signature: Option<Arc<str>> = self.signature.map(Into::into);
        let (args, broken) = match self.args {
            Args::Whole(args @ Value::Object(_)) => (args, None),
            Args::Whole(other) => (empty(), Some(not_an_object(&other.to_string()))),
            Args::Text(text) if text.trim().is_empty() => {
                (empty(), is_cut.then(|| "they are missing: the reply was cut".to_owned()))
            }
            Args::Text(text) => match serde_json::from_str(&text) {
                Ok(args @ Value::Object(_)) => (args, None),
                Ok(_) => (empty(), Some(not_an_object(&text))),
                Err(error) => (empty(), Some(not_json(&text, &error))),
            },
        };
        Call {
            id: self.id.into(),
            name: self.name.into(),
            args,
            signature,
            broken: broken.map(Into::into),
            ..Call::default()
        }
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn not_an_object(text: &str) -> String {
    format!("they are not a JSON object but {}", shown(text))
}

fn not_json(text: &str, error: &serde_json::Error) -> String {
    format!("they are not JSON ({error}): {}", shown(text))
}

fn shown(text: &str) -> String {
    bounded_to(text.to_owned(), SHOWN_BYTES)
}

/// A number of tokens as a provider reports it: absent, negative and absurd ones are tamed.
pub(crate) fn tokens(value: &Value) -> u64 {
    let number = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        Some(number as u64)
    });
    number.unwrap_or_default().min(MOST_TOKENS)
}

#[cfg(test)]
mod tests;
