//! Values of parameters and arguments: types, bounds, and their texts.

use std::borrow::Cow;

use serde_json::{Number, Value};
use toml::de::DeValue;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// A text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A finite number.
    Number,
    /// True or false.
    Boolean,
    /// An array; for arguments of tools only.
    Array,
    /// An object; for arguments of tools only.
    Object,
}

impl ParamType {
    /// The types of a run's parameters, by name.
    pub(crate) const SCALARS: [(&str, Self); 4] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
    ];

    /// The types of a tool's arguments, by name.
    pub(crate) const ALL: [(&str, Self); 6] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    /// The name in run files and JSON schemas.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    pub(crate) const fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }

    /// Whether the value is of this type.
    pub(crate) fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// Reads a text as a value of this type.
    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::String => Some(Value::from(text)),
            Self::Integer => text.parse::<i64>().ok().map(Value::from),
            Self::Number => {
                let whole = text.parse::<i64>().ok().map(Value::from);
                // `inf` and `NaN` are numbers to `f64` and none to JSON.
                whole.or_else(|| Number::from_f64(text.parse().ok()?).map(Value::from))
            }
            Self::Boolean => text.parse::<bool>().ok().map(Value::from),
            Self::Array | Self::Object => None,
        }
    }
}

/// The text of a value: a string as it stands, anything else as JSON.
#[must_use]
pub fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

/// A TOML value as JSON. `None` for what JSON does not have: dates, infinities, integers of more
/// than 64 bits.
pub(crate) fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(integer) => {
            Value::from(i64::from_str_radix(integer.as_str(), integer.radix()).ok()?)
        }
        DeValue::Float(float) => Value::from(Number::from_f64(float.as_str().parse().ok()?)?),
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, item)| Some((key.get_ref().to_string(), json(item.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Whether `a` is less than `b`; whole numbers are compared exactly.
pub(crate) fn less(a: &Number, b: &Number) -> bool {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a < b),
    }
}
