//! The tools of a run file, made real.

use std::sync::Arc;

use executus_core::text::is_sensitive_name;
use executus_core::{Limits, Template, Tool, Toolbox};
use executus_http::{Client, HttpTool, Method};
use executus_playbook::{Bound, HttpMethod, Part, RunFile, ToolDef, ToolKind, value_text};
use executus_process::{Environment, OutputLimits, ProcessTool};

use crate::capabilities::MAX_DRIVER_RESULT;
use crate::fault::Fault;
use crate::models::all;

/// What the mark takes that says how long a cut body was, in bytes.
const MARK: usize = 64;

/// The tools that a file declares, with the run's parameters bound.
///
/// # Errors
/// A tool that cannot work, or of a kind that this host does not have.
pub(crate) fn of_file(file: &RunFile, bound: &Bound) -> Result<Toolbox, Fault> {
    let client = client()?;
    let most = file.limits.over(Limits::default()).max_result_bytes;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let tools = file.tools.iter().map(|tool| {
        let is_driver = file.driven(&tool.name).is_some();
        make(tool, bound, &client, if is_driver { MAX_DRIVER_RESULT } else { most })
    });
    let tools = tools.collect::<Result<Vec<_>, _>>()?;
    Toolbox::new(tools).map_err(|error| Fault::usage(error.to_string()))
}

/// The variables that the tools of a file get and that are not for everybody, by their names.
pub(crate) fn sensitive_variables(file: &RunFile) -> impl Iterator<Item = &str> {
    let variables = file.tools.iter().flat_map(|tool| match &tool.kind {
        ToolKind::Process { env, .. } => env.as_slice(),
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

/// The client of all http tools.
fn client() -> Result<Client, Fault> {
    let client = Client::builder().build();
    client.map_err(|error| Fault::error(format!("no HTTP client: {error}")))
}

/// A tool whose results take this many bytes at most. A tool knows how much it had to say; cut again
/// by the run, its result would be marked with the length of what the tool kept.
fn make(
    tool: &ToolDef,
    bound: &Bound,
    client: &Client,
    most: usize,
) -> Result<Arc<dyn Tool>, Fault> {
    match &tool.kind {
        ToolKind::Process { argv, cwd, env } => {
            let environment = env.iter().fold(Environment::default(), Environment::allow);
            let mut process = ProcessTool::builder(tool.spec())
                .arguments(argv.iter().map(template))
                .environment(environment)
                .output_limits(OutputLimits { stdout: most, ..OutputLimits::default() });
            if let Some(cwd) = cwd {
                process = process.current_dir(template(cwd));
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
        ToolKind::Http { method, url, headers } => {
            let mut http = HttpTool::builder(tool.spec(), client.clone())
                .method(http_method(*method))
                .max_body(most.saturating_sub(MARK))
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
        _ => Err(Fault::usage(format!("tool `{}`: this version has no such kind", tool.name))
            .help("use `kind = \"process\"` or `kind = \"http\"`")),
    }
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
