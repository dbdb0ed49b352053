//! A program as a tool.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::secret::Secret;
use executus_core::{Template, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::argument::bound;
use crate::capture::{OutputLimits, Text};
use crate::child::{self, DRAIN, Finished, TERM_GRACE};
use crate::environment::Environment;
use crate::error::{BuildError, ProcessError};
use crate::escape::strip_escapes;
use crate::parameters::{Bound, Parameters};

/// How much of what a failed child said goes into its error, in bytes.
const COMPLAINT: usize = 2048;

/// Runs one program per call.
///
/// **Result**: the child's standard output as text, broken UTF-8 replaced, one trailing newline
/// off; as data its exit code, the sizes of its output and the end of its standard error. A
/// non-zero exit is [`ToolError::Failed`] with the end of standard error.
///
/// **Time**: at the spec's timeout the child's group gets `SIGTERM`, and `SIGKILL` 200 ms later;
/// the call then fails with [`ToolError::Timeout`]. A process that left the group (`setsid`) is
/// not reached, but cannot hold the call: 250 ms after the child's end its output is taken as it
/// is.
///
/// **Cancellation**: at the run's cancel as at the timeout; when the future is dropped the whole
/// group gets `SIGKILL` at once and the child is waited for in the background.
///
/// **Secrets** in an argument can be read in the system's process list while the child runs; pass
/// them as environment variables where the program allows it.
pub struct ProcessTool {
    spec: ToolSpec,
    timeout: Option<Duration>,
    argv: Vec<Template>,
    bound: BTreeMap<String, Bound>,
    environment: Arc<Environment>,
    secret_environment: Vec<(String, Secret)>,
    current_dir: Option<Template>,
    limits: OutputLimits,
}

impl ProcessTool {
    /// A tool with this spec, whose `parameters` say what a call may pass and whose `timeout` how
    /// long the child may run.
    #[must_use]
    pub fn builder(spec: ToolSpec) -> ProcessToolBuilder {
        ProcessToolBuilder {
            tool: Self {
                timeout: spec.timeout,
                spec,
                argv: Vec::new(),
                bound: BTreeMap::new(),
                environment: Arc::default(),
                secret_environment: Vec::new(),
                current_dir: None,
                limits: OutputLimits::default(),
            },
        }
    }

    /// The program of one call, and what starts it.
    fn command(&self, args: &Value) -> Result<(String, Command), ProcessError> {
        let parameters = Parameters::of_call(&self.spec.parameters, args, &self.bound)?;
        let bind = |argument: &Template| bound(argument, |name| parameters.get(name));
        // A built tool has a program.
        let program = self.argv.first().map(bind).transpose()?.unwrap_or_default();
        let mut command = Command::new(&program);
        for argument in self.argv.iter().skip(1) {
            command.arg(bind(argument)?);
        }
        command.env_clear().envs(self.environment.iter());
        for (name, secret) in &self.secret_environment {
            command.env(name, secret.expose());
        }
        if let Some(folder) = &self.current_dir {
            command.current_dir(bind(folder)?);
        }
        Ok((program, command))
    }
}

#[async_trait]
impl Tool for ProcessTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let (program, command) = self.command(args)?;
        let stopped = context.cancellation().cancelled();
        let finished = child::run(&program, command, self.limits, self.timeout, stopped).await?;
        tracing::debug!(program, status = %finished.status, "child ended");
        Ok(output(&program, finished)?)
    }
}

fn output(program: &str, finished: Finished) -> Result<ToolOutput, ProcessError> {
    let Finished { status, stdout, stderr, held } = finished;
    if !status.success() {
        let complaint = match complaint(&stderr.kept) {
            silent if silent.is_empty() => complaint(&stdout.kept),
            said => said,
        };
        return Err(ProcessError::Exit { program: program.to_owned(), status, complaint });
    }
    let mut data = json!({
        "exit_code": status.code(),
        "stdout_bytes": stdout.total,
        "stderr_bytes": stderr.total,
    });
    let Text { text, is_cut } = stdout.into_text();
    if is_cut {
        data["stdout_cut"] = true.into();
    }
    if held {
        data["pipe_held"] = true.into();
    }
    if stderr.total > 0 {
        data["stderr"] = tail(&stderr.kept).into();
    }
    Ok(ToolOutput { data: Some(data), ..ToolOutput::text(text) })
}

