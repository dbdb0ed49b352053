//! The servers of the Model Context Protocol that a run file names, and their tools.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::secret::Secret;
use executus_core::{Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use executus_mcp::{McpLimits, McpServer, McpTool};
use executus_playbook::{Bound, McpEndpoint, RunFile, ToolDef, ToolKind};
use executus_process::Environment;
use serde_json::Value;

use super::client::Clients;
use crate::fault::Fault;

mod endpoint;

use endpoint::Endpoint;

/// The servers of a run: one for all tools that reach it in the same way.
pub(super) struct Servers {
    all: Vec<McpServer>,
    /// The server of each tool.
    of_tools: Vec<(Arc<str>, McpServer)>,
}

/// A server that is not made yet.
struct Planned<'f> {
    endpoint: Endpoint,
    /// The tools that it has; the first one gives it its name in errors.
    tools: Vec<&'f ToolDef>,
    most: usize,
}

impl Servers {
    /// Those of a file. None is started yet.
    ///
    /// # Errors
    /// A server that cannot be reached like this.
    pub(super) fn of_file(
        file: &RunFile,
        bound: &Bound,
        clients: &mut Clients<'_>,
        most: impl Fn(&ToolDef) -> usize,
    ) -> Result<Self, Fault> {
        let mut planned: Vec<Planned<'_>> = Vec::new();
        for tool in &file.tools {
            let ToolKind::Mcp { server, .. } = &tool.kind else { continue };
            let endpoint = endpoint(tool, server, bound)?;
            let most = most(tool);
            match planned.iter_mut().find(|planned| planned.endpoint == endpoint) {
                Some(planned) => {
                    planned.tools.push(tool);
                    planned.most = planned.most.max(most);
                }
                None => planned.push(Planned { endpoint, tools: vec![tool], most }),
            }
        }
        let mut servers = Self { all: Vec::new(), of_tools: Vec::new() };
        for planned in planned {
            let names: Vec<_> = planned.tools.iter().map(|tool| Arc::clone(&tool.name)).collect();
            let server = planned.make(clients)?;
            servers.of_tools.extend(names.into_iter().map(|name| (name, server.clone())));
            servers.all.push(server);
        }
        Ok(servers)
    }

    /// A tool of one of them.
    ///
    /// # Errors
    /// A tool that is of none.
    pub(super) fn tool(&self, def: &Arc<ToolDef>) -> Result<Arc<dyn Tool>, Fault> {
        let mut servers = self.of_tools.iter().filter(|(name, _)| *name == def.name);
        let (ToolKind::Mcp { tool, .. }, Some((_, server))) = (&def.kind, servers.next()) else {
            return Err(super::other_kind(def));
        };
        let remote = tool.as_deref().unwrap_or(&def.name);
        let tool = server.tool(remote, def.spec());
        Ok(Arc::new(Checked { def: Arc::clone(def), tool }))
    }

    /// All of them, to be closed.
    pub(super) fn into_all(self) -> Vec<McpServer> {
        self.all
    }
}

fn endpoint(tool: &ToolDef, server: &McpEndpoint, bound: &Bound) -> Result<Endpoint, Fault> {
    let endpoint = Endpoint::bind(server, bound);
    endpoint.map_err(|message| Fault::usage(format!("tool `{}`: {message}", tool.name)))
}

impl Planned<'_> {
    fn make(self, clients: &mut Clients<'_>) -> Result<McpServer, Fault> {
        let name = self.tools.first().map_or("", |tool| &*tool.name);
        let builder = match self.endpoint {
            Endpoint::Stdio { argv, cwd, env } => {
                let environment = env.iter().fold(Environment::default(), Environment::allow);
                let builder = McpServer::stdio(name, argv).environment(environment);
                match cwd {
                    Some(cwd) => builder.current_dir(PathBuf::from(cwd)),
                    None => builder,
                }
            }
            Endpoint::Http { url, headers } => {
                let builder = McpServer::http(name, url, clients.that_allows(&[])?);
                headers.into_iter().fold(builder, |builder, (name, value)| {
                    builder.secret_header(name, Secret::new(value))
                })
            }
        };
        let limits = McpLimits::default();
        let data_bytes = limits.data_bytes.max(self.most);
        let limits = McpLimits { text_bytes: self.most, data_bytes, ..limits };
        builder.limits(limits).build().map_err(|error| Fault::usage(error.to_string()))
    }
}

/// A tool of a server that takes what the file says, and not what the server says.
struct Checked {
    def: Arc<ToolDef>,
    tool: McpTool,
}

#[async_trait]
impl Tool for Checked {
    fn spec(&self) -> &ToolSpec {
        self.tool.spec()
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let args = self.def.arguments(args)?;
        self.tool.call(context, &args).await
    }
}
