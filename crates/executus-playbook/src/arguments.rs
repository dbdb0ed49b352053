//! The arguments of a step's call, bound: sensitive values stay out of them, as slots.

use executus_core::text::REDACTED;
use executus_core::transcript::{SecretPart, SecretSlot};
use serde_json::{Map, Value};

use crate::param::ParamDef;
use crate::progress::Known;
use crate::step::Arg;
use crate::template::{Part, Template};
use crate::tool::ToolDef;
use crate::value::ParamType;

/// The arguments of a call: an object, and where secrets go in it.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) args: Map<String, Value>,
    pub(crate) secrets: Vec<SecretSlot>,
}

/// Binds the arguments of a step's call.
///
/// # Errors
/// A bound text that is not what the tool's parameter takes, in words.
pub(crate) fn bind_arguments(
    tool: &ToolDef,
    args: &[(String, Arg)],
    known: &Known<'_>,
) -> Result<Arguments, String> {
    let mut bound = Arguments::default();
    for (name, arg) in args {
        let value = bind(arg, known, &mut format!("/{}", escaped(name)), &mut bound.secrets);
        let value = typed(value, arg, tool.param(name))
            .map_err(|expected| format!("the argument `{name}` is not {expected}"))?;
        bound.args.insert(name.clone(), value);
    }
    Ok(bound)
}

/// The arguments as far as they are known: what nothing binds yet shows as `{name}`.
pub(crate) fn show_arguments(args: &[(String, Arg)], known: &Known<'_>) -> Value {
    let shown = |arg| bind(arg, known, &mut String::new(), &mut Vec::new());
    args.iter().map(|(name, arg)| (name.clone(), shown(arg))).collect::<Map<_, _>>().into()
}

fn bind(
    arg: &Arg,
    known: &Known<'_>,
    pointer: &mut String,
    secrets: &mut Vec<SecretSlot>,
) -> Value {
    let mut within = |segment: &str, arg: &Arg, pointer: &mut String| {
        let len = pointer.len();
        pointer.push('/');
        pointer.push_str(segment);
        let value = bind(arg, known, pointer, secrets);
        pointer.truncate(len);
        value
    };
    match arg {
        Arg::Plain(value) => value.clone(),
        Arg::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| within(&at.to_string(), item, pointer))
            .collect(),
        Arg::Table(entries) => entries
            .iter()
            .map(|(key, item)| (key.clone(), within(&escaped(key), item, pointer)))
            .collect::<Map<_, _>>()
            .into(),
        Arg::Text(template) if template.names().any(|name| known.is_sensitive(name)) => {
            secrets.push(SecretSlot { pointer: pointer.clone(), parts: parts(template, known) });
            Value::from(REDACTED)
        }
        Arg::Text(template) => Value::from(known.render(template)),
    }
}

fn parts(template: &Template, known: &Known<'_>) -> Vec<SecretPart> {
    let part = |part: &Part| match part {
        Part::Name(name) if known.is_sensitive(name) => SecretPart::Secret(name.clone()),
        Part::Name(name) => SecretPart::Text(known.show(name).unwrap_or_default().into_owned()),
        Part::Text(text) => SecretPart::Text(text.clone()),
    };
    template.parts().iter().map(part).collect()
}

/// A bound text as the type that the tool declares.
fn typed(value: Value, arg: &Arg, param: Option<&ParamDef>) -> Result<Value, String> {
    match (arg, param, &value) {
        (Arg::Text(_), Some(param), Value::String(text)) if param.ty != ParamType::String => {
            param.parse(text.trim()).ok_or_else(|| param.expected())
        }
        _ => Ok(value),
    }
}

/// A key as a segment of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
