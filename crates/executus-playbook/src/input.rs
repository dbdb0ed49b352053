//! Binding inputs: from `K=V` texts and the environment to the typed values of a run.

use executus_core::secret::{Secret, Secrets};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::diagnostic::one_line;
use crate::file::RunFile;
use crate::param::ParamDef;
use crate::value::value_text;

/// The parameters of a run, bound.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The parameters that are not sensitive, an object: for `RunSpec::inputs`.
    pub inputs: Value,
    /// The sensitive ones.
    pub secrets: Secrets,
}

/// Why inputs cannot be bound. No message ever holds a sensitive value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file declares no such parameter.
    #[error("there is no parameter `{name}`; {}", known(.declared))]
    Undeclared {
        /// What was given.
        name: String,
        /// What there is, in file order.
        declared: Vec<String>,
    },
    /// One parameter was given twice.
    #[error("the parameter `{name}` is given twice; give it once")]
    Repeated {
        /// Which.
        name: String,
    },
    /// A parameter without a default was not given.
    #[error(
        "the parameter `{name}` is missing; give it as an input, {expected}{}",
        env.as_ref().map(|env| format!(", or set the environment variable {env}")).unwrap_or_default()
    )]
    Missing {
        /// Which.
        name: String,
        /// What it must be.
        expected: String,
        /// The environment variable that would give it.
        env: Option<String>,
    },
    /// The value is not what the parameter takes.
    #[error("the parameter `{name}` is {value}{}; expected {expected}", origin(.env.as_deref()))]
    Unfit {
        /// Which.
        name: String,
        /// The value in quotes, or `[redacted]`.
        value: String,
        /// What it must be.
        expected: String,
        /// The environment variable that it came from; `None` for an input.
        env: Option<String>,
    },
}

fn known(names: &[String]) -> String {
    match names {
        [] => "the file declares none".into(),
        _ => format!("there are: {}", names.join(", ")),
    }
}

fn origin(env: Option<&str>) -> String {
    env.map(|env| format!(" in the environment variable {env}")).unwrap_or_default()
}

impl RunFile {
    /// Binds every parameter: an input goes before the environment, that before the default.
    /// `env` answers for the environment.
    ///
    /// # Errors
    /// [`InputError`] for the first input, then the first parameter, that is not as declared.
    pub fn bind(
        &self,
        inputs: &[(String, String)],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bound, InputError> {
        for (at, (name, _)) in inputs.iter().enumerate() {
            if self.param(name).is_none() {
                let declared = self.params.iter().map(|param| param.name.clone()).collect();
                return Err(InputError::Undeclared { name: one_line(name), declared });
            }
            if inputs.iter().take(at).any(|(other, _)| other == name) {
                return Err(InputError::Repeated { name: name.clone() });
            }
        }
        let mut public = Map::new();
        let mut secrets = Vec::new();
        for param in &self.params {
            let input = inputs.iter().find(|(name, _)| *name == param.name);
            let value = match input {
                Some((_, text)) => fit(param, text, None)?,
                None => fallback(param, env)?,
            };
            if param.sensitive {
                secrets.push((param.name.clone(), Secret::new(value_text(&value))));
            } else {
                public.insert(param.name.clone(), value);
            }
        }
        Ok(Bound { inputs: Value::Object(public), secrets: secrets.into_iter().collect() })
    }
}

fn fallback(param: &ParamDef, env: &dyn Fn(&str) -> Option<String>) -> Result<Value, InputError> {
    if let Some((name, text)) = param.env.as_ref().and_then(|name| Some((name, env(name)?))) {
        return fit(param, &text, Some(name));
    }
    param.default.clone().ok_or_else(|| InputError::Missing {
        name: param.name.clone(),
        expected: param.expected(),
        env: param.env.clone(),
    })
}

fn fit(param: &ParamDef, text: &str, env: Option<&String>) -> Result<Value, InputError> {
    param.parse(text).ok_or_else(|| InputError::Unfit {
        name: param.name.clone(),
        value: if param.sensitive {
            "[redacted]".into()
        } else {
            format!("\"{}\"", one_line(text))
        },
        expected: param.expected(),
        env: env.cloned(),
    })
}
