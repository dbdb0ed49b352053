//! What a call may pass: the arguments checked against the tool's parameters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ProcessError;

/// The values that one call binds.
#[derive(Debug)]
pub(crate) struct Parameters<'a> {
    /// The properties of the tool's schema.
    declared: Option<&'a Map<String, Value>>,
    args: Option<&'a Map<String, Value>>,
    /// The parameters of the run.
    bound: &'a BTreeMap<String, Bound>,
}

/// A parameter of the run, for every call.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    Text(String),
    Secret(executus_core::secret::Secret),
}

impl<'a> Parameters<'a> {
    /// The values of one call.
    ///
    /// # Errors
    /// [`ProcessError::Arguments`] for what the tool does not take.
    pub(crate) fn of_call(
        schema: &'a Value,
        args: &'a Value,
        bound: &'a BTreeMap<String, Bound>,
    ) -> Result<Self, ProcessError> {
        let declared = schema.get("properties").and_then(Value::as_object);
        let args = match args {
            Value::Object(args) => Some(args),
            Value::Null => None,
            other => return Err(wrong(format!("expected an object, found {}", kind(other)))),
        };
        let of_call = Self { declared, args, bound };
        for name in args.into_iter().flat_map(Map::keys) {
            if !declared.is_some_and(|declared| declared.contains_key(name)) {
                return Err(wrong(format!(
                    "there is no parameter `{name}`; there are: {}",
                    of_call.names()
                )));
            }
        }
        Ok(of_call)
    }

    /// The text of one parameter: what the call passes, the tool's default, the run's value.
    pub(crate) fn get(&self, name: &str) -> Result<Cow<'a, str>, ProcessError> {
        if let Some(schema) = self.declared.and_then(|declared| declared.get(name)) {
            let passed = self.args.and_then(|args| args.get(name)).filter(|value| !value.is_null());
            if let Some(value) = passed.or_else(|| schema.get("default")) {
                return text(name, schema, value);
            }
        }
        match self.bound.get(name) {
            Some(Bound::Text(text)) => Ok(Cow::from(text)),
            Some(Bound::Secret(secret)) => Ok(Cow::from(secret.expose().to_owned())),
            None => Err(wrong(format!("`{name}` is missing"))),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.declared.into_iter().flat_map(Map::keys).cloned().collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

/// A value as the text of an argument, if it is what the schema asks for.
///
/// A number or a truth value may come as text: a playbook binds texts, and models mix them up.
fn text<'a>(name: &str, schema: &Value, value: &'a Value) -> Result<Cow<'a, str>, ProcessError> {
    let expected = schema.get("type").and_then(Value::as_str);
    let refused = |what: &str| wrong(format!("`{name}` must be {what}, found {}", shown(value)));
    let text = match value {
        Value::String(text) => Cow::from(text),
        Value::Bool(_) | Value::Number(_) => Cow::from(value.to_string()),
        // One argument, written as JSON: only where the tool asks for it.
        Value::Array(_) if expected == Some("array") => Cow::from(value.to_string()),
        Value::Object(_) if expected == Some("object") => Cow::from(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(refused("a single value")),
    };
    let (text, number) = match expected {
        Some("integer") => {
            let whole = text.parse::<i128>().ok().or_else(|| whole(value));
            let whole = whole.ok_or_else(|| refused("a whole number"))?;
            (Cow::from(whole.to_string()), Some(whole as f64))
        }
        Some("number") => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            (text, Some(number.ok_or_else(|| refused("a number"))?))
        }
        Some("boolean") if !matches!(&*text, "true" | "false") => {
            return Err(refused("true or false"));
        }
        Some("array") if !value.is_array() => return Err(refused("a list")),
        Some("object") if !value.is_object() => return Err(refused("an object")),
        Some("string") if !value.is_string() => return Err(refused("a text")),
        _ => (text, None),
    };
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    if let (Some(number), Some(min)) = (number, bound("minimum"))
        && number < min
    {
        return Err(refused(&format!("at least {min}")));
    }
    if let (Some(number), Some(max)) = (number, bound("maximum"))
        && number > max
    {
        return Err(refused(&format!("at most {max}")));
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && !choices.contains(value)
    {
        return Err(refused(&format!("one of {}", Value::from(choices.as_slice()))));
    }
    Ok(text)
}

/// A number such as `3.0`, as models write whole numbers at times.
fn whole(value: &Value) -> Option<i128> {
    let number = value.as_f64()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i128)
}

fn wrong(message: String) -> ProcessError {
    ProcessError::Arguments { message }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value in an error: short.
fn shown(value: &Value) -> String {
    executus_core::text::bounded_to(value.to_string(), 80)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn get(schema: &Value, args: Value, name: &str) -> Result<String, String> {
        let bound = BTreeMap::from([("repo".to_owned(), Bound::Text("/r".to_owned()))]);
        Parameters::of_call(schema, &args, &bound)
            .and_then(|of_call| of_call.get(name).map(Cow::into_owned))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_found_and_checked() {
        let schema = json!({"properties": {
            "n": {"type": "integer", "default": 10, "minimum": 1, "maximum": 50},
            "s": {"type": "string"},
            "b": {"type": "boolean"},
            "f": {"type": "number"},
            "e": {"enum": ["a", "b"]},
            "l": {"type": "array"},
        }});
        for (args, name, expected) in [
            (json!({}), "n", "10"),
            (json!(null), "n", "10"),
            (json!({"n": null}), "n", "10"),
            (json!({"n": 3}), "n", "3"),
            (json!({"n": "3"}), "n", "3"),
            (json!({"n": 3.0}), "n", "3"),
            (json!({"s": "-x; $(y)\n"}), "s", "-x; $(y)\n"),
            (json!({"b": true}), "b", "true"),
            (json!({"f": 1.5}), "f", "1.5"),
            (json!({"e": "b"}), "e", "b"),
            (json!({"l": [1, "a"]}), "l", r#"[1,"a"]"#),
            (json!({}), "repo", "/r"),
        ] {
            assert_eq!(get(&schema, args, name).as_deref(), Ok(expected));
        }
        for (args, name, part) in [
            (json!([1]), "n", "expected an object, found a list"),
            (json!({"zz": 1}), "n", "no parameter `zz`; there are: "),
            // A parameter of the run is not for the caller of a tool to set.
            (json!({"repo": "/etc"}), "repo", "no parameter `repo`"),
            (json!({"n": "3; rm"}), "n", "`n` must be a whole number"),
            (json!({"n": 0}), "n", "at least 1"),
            (json!({"n": 51}), "n", "at most 50"),
            (json!({"n": 1.5}), "n", "a whole number"),
            (json!({"s": ["a", "b"]}), "s", "a single value"),
            (json!({"s": 1}), "s", "a text"),
            (json!({}), "s", "`s` is missing"),
            (json!({"b": "yes"}), "b", "true or false"),
            (json!({"f": "NaN"}), "f", "a number"),
            (json!({"e": "c"}), "e", "one of"),
            (json!({"l": "a"}), "l", "a list"),
        ] {
            let error = get(&schema, args, name).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
