//! A program that is given a task.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::{Secret, Secrets};
use serde_json::Value;
use tokio::process::Command;

use crate::capture::{Keep, OutputLimits};
use crate::child::{Care, Ending, Output, Running, Start};
use crate::complaint::{complaint, tail};
use crate::environment::Environment;
use crate::error::ProcessError;
use crate::failure::{TaskFailure, clean};
use crate::processes::Processes;
use crate::report::Report;

mod lines;
#[cfg(test)]
mod tests;

pub use lines::TaskLines;

/// How long a task may take where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The longest line of a stream, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// One program, run once: it is given an input and answers with what it writes.
///
/// ```no_run
/// # async fn run() -> Result<(), executus_process::TaskFailure> {
/// use executus_process::{Format, Task};
///
/// let task = Task::new("agent").args(["--json"]).input("{\"ask\": \"why?\"}");
/// let output = task.format(Format::Report).run().await?;
/// # Ok(()) }
/// ```
///
/// **Input**: a program that stops reading before all of it is written has dropped the task
/// ([`TaskFailure`] with status 502), whatever it says afterwards; it has a second to end by itself.
/// What fits the pipe (64 KiB on Linux) counts as written. **Time**: at the timeout the group gets
/// `SIGTERM`, and `SIGKILL` after the grace. **Cancellation**: dropping the future ends the group at
/// once. **Memory**: what the limits say, twice that for text that is broken, and what the data
/// takes where JSON is read. **Runtime**: tokio's, with I/O and time.
#[derive(Debug)]
pub struct Task {
    program: String,
    args: Vec<String>,
    environment: Arc<Environment>,
    secret_environment: Vec<(String, Secret)>,
    /// What no error shows.
    hidden: Vec<(String, Secret)>,
    current_dir: Option<PathBuf>,
    input: Option<Vec<u8>>,
    format: Format,
    timeout: Option<Duration>,
    limits: OutputLimits,
    max_line: usize,
    care: Care,
    suspects_credential: bool,
}

/// What a program writes on its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// A text.
    #[default]
    Text,
    /// One JSON value.
    Json,
    /// A JSON value on each line that is not empty.
    JsonLines,
    /// A [`Report`], at the end.
    Report,
}

/// What a program answered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// A text; one that was cut says so at its end.
    Text(String),
    /// A value; of JSON lines, a list.
    Json(Value),
    /// A report that tells of no failure.
    Report(Box<Report>),
}

/// A task that ended well.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskOutput {
    /// What it answered.
    pub answer: Answer,
    /// The end of what it said on standard error.
    pub said: String,
    /// Bytes of standard output.
    pub stdout_bytes: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
    /// Another process still held the pipes when reading stopped.
    pub pipe_held: bool,
}

