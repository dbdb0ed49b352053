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

use crate::argument::{bound, filled};
use crate::capture::{Keep, OutputLimits, Text};
use crate::child::{Care, Ending, Output, Running, Start};
use crate::complaint::tail;
use crate::environment::Environment;
use crate::error::ProcessError;
use crate::parameters::{Bound, Parameters};

mod builder;

pub use builder::ProcessToolBuilder;

/// Runs one program per call.
///
/// **Result**: the child's standard output as text, broken UTF-8 replaced, one trailing newline
/// off; as data its exit code, the sizes of its output and the end of its standard error. A
/// non-zero exit is [`ToolError::Failed`] with the end of standard error. A child that stops reading
/// its input before all of it is written has failed too.
///
/// **Time**: at the spec's timeout the child's group gets `SIGTERM`, and `SIGKILL` after the grace
/// of 200 ms; the call then fails with [`ToolError::Timeout`]. A process that left the group
/// (`setsid`) is only reached when the tool was told to, but cannot hold the call: 250 ms after the
/// child's end its output is taken as it is.
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
    input: Option<Template>,
    limits: OutputLimits,
    care: Care,
}

impl ProcessTool {
    /// A tool with this spec, whose `parameters` say what a call may pass and whose `timeout` how
    /// long the child may run.
    #[must_use]
    pub fn builder(spec: ToolSpec) -> ProcessToolBuilder {
        ProcessToolBuilder::new(Self {
            timeout: spec.timeout,
            spec,
            argv: Vec::new(),
            bound: BTreeMap::new(),
            environment: Arc::default(),
            secret_environment: Vec::new(),
            current_dir: None,
            input: None,
            limits: OutputLimits::default(),
            care: Care::default(),
        })
    }

    /// The child of one call.
    fn child(&self, args: &Value) -> Result<Start, ProcessError> {
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
        let input = self.input.as_ref().map(|input| filled(input, |name| parameters.get(name)));
        Ok(Start {
            program,
            command,
            input: input.transpose()?.map(String::into_bytes),
            output: Output::Keep(Keep::Head),
            limits: self.limits,
            timeout: self.timeout,
            care: self.care.clone(),
        })
    }
}

#[async_trait]
impl Tool for ProcessTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let mut running = Running::start(self.child(args)?)?;
        let _no_line = running.next_line(context.cancellation().cancelled()).await;
        let ending = running.finish();
        let tool = &*self.spec.name;
        // What it wrote is for the run, which knows what of it nobody is to see.
        match &ending.outcome {
            Ok(status) | Err(ProcessError::Exit { status, .. }) => {
                tracing::debug!(tool, %status, "child ended");
            }
            Err(error) => tracing::debug!(tool, status = error.status(), "child failed"),
        }
        Ok(output(ending)?)
    }
}

fn output(ending: Ending) -> Result<ToolOutput, ProcessError> {
    let Ending { outcome, stdout, stderr, pipe_held } = ending;
    let status = outcome?;
    let mut data = json!({
        "exit_code": status.code(),
        "stdout_bytes": stdout.total,
        "stderr_bytes": stderr.total,
    });
    let Text { text, is_cut } = stdout.into_text();
    if is_cut {
        data["stdout_cut"] = true.into();
    }
    if pipe_held {
        data["pipe_held"] = true.into();
    }
    if stderr.total > 0 {
        data["stderr"] = tail(&stderr.kept).into();
    }
    Ok(ToolOutput { data: Some(data), ..ToolOutput::text(text) })
}

impl fmt::Debug for ProcessTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessTool")
            .field("name", &self.spec.name)
            .field("argv", &self.argv)
            .finish_non_exhaustive()
    }
}
