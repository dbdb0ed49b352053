//! An action in one short line.

use executus_core::Call;
use executus_core::text::scrub;
use executus_core::transcript::{SecretPart, SecretSlot};
use serde_json::Value;

use crate::cut::short;

const ACTION: usize = 30;
const URL: usize = 80;
const SELECTOR: usize = 50;
const TYPED: usize = 30;
const TYPED_BEFORE_KEY: usize = 20;
const KEY: usize = 20;
const NAME: usize = 40;

/// What an action's arguments say of it, bounded: the action, at most 80 characters of a URL, 50
/// of a selector, 30 of what is typed (20 when a key follows). A credential that is typed shows its
/// name alone. Anything else is in the entry, not in its summary.
#[must_use]
pub fn summary(call: &Call) -> String {
    let Value::Object(args) = &call.args else { return String::new() };
    let field = |names: &[&'static str]| {
        let found = names.iter().find_map(|name| Some((*name, args.get(*name)?.as_str()?)));
        found.filter(|(_, text)| !text.is_empty())
    };
    // Scrubbed before it is cut: half a credential looks like none.
    let cut = |text: &str, max: usize| short(&scrub(text), max);
    let mut parts: Vec<String> = Vec::new();
    if let Some((_, action)) = field(&["action", "operation"]) {
        parts.push(cut(action, ACTION));
    }
    if let Some((_, url)) = field(&["url"]) {
        parts.push(cut(url, URL));
    }
    if let Some((_, selector)) = field(&["selector"]) {
        parts.push(cut(selector, SELECTOR));
    }
    let key = field(&["key"]);
    let typed = field(&["text", "value"]);
    if let Some(name) = field(&["credential", "credential_ref"]).map(|(_, name)| name.to_owned()) {
        parts.push(format!("[credential {}]", cut(&name, NAME)));
    } else if let Some(names) = typed.and_then(|(name, _)| secrets(&call.secrets, name)) {
        parts.push(format!("[credential {}]", cut(&names, NAME)));
    } else if let Some((_, text)) = typed {
        let max = if key.is_some() { TYPED_BEFORE_KEY } else { TYPED };
        parts.push(format!("\"{}\"", cut(text, max)));
    }
    if let Some((_, key)) = key {
        parts.push(format!("+ {}", cut(key, KEY)));
    }
    parts.join(" ")
}

/// The names of the secrets in a field.
fn secrets(slots: &[SecretSlot], field: &str) -> Option<String> {
    let slot = slots.iter().find(|slot| slot.pointer.strip_prefix('/') == Some(field))?;
    let names = slot.parts.iter().filter_map(|part| match part {
        SecretPart::Secret(name) => Some(name.as_str()),
        SecretPart::Text(_) => None,
    });
    Some(names.collect::<Vec<_>>().join(", "))
}
