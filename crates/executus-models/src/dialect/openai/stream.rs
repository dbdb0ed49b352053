//! Reading a stream of chat completion chunks.

use serde_json::Value;

use super::{array, content, finish, head};
use crate::dialect::{Reader, json, text};
use crate::draft::Draft;
use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// How much of a refusal is kept, in bytes.
const REFUSAL_BYTES: usize = 1024;
/// How much of an id or a name is compared, in bytes.
const COMPARED_BYTES: usize = 200;

/// A stream as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Stream {
    calls: Vec<Open>,
    refusal: String,
    /// A choice came: there is an answer that can be complete.
    answered: bool,
    over: bool,
}

/// A call whose fragments may still come.
#[derive(Debug)]
struct Open {
    place: usize,
    index: Option<u64>,
    id: String,
    name: String,
    /// Some of its arguments came.
    begun: bool,
}

impl Reader for Stream {
    fn event(
        &mut self,
        data: &str,
        draft: &mut Draft,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        if data.trim() == "[DONE]" {
            self.over = true;
            if draft.finish.is_none() && self.answered {
                // Sloppy, but it did say that this was all.
                draft.finish = Some(finish("stop", &self.refusal)?);
            }
            return Ok(());
        }
        let event = json(data)?;
        head(&event, draft)?;
        // Chunks that tell the usage have no choices; some servers write null.
        let Some(choice) = event["choices"].get(0) else {
            return match &event["choices"] {
                Value::Null | Value::Array(_) => Ok(()),
                _ => Err(Failure::malformed("the `choices` of an event are no array")),
            };
        };
        if !choice.is_object() {
            return Err(Failure::malformed("a choice of an event is no object"));
        }
        self.answered = true;
        let delta = &choice["delta"];
        content(&delta["content"], &mut |piece| {
            let kept = draft.push_text(piece);
            if !kept.is_empty() {
                say(kept);
            }
        });
        self.refuse(text(delta, "/refusal"));
        for fragment in array(&delta["tool_calls"]) {
            if draft.is_full() {
                break;
            }
            self.call(fragment, draft);
        }
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            draft.finish = Some(finish(reason, &self.refusal)?);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

impl Stream {
    fn refuse(&mut self, piece: &str) {
        let room = REFUSAL_BYTES.saturating_sub(self.refusal.len());
        self.refusal.push_str(&piece[..piece.floor_char_boundary(room)]);
    }

    /// Takes in a fragment of a call.
    fn call(&mut self, fragment: &Value, draft: &mut Draft) {
        let arguments = &fragment["function"]["arguments"];
        let (id, name) = (text(fragment, "/id"), text(fragment, "/function/name"));
        let index = fragment["index"].as_u64();
        let opened = self.find(index, start(id), start(name), arguments).unwrap_or_else(|| {
            let place = draft.begin_call(id, name);
            let (id, name) = (start(id).to_owned(), start(name).to_owned());
            self.calls.push(Open { place, index, id, name, begun: false });
            self.calls.len() - 1
        });
        let call = &mut self.calls[opened];
        for (known, said) in [(&mut call.id, id), (&mut call.name, name)] {
            if known.is_empty() {
                start(said).clone_into(known);
            }
        }
        draft.name_call(call.place, Some(id), Some(name));
        match arguments {
            Value::String(piece) => {
                call.begun |= !piece.trim().is_empty();
                draft.push_args(call.place, piece);
            }
            Value::Null => {}
            whole => {
                call.begun = true;
                draft.set_args(call.place, whole.clone());
            }
        }
    }

    /// The call that a fragment continues. At home the index says it; elsewhere it may be missing,
    /// or 0 for every call.
    fn find(&self, index: Option<u64>, id: &str, name: &str, arguments: &Value) -> Option<usize> {
        let at = |call: &Open| index.is_none() || call.index == index;
        if !id.is_empty()
            && let Some(known) = self.calls.iter().rposition(|call| call.id == id && at(call))
        {
            return Some(known);
        }
        let newest = self.calls.iter().rposition(at)?;
        let call = &self.calls[newest];
        let other_id = !id.is_empty() && !call.id.is_empty();
        let other_name = !name.is_empty() && !call.name.is_empty() && call.name != name;
        // A call that is opened again, name and arguments from the start.
        let from_start = match arguments {
            Value::String(piece) => piece.trim_start().starts_with('{'),
            other => other.is_object(),
        };
        let again = id.is_empty() && !name.is_empty() && call.begun && from_start;
        (!other_id && !other_name && !again).then_some(newest)
    }
}

fn start(text: &str) -> &str {
    &text[..text.floor_char_boundary(COMPARED_BYTES)]
}
