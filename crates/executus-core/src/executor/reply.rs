//! What of a reply enters a fact: no secrets, and not more than allowed.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::secret::Secrets;
use crate::text;
use crate::tool::Toolbox;
use crate::transcript::Reply;

/// The longest id, name of a tool that there is not, or word about a call, in bytes.
const WORD_BYTES: usize = 1024;

/// Takes the secrets out. The name of a tool stays: it is the host's.
pub(super) fn hide(reply: &mut Reply, secrets: &Secrets, tools: &Toolbox) {
    if secrets.is_empty() {
        return;
    }
    let hidden = |text: &Arc<str>| Arc::<str>::from(secrets.redact(text.to_string()));
    reply.text = secrets.redact(std::mem::take(&mut reply.text));
    for said in [&mut reply.model, &mut reply.cut].into_iter().flatten() {
        *said = hidden(said);
    }
    for call in &mut reply.calls {
        call.args = secrets.redact_json(std::mem::take(&mut call.args));
        call.id = hidden(&call.id);
        if tools.get(&call.name).is_none() {
            call.name = hidden(&call.name);
        }
        if let Some(broken) = &mut call.broken {
            *broken = hidden(broken);
        }
    }
}

/// Keeps a reply within its limit: a longer text is cut and no longer whole, arguments that do not
/// fit any more are not those of a call that can be made.
pub(super) fn cap(reply: &mut Reply, max: u64, tools: &Toolbox) {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    if reply.text.len() > max {
        reply.text = text::bounded_to(std::mem::take(&mut reply.text), max);
        reply.cut.get_or_insert_with(|| format!("it is longer than {max} bytes").into());
    }
    let mut taken = 0_usize;
    for call in &mut reply.calls {
        let all = taken.saturating_add(call.size());
        if all > max {
            (call.args, call.signature) = (Value::Object(Map::new()), None);
            let error = format!("the reply's arguments have {all} bytes, {max} are allowed");
            call.broken = Some(error.into());
        } else {
            taken = all;
        }
        shorten(&mut call.id);
        if call.name.len() > WORD_BYTES && tools.get(&call.name).is_none() {
            shorten(&mut call.name);
        }
        call.broken.iter_mut().for_each(shorten);
    }
    reply.model.iter_mut().for_each(shorten);
    reply.cut.iter_mut().for_each(shorten);
}

fn shorten(word: &mut Arc<str>) {
    if word.len() > WORD_BYTES {
        *word = text::bounded_to(word.to_string(), WORD_BYTES).into();
    }
}
