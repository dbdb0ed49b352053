//! What a call may pass: the arguments checked against the tool's parameters.

use executus_core::ToolError;
use executus_core::text::bounded_to;
use serde_json::{Map, Number, Value};

use crate::outline::values::wrong;

/// The arguments of one call, checked, with the defaults of those that are absent.
///
/// A number or a truth value may come as text: a playbook binds texts, and models mix them up.
///
/// # Errors
/// [`ToolError::Arguments`] for what the tool does not take.
pub(super) fn checked(schema: &Value, args: &Value) -> Result<Map<String, Value>, ToolError> {
    let none = Map::new();
    let declared = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let args = match args {
        Value::Object(args) => args,
        Value::Null => &none,
        other => return Err(wrong(format!("expected an object, found {}", kind(other)))),
    };
    if let Some(unknown) = args.keys().find(|name| !declared.contains_key(*name)) {
        let names: Vec<_> = declared.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(wrong(format!("there is no parameter `{unknown}`; there are: {names}")));
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let mut values = Map::new();
    for (name, schema) in declared {
        let passed = args.get(name).filter(|value| !value.is_null());
        match passed.or_else(|| schema.get("default")) {
            Some(value) => {
                values.insert(name.clone(), admitted(name, schema, value)?);
            }
            None if is_required(name) => return Err(wrong(format!("`{name}` is missing"))),
            None => {}
        }
    }
    Ok(values)
}

/// A value as the schema asks for it.
fn admitted(name: &str, schema: &Value, value: &Value) -> Result<Value, ToolError> {
    let refused = |what: &str| {
        let found = bounded_to(value.to_string(), 80);
        wrong(format!("`{name}` must be {what}, found {found}"))
    };
    let number = |text: &str| text.parse::<f64>().ok().and_then(Number::from_f64);
    let value_of_type = match (schema.get("type").and_then(Value::as_str), value) {
        (Some("integer"), Value::Number(number)) => whole(number).map(Value::Number),
        (Some("integer"), Value::String(text)) => integer(text).map(Value::Number),
        (Some("number"), Value::Number(_)) => Some(value.clone()),
        (Some("number"), Value::String(text)) => {
            integer(text).or_else(|| number(text)).map(Value::Number)
        }
        (Some("boolean"), Value::String(text)) => text.parse().ok().map(Value::Bool),
        (Some("boolean"), _) => value.as_bool().map(Value::Bool),
        (Some("string"), _) => value.is_string().then(|| value.clone()),
        (Some("array"), _) => value.is_array().then(|| value.clone()),
        (Some("object"), _) => value.is_object().then(|| value.clone()),
        (Some("integer" | "number"), _) => None,
        (_, _) => Some(value.clone()),
    };
    let Some(value) = value_of_type else {
        return Err(refused(match schema.get("type").and_then(Value::as_str) {
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("array") => "a list",
            Some("object") => "an object",
            _ => "a text",
        }));
    };
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    if let (Some(number), Some(min)) = (value.as_f64(), bound("minimum"))
        && number < min
    {
        return Err(refused(&format!("at least {min}")));
    }
    if let (Some(number), Some(max)) = (value.as_f64(), bound("maximum"))
        && number > max
    {
        return Err(refused(&format!("at most {max}")));
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && !choices.contains(&value)
    {
        return Err(refused(&format!("one of {}", Value::from(choices.as_slice()))));
    }
    Ok(value)
}

fn integer(text: &str) -> Option<Number> {
    let signed = text.parse::<i64>().ok().map(Number::from);
    signed.or_else(|| text.parse::<u64>().ok().map(Number::from))
}

/// A whole number, also one such as `3.0`, as models write them at times.
fn whole(number: &Number) -> Option<Number> {
    if number.is_i64() || number.is_u64() {
        return Some(number.clone());
    }
    let value = number.as_f64()?;
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(Number::from(value as i64))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_and_checked() {
        let schema = json!({"properties": {
            "n": {"type": "integer", "default": 10, "minimum": 1, "maximum": 50},
            "s": {"type": "string"},
            "b": {"type": "boolean"},
            "f": {"type": "number"},
            "e": {"enum": ["a", "b"]},
            "l": {"type": "array"},
            "o": {"type": "object"},
        }});
        for (args, name, expected) in [
            (json!({}), "n", json!(10)),
            (json!(null), "n", json!(10)),
            (json!({"n": null}), "n", json!(10)),
            (json!({"n": 3}), "n", json!(3)),
            (json!({"n": "3"}), "n", json!(3)),
            (json!({"n": 3.0}), "n", json!(3)),
            (json!({"s": "-x; $(y)\n"}), "s", json!("-x; $(y)\n")),
            (json!({"b": true}), "b", json!(true)),
            (json!({"b": "false"}), "b", json!(false)),
            (json!({"f": 1.5}), "f", json!(1.5)),
            (json!({"f": "1.5"}), "f", json!(1.5)),
            (json!({"f": "2"}), "f", json!(2)),
            (json!({"e": "b"}), "e", json!("b")),
            (json!({"l": [1, "a"]}), "l", json!([1, "a"])),
            (json!({"o": {"x": 1}}), "o", json!({"x": 1})),
        ] {
            assert_eq!(checked(&schema, &args).unwrap().get(name), Some(&expected));
        }
        for (args, part) in [
            (json!([1]), "expected an object, found a list"),
            (json!({"zz": 1}), "no parameter `zz`; there are: "),
            (json!({"n": "3; rm"}), "`n` must be a whole number"),
            (json!({"n": 0}), "at least 1"),
            (json!({"n": 51}), "at most 50"),
            (json!({"n": 1.5}), "a whole number"),
            (json!({"s": ["a", "b"]}), "a text"),
            (json!({"s": 1}), "a text"),
            (json!({"b": "yes"}), "true or false"),
            (json!({"b": 1}), "true or false"),
            (json!({"f": "NaN"}), "a number"),
            (json!({"f": []}), "a number"),
            (json!({"e": "c"}), "one of"),
            (json!({"l": "a"}), "a list"),
            (json!({"o": "a"}), "an object"),
        ] {
            let error = checked(&schema, &args).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let needed = json!({"properties": {"s": {"type": "string"}}, "required": ["s"]});
        let error = checked(&needed, &json!({})).unwrap_err().to_string();
        assert!(error.contains("`s` is missing"), "{error}");
    }
}