/// The last of an output, for an error: short and safe to print.
fn complaint(bytes: &[u8]) -> String {
    strip_escapes(&tail(bytes)).trim().to_owned()
}

/// The last [`COMPLAINT`] bytes, from the beginning of a line where there is one.
fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(COMPLAINT);
    let line = match bytes[from..].iter().position(|&byte| byte == b'\n') {
        Some(newline) if from > 0 && from + newline + 1 < bytes.len() => from + newline + 1,
        _ => from,
    };
    let mut text = String::from_utf8_lossy(&bytes[line..]).into_owned();
    // A broken byte takes three as text.
    let over = text.len().saturating_sub(COMPLAINT);
    text.drain(..text.ceil_char_boundary(over));
    text
}

impl fmt::Debug for ProcessTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessTool")
            .field("name", &self.spec.name)
            .field("argv", &self.argv)
            .finish_non_exhaustive()
    }
}

/// Collects what a [`ProcessTool`] needs.
#[derive(Debug)]
pub struct ProcessToolBuilder {
    tool: ProcessTool,
}

impl ProcessToolBuilder {
    /// The argument vector, the program first; see [`Template`] for its `{name}` places.
    #[must_use]
    pub fn argv<S: AsRef<str>>(self, argv: impl IntoIterator<Item = S>) -> Self {
        self.arguments(argv.into_iter().map(|element| Template::parse(element.as_ref())))
    }

    /// The argument vector from parsed elements.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = Template>) -> Self {
        self.tool.argv = arguments.into_iter().collect();
        self
    }

    /// A parameter of the run: bound in every call, and not for the call to set.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tool.bound.insert(name.into(), Bound::Text(value.into()));
        self
    }

    /// A sensitive parameter of the run.
    #[must_use]
    pub fn bind_secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.bound.insert(name.into(), Bound::Secret(value));
        self
    }

    /// The child's environment; [`Environment::default`] without this.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<Arc<Environment>>) -> Self {
        self.tool.environment = environment.into();
        self
    }

    /// A variable of the child with a sensitive value.
    #[must_use]
    pub fn secret_variable(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.secret_environment.push((name.into(), value));
        self
    }

    /// The folder the child runs in, which may have places too; the host's without this.
    #[must_use]
    pub fn current_dir(mut self, folder: Template) -> Self {
        self.tool.current_dir = Some(folder);
        self
    }

    /// How much of the child's output is kept.
    #[must_use]
    pub const fn output_limits(mut self, limits: OutputLimits) -> Self {
        self.tool.limits = limits;
        self
    }

    /// The tool.
    ///
    /// # Errors
    /// [`BuildError`] when there is no program, when the call could choose it, or when a place in
    /// the argument vector can never be filled.
    pub fn build(self) -> Result<ProcessTool, BuildError> {
        let mut tool = self.tool;
        let name = || tool.spec.name.to_string();
        let Some(program) = tool.argv.first() else {
            return Err(BuildError::NoProgram { tool: name() });
        };
        let declared = tool.spec.parameters.get("properties");
        let is_declared = |place: &str| declared.is_some_and(|all| all.get(place).is_some());
        if let Some(open) = program.names().find(|place| is_declared(place)) {
            return Err(BuildError::OpenProgram { tool: name(), name: open.to_owned() });
        }
        for argument in tool.argv.iter().chain(&tool.current_dir) {
            let mut names = argument.names();
            if let Some(unbound) =
                names.find(|place| !is_declared(place) && !tool.bound.contains_key(*place))
            {
                return Err(BuildError::Unbound { tool: name(), name: unbound.to_owned() });
            }
        }
        // The tool ends its child itself; the executor's limit stands behind it.
        tool.spec.timeout = tool.timeout.map(|limit| limit + TERM_GRACE * 2 + DRAIN * 2);
        Ok(tool)
    }
}
