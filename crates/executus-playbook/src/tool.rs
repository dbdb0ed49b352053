//! The tools that a run file declares, as data: a host makes them real.

use std::sync::Arc;
use std::time::Duration;

use executus_core::{Effect, ToolError, ToolSpec};
use serde_json::{Map, Value, json};

use crate::param::ParamDef;
use crate::template::Template;

mod read;

pub(crate) use read::read_tools;

/// A tool of a run file.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDef {
    /// The name that steps and models use.
    pub name: Arc<str>,
    /// What it does, for a model; may be empty.
    pub description: String,
    /// What performing it twice would do.
    pub effect: Effect,
    /// The longest one call may take.
    pub timeout: Option<Duration>,
    /// What a call may pass, in file order.
    pub params: Vec<ParamDef>,
    /// How it is performed.
    pub kind: ToolKind,
}

/// How a tool is performed. Its templates bind the tool's own parameters, then the run's; see
/// [`Bindings`](crate::Bindings).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToolKind {
    /// A child process, never a shell.
    Process {
        /// The program and its arguments, at least one. Each element renders to exactly one
        /// argument. The program binds no parameter of the tool.
        argv: Vec<Template>,
        /// The working directory; `None` for the host's.
        cwd: Option<Template>,
        /// The environment variables that are passed on, by name.
        env: Vec<String>,
    },
    /// A request over HTTP.
    Http {
        /// The method.
        method: HttpMethod,
        /// The address. Arguments that it does not bind go to the query or to the body.
        url: Template,
        /// Header fields, in file order.
        headers: Vec<(String, Template)>,
    },
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl HttpMethod {
    pub(crate) const ALL: [(&str, Self); 5] = [
        ("GET", Self::Get),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
    ];

    /// The name of the method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl ToolDef {
    /// What the executor and a model need to know of the tool.
    #[must_use]
    pub fn spec(&self) -> ToolSpec {
        let mut spec = ToolSpec::new(Arc::clone(&self.name), self.description.as_str())
            .parameters(self.schema())
            .effect(self.effect);
        spec.timeout = self.timeout;
        spec
    }

    /// The arguments as a JSON schema.
    #[must_use]
    pub fn schema(&self) -> Value {
        let properties: Map<_, _> =
            self.params.iter().map(|param| (param.name.clone(), param.schema())).collect();
        let required: Vec<_> = self
            .params
            .iter()
            .filter(|param| param.default.is_none())
            .map(|param| param.name.as_str())
            .collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// The parameter with this name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&ParamDef> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The arguments of a call, checked, with the defaults of those that are absent.
    ///
    /// # Errors
    /// [`ToolError::Arguments`] names the first argument that is unknown, missing, or not what the
    /// parameter takes.
    pub fn arguments(&self, args: &Value) -> Result<Value, ToolError> {
        let given = match args {
            Value::Object(given) => given,
            Value::Null => &Map::new(),
            _ => return Err(ToolError::arguments("the arguments are not an object")),
        };
        if let Some(unknown) = given.keys().find(|name| self.param(name).is_none()) {
            let known: Vec<_> = self.params.iter().map(|param| param.name.as_str()).collect();
            return Err(ToolError::arguments(format!(
                "there is no argument `{unknown}`; there are: {}",
                crate::diagnostic::listed(known)
            )));
        }
        let mut args = Map::new();
        for param in &self.params {
            let value = match (given.get(&param.name), &param.default) {
                (Some(value), _) if param.admits(value) => value,
                (None, Some(default)) => default,
                (Some(_), _) => {
                    return Err(ToolError::arguments(format!(
                        "`{}` is not {}",
                        param.name,
                        param.expected()
                    )));
                }
                (None, None) => {
                    return Err(ToolError::arguments(format!("`{}` is missing", param.name)));
                }
            };
            args.insert(param.name.clone(), value.clone());
        }
        Ok(Value::Object(args))
    }
}
