//! The models that a run file names.

use crate::diagnostic::Problem;
use crate::reader::{Item, Reader, Section};

const MODEL: &str = "`provider:model` such as \"openai:gpt-5-mini\"";
const MODELS: &str = "an array such as [\"openai:gpt-5-mini\", \"anthropic:claude-haiku-4-5\"]";

/// Whether the file names a model, well or badly.
pub(crate) fn names_model(root: &Section<'_>) -> bool {
    root.get("model").is_some() || root.get("models").is_some()
}

/// Reads `model` or `models`, in the order in which they are asked.
pub(crate) fn read_models<'a>(reader: &mut Reader<'a>, root: &Section<'a>) -> Vec<String> {
    let mut models = Vec::new();
    let (one, several) = (root.get("model"), root.get("models"));
    if let (Some(one), Some(several)) = (one, several) {
        let second = if one.key_at < several.key_at { several } else { one };
        let message = "the file has `model` and `models`";
        reader.problem(second.key_at, message, "one of them: `models` for more than one model");
    }
    models.extend(one.and_then(|item| read_model(reader, item)));
    let elements = several.and_then(|item| {
        let elements = item.array(reader, MODELS)?;
        if elements.is_empty() {
            reader.problem(item.at, "`models` is empty", format!("at least one {MODEL}"));
        }
        Some(elements)
    });
    let own = models.len();
    for element in elements.unwrap_or_default() {
        let Some(model) = read_model(reader, &element) else { continue };
        if models.iter().skip(own).any(|other| *other == model) {
            let message = format!("the model `{model}` is there twice");
            reader.problem(element.at, message, "each model once");
        }
        models.push(model);
    }
    models
}

fn read_model<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<String> {
    let text = item.filled(reader, MODEL)?;
    if let Err(Problem { at, message, expected }) = check_model(text.at, text.value) {
        reader.problem(at, message, expected);
        return None;
    }
    Some(text.value.to_owned())
}

/// Checks that a text at this place names a model.
pub(crate) fn check_model(at: usize, text: &str) -> Result<(), Problem> {
    let named = text
        .split_once(':')
        .is_some_and(|(provider, model)| !provider.trim().is_empty() && !model.trim().is_empty());
    if named { Ok(()) } else { Err(Problem::new(at, format!("`{text}` names no model"), MODEL)) }
}
