//! The tools of a run file, made real.

use std::sync::Arc;
use std::time::Duration;

use executus_core::text::is_sensitive_name;
use executus_core::{Limits, Template, Tool, Toolbox};
use executus_http::{HttpTool, Method};
use executus_mcp::McpServer;
use executus_playbook::{
    Bound, HttpMethod, McpEndpoint, Part, RunFile, ToolDef, ToolKind, value_text,
};
use executus_process::{Environment, OutputLimits, ProcessTool, Processes};
use futures_util::future::join_all;

use crate::capabilities::MAX_DRIVER_RESULT;
use crate::config::HttpConfig;
use crate::fault::Fault;
use crate::models::all;

mod client;
mod server;

use client::Clients;
use server::Servers;

/// What the mark takes that says how long a cut body was, in bytes.
const MARK: usize = 64;

/// How long children may take to end once nobody waits for them any more.
const GRACE: Duration = Duration::from_secs(1);

/// What tools have outside of this process.
pub(crate) struct Outside {
    processes: Processes,
    servers: Vec<McpServer>,
}

impl Outside {
    /// The servers of tools.
    pub(crate) fn servers(&self) -> &[McpServer] {
        &self.servers
    }

    /// Ends all of it: servers in order and at the same time, then what is left of children.
    pub(crate) async fn close(&self) {
        join_all(self.servers.iter().map(McpServer::close)).await;
        for left in self.processes.close(GRACE).await {
            tracing::error!(pid = left.pid, program = left.program, "a child did not end");
        }
    }
}

/// The tools that a file declares, with the run's parameters bound. Nothing is started yet.
///
/// # Errors
/// A tool that cannot work.
pub(crate) fn of_file(
    file: &RunFile,
    bound: &Bound,
    http: &HttpConfig,
) -> Result<(Toolbox, Outside), Fault> {
    let kept = file.limits.over(Limits::default()).max_result_bytes;
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    // A tool knows how much it had to say; cut again by the run, its result would be marked with the
    // length of what the tool kept.
    let most = |tool: &ToolDef| {
        if file.driven(&tool.name).is_some() { MAX_DRIVER_RESULT } else { kept }
    };
    let mut clients = Clients::new(http);
    let servers = Servers::of_file(file, bound, &mut clients, most)?;
    let processes = Processes::new();
    let tools = file.tools.iter().map(|tool| match &tool.kind {
        ToolKind::Process { .. } => process(tool, bound, most(tool), &processes),
        ToolKind::Http { .. } => request(tool, bound, most(tool), &mut clients),
        ToolKind::Mcp { .. } => servers.tool(tool),
        _ => Err(Fault::usage(format!("tool `{}`: this version has no such kind", tool.name))
            .help("use `kind = \"process\"`, `kind = \"http\"` or `kind = \"mcp\"`")),
    });
    let tools = tools.collect::<Result<Vec<_>, _>>()?;
    let tools = Toolbox::new(tools).map_err(|error| Fault::usage(error.to_string()))?;
    Ok((tools, Outside { processes, servers: servers.into_all() }))
}

/// The variables that the tools of a file get and that are not for everybody, by their names.
pub(crate) fn sensitive_variables(file: &RunFile) -> impl Iterator<Item = &str> {
    let variables = file.tools.iter().flat_map(|tool| match &tool.kind {
        ToolKind::Process { env, .. }
        | ToolKind::Mcp { server: McpEndpoint::Stdio { env, .. }, .. } => env.as_slice(),
        _ => &[],
    });
    variables.map(|name| &**name).filter(|name| holds_a_secret(name))
}

/// Whether a variable of this name holds a secret: in an environment, what is called so, is one.
fn holds_a_secret(name: &str) -> bool {
    const ENDS: [&str; 6] = ["TOKEN", "SECRET", "PASSWORD", "PASSPHRASE", "CREDENTIALS", "KEY"];
    let name = name.to_ascii_uppercase();
    is_sensitive_name(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// A child process, whose results take this many bytes at most.
fn process(
    tool: &ToolDef,
    bound: &Bound,
    most: usize,
    processes: &Processes,
) -> Result<Arc<dyn Tool>, Fault> {
    let ToolKind::Process { argv, cwd, env, stdin, grace, end_strays } = &tool.kind else {
        return Err(other_kind(tool));
    };
    let environment = env.iter().fold(Environment::default(), Environment::allow);
    let mut process = ProcessTool::builder(tool.spec())
        .arguments(argv.iter().map(template))
        .environment(environment)
        .processes(processes)
        .output_limits(OutputLimits { stdout: most, ..OutputLimits::default() });
    if let Some(cwd) = cwd {
        process = process.current_dir(template(cwd));
    }
    if let Some(stdin) = stdin {
        process = process.input(template(stdin));
    }
    if let Some(grace) = grace {
        process = process.grace(*grace);
    }
    if *end_strays {
        process = process.end_strays();
    }
    for (name, value) in bound.inputs.as_object().into_iter().flatten() {
        process = process.bind(name, value_text(value));
    }
    for (name, secret) in all(&bound.secrets) {
        process = process.bind_secret(name, secret);
    }
    let process = process.build().map_err(|error| Fault::usage(error.to_string()))?;
    Ok(Arc::new(process))
}

/// A request over HTTP, whose results take this many bytes at most.
fn request(
    tool: &ToolDef,
    bound: &Bound,
    most: usize,
    clients: &mut Clients<'_>,
) -> Result<Arc<dyn Tool>, Fault> {
    let ToolKind::Http { method, url, headers, follow_redirects, allow } = &tool.kind else {
        return Err(other_kind(tool));
    };
    let mut http = HttpTool::builder(tool.spec(), clients.that_allows(allow)?)
        .method(http_method(*method))
        .max_body(most.saturating_sub(MARK))
        .follow_redirects(*follow_redirects)
        .url(template(url));
    for (name, value) in headers {
        http = http.header(name, template(value));
    }
    for (name, value) in bound.inputs.as_object().into_iter().flatten() {
        http = http.bind(name, value_text(value));
    }
    for (name, secret) in all(&bound.secrets) {
        http = http.bind_secret(name, secret);
    }
    let http = http.build().map_err(|error| Fault::usage(error.to_string()))?;
    Ok(Arc::new(http))
}

/// What is said of a tool that was taken for another kind.
fn other_kind(tool: &ToolDef) -> Fault {
    Fault::error(format!("tool `{}` is of another kind", tool.name))
}

const fn http_method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::Get,
        HttpMethod::Post => Method::Post,
        HttpMethod::Put => Method::Put,
        HttpMethod::Patch => Method::Patch,
        HttpMethod::Delete => Method::Delete,
    }
}

/// A text of a run file as what tools take.
fn template(source: &executus_playbook::Template) -> Template {
    source.parts().iter().fold(Template::new(), |template, part| match part {
        Part::Text(text) => template.text(text),
        Part::Name(name) => template.place(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_with_secrets_are_known_by_name() {
        for name in ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "client_secret"] {
            assert!(holds_a_secret(name), "{name}");
        }
        for name in ["PATH", "HOME", "LANG", "TOKENS_PER_MINUTE", "KEYBOARD"] {
            assert!(!holds_a_secret(name), "{name}");
        }
    }
}
