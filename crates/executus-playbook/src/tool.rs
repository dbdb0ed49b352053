//! The tools that a run file declares, as data: a host makes them real.

use std::sync::Arc;
use std::time::Duration;

use executus_core::{ApprovalLimit, Effect, ToolError, ToolSpec};
use serde_json::Value;

use crate::fields::{check, schema};
use crate::param::ParamDef;
use crate::template::Template;

mod network;
mod read;

pub use network::NetworkDef;
pub(crate) use read::{read_approval, read_tools};

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
    /// How long somebody has to approve each call; `None`: nobody has to.
    pub approval: Option<ApprovalLimit>,
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
        /// What it reads; `None` for an empty input.
        stdin: Option<Template>,
        /// What it has to end by itself once it was asked to; `None` for the host's.
        grace: Option<Duration>,
        /// Whether what it started and left its group is ended with it.
        end_strays: bool,
    },
    /// A request over HTTP.
    Http {
        /// The method.
        method: HttpMethod,
        /// The address. Arguments that it does not bind go to the query or to the body.
        url: Template,
        /// Header fields, in file order.
        headers: Vec<(String, Template)>,
        /// How many redirects are followed, one after the other.
        follow_redirects: u32,
        /// Where it may go beside where the host lets it.
        allow: Vec<NetworkDef>,
    },
    /// A tool of a server of the Model Context Protocol.
    Mcp {
        /// The server. Tools with the same one share it.
        server: McpEndpoint,
        /// What the server calls the tool; `None` for the tool's own name.
        tool: Option<String>,
    },
}

/// How a server of the Model Context Protocol is reached. Its templates bind parameters of the run
/// alone.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum McpEndpoint {
    /// A child that speaks on its pipes, never through a shell.
    Stdio {
        /// The program and its arguments, at least one.
        argv: Vec<Template>,
        /// The working directory; `None` for the host's.
        cwd: Option<Template>,
        /// The environment variables that are passed on, by name.
        env: Vec<String>,
    },
    /// An address that speaks streamable HTTP.
    Http {
        /// The address. It binds no sensitive parameter.
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
        spec.approval = self.approval;
        spec
    }

    /// The arguments as a JSON schema.
    #[must_use]
    pub fn schema(&self) -> Value {
        schema(&self.params)
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
        check(&self.params, args, "argument").map_err(ToolError::arguments)
    }
}