impl Task {
    /// This program, without arguments and input, in the host's folder, with the default
    /// environment and 10 minutes of time.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            environment: Arc::default(),
            secret_environment: Vec::new(),
            hidden: Vec::new(),
            current_dir: None,
            input: None,
            format: Format::Text,
            timeout: Some(TIMEOUT),
            limits: OutputLimits::default(),
            max_line: MAX_LINE,
            care: Care::default(),
            suspects_credential: false,
        }
    }

    /// With these arguments behind those it has, each as it stands.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The child's environment; [`Environment::default`] without this.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<Arc<Environment>>) -> Self {
        self.environment = environment.into();
        self
    }

    /// A variable of the child with a sensitive value, which no error shows.
    #[must_use]
    pub fn secret_variable(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secret_environment.push((name.into(), value));
        self
    }

    /// With a sensitive value that its arguments or its input hold, and no error shows.
    #[must_use]
    pub fn hide(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.hidden.push((name.into(), value));
        self
    }

    /// The folder the child runs in.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// What the child reads. Its input ends behind it; without one it is empty.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// What the child writes; a text without this.
    #[must_use]
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// How long it may take; `None` for no limit of its own.
    #[must_use]
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into();
        self
    }

    /// From `SIGTERM` to `SIGKILL`; 200 ms without this.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.care.grace = grace;
        self
    }

    /// How much of its output is kept. Of a report the end is kept, of all else the beginning.
    #[must_use]
    pub const fn output_limits(mut self, limits: OutputLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The longest line of a stream, in bytes; 64 KiB without this.
    #[must_use]
    pub const fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Lists the child while it is under way.
    #[must_use]
    pub fn processes(mut self, processes: &Processes) -> Self {
        self.care.processes = Some(processes.clone());
        self
    }

    /// Also ends those of the child's children that left its group. They are known by a variable
    /// that all of them inherit, so one that clears its environment is not reached. Linux only.
    #[must_use]
    pub const fn end_strays(mut self) -> Self {
        self.care.ends_strays = true;
        self
    }

    /// Takes a non-zero exit with a report of 0 tokens for a sign of a bad credential.
    #[must_use]
    pub const fn suspect_credential(mut self) -> Self {
        self.suspects_credential = true;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// [`TaskFailure`], which is also written to the log, once.
    pub async fn run(self) -> Result<TaskOutput, TaskFailure> {
        self.run_until(std::future::pending()).await
    }

    /// Runs it to its end, or ends it when `stopped` answers.
    ///
    /// # Errors
    /// [`TaskFailure`], which is also written to the log, once.
    pub async fn run_until(
        self,
        stopped: impl Future<Output = ()>,
    ) -> Result<TaskOutput, TaskFailure> {
        let about = self.about();
        let keep = match self.format {
            Format::Report => Keep::Tail,
            Format::Text | Format::Json | Format::JsonLines => Keep::Head,
        };
        let mut running = match self.start(Output::Keep(keep)) {
            Ok(running) => running,
            Err(error) => return Err(about.failure(error).log()),
        };
        let _no_line = running.next_line(stopped).await;
        about.output(running.finish()).map_err(TaskFailure::log)
    }

    /// Starts it, to be read line by line. What its lines must be by
    /// [`format`](Self::format) is not looked at.
    ///
    /// # Errors
    /// [`TaskFailure`], which is also written to the log, once.
    pub fn lines(self) -> Result<TaskLines, TaskFailure> {
        let about = self.about();
        let output = Output::Lines(self.max_line);
        match self.start(output) {
            Ok(running) => Ok(TaskLines::new(running, about)),
            Err(error) => Err(about.failure(error).log()),
        }
    }

    fn start(self, output: Output) -> Result<Running, ProcessError> {
        if self.timeout.is_some_and(|limit| limit.is_zero()) {
            let message = "`timeout` is 0; it must be more".to_owned();
            return Err(ProcessError::Arguments { message });
        }
        if self.args.iter().chain([&self.program]).any(|text| text.contains('\0')) {
            return Err(ProcessError::Nul { parameter: None });
        }
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(self.environment.iter());
        for (name, secret) in &self.secret_environment {
            command.env(name, secret.expose());
        }
        if let Some(folder) = &self.current_dir {
            command.current_dir(folder);
        }
        Running::start(Start {
            program: self.program,
            command,
            input: self.input,
            output,
            limits: self.limits,
            timeout: self.timeout,
            care: self.care,
        })
    }

    fn about(&self) -> About {
        About {
            program: self.program.clone(),
            format: self.format,
            cap: self.limits.stdout,
            secrets: self.secret_environment.iter().chain(&self.hidden).cloned().collect(),
            suspects_credential: self.suspects_credential,
        }
    }
}

/// What of a task is needed to judge its end.
#[derive(Debug)]
struct About {
    program: String,
    format: Format,
    cap: usize,
    secrets: Secrets,
    suspects_credential: bool,
}

impl About {
    fn failure(&self, error: ProcessError) -> TaskFailure {
        TaskFailure::new(error, &self.secrets).suspecting(self.suspects_credential)
    }

    /// Whether what it writes may be a report.
    const fn reports(&self) -> bool {
        matches!(self.format, Format::Report | Format::Json | Format::JsonLines)
    }

    /// What a failed child says of itself counts more than that it failed, unless it was ended.
    fn told(&self, error: ProcessError, report: Option<Report>) -> (ProcessError, Option<Report>) {
        let told = match &error {
            ProcessError::Exit { .. } if error.status() == 500 => {
                report.as_ref().and_then(|report| report.failure(&self.program))
            }
            _ => None,
        };
        (told.unwrap_or(error), report)
    }

    fn output(&self, ending: Ending) -> Result<TaskOutput, TaskFailure> {
        let Ending { outcome, stdout, stderr, pipe_held } = ending;
        let said = complaint(&stderr.kept);
        let failed = |error, report| {
            let failure = self.failure(error).complaint(said.clone(), &self.secrets);
            Err(failure.reported(report))
        };
        if let Err(error) = outcome {
            // Also half an output may hold what it cost.
            let report = if self.reports() { Report::read(&stdout.kept).ok() } else { None };
            let (error, report) = self.told(error, report);
            return failed(error, report);
        }
        let wrong = |message: String| {
            let program = self.program.clone();
            ProcessError::Output { program, message: clean(message, &self.secrets) }
        };
        let (stdout_bytes, stderr_bytes) = (stdout.total, stderr.total);
        if !stdout.is_whole() && matches!(self.format, Format::Json | Format::JsonLines) {
            let message = format!("it wrote {stdout_bytes} bytes, {} may be", self.cap);
            return failed(wrong(message), None);
        }
        let answer = match self.format {
            Format::Text => Ok(Answer::Text(stdout.into_text().text)),
            Format::Json => match serde_json::from_slice(&stdout.kept) {
                Ok(value) => Ok(Answer::Json(value)),
                Err(error) => Err(format!("no JSON: {error}")),
            },
            Format::JsonLines => json_lines(&stdout.kept).map(Answer::Json),
            Format::Report => match Report::read(&stdout.kept) {
                Ok(report) => match report.failure(&self.program) {
                    Some(error) => return failed(error, Some(report)),
                    None => Ok(Answer::Report(Box::new(report))),
                },
                Err(message) => Err(message),
            },
        };
        match answer {
            Ok(answer) => {
                let said = clean(tail(&stderr.kept), &self.secrets);
                Ok(TaskOutput { answer, said, stdout_bytes, stderr_bytes, pipe_held })
            }
            Err(message) => failed(wrong(message), None),
        }
    }
}

fn json_lines(bytes: &[u8]) -> Result<Value, String> {
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let values = lines.map(|(at, line)| {
        let value = serde_json::from_slice::<Value>(line);
        value.map_err(|error| format!("line {} is no JSON: {error}", at + 1))
    });
    values.collect()
}
