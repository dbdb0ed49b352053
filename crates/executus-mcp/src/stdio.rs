//! A server that is a child, and speaks a line per message on its pipes.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use executus_core::secret::Secret;
use executus_process::Environment;
use rmcp::RoleClient;
use rmcp::model::{
    ClientJsonRpcMessage, ErrorData, GetExtensions, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::config::McpLimits;
use crate::fault::{Fault, Why};
use crate::session::Sent;

mod child;
mod group;
mod lines;

pub(crate) use child::Child;
use lines::{Line, Lines};

/// A server that does not take a message for this long reads nothing any more.
const WRITE: Duration = Duration::from_secs(30);
/// Requests of the server that it has taken no answer to yet.
const UNANSWERED: usize = 64;
/// Lines in a row that are no messages: a server that logs where it should speak.
const NOISE: u32 = 256;
/// Marks the error that stands for an answer that cannot be read.
const MALFORMED: &str = "executus/malformed";

/// How a child is started.
#[derive(Debug)]
pub(crate) struct StdioEndpoint {
    pub(crate) argv: Vec<String>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) secrets: Vec<(String, Secret)>,
    pub(crate) current_dir: Option<PathBuf>,
}

impl StdioEndpoint {
    pub(crate) fn new(argv: Vec<String>) -> Self {
        Self { argv, environment: Arc::default(), secrets: Vec::new(), current_dir: None }
    }
}

type Input = Arc<Mutex<Option<ChildStdin>>>;

/// Starts a child; why not is for a person.
pub(crate) fn spawn(
    server: &Arc<str>,
    endpoint: &StdioEndpoint,
    limits: &McpLimits,
    fault: &Fault,
) -> Result<(Pipes, Child), String> {
    let Some((program, args)) = endpoint.argv.split_first() else {
        return Err("argv is empty".to_owned());
    };
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(endpoint.environment.iter());
    for (name, secret) in &endpoint.secrets {
        command.env(name, secret.expose());
    }
    if let Some(folder) = &endpoint.current_dir {
        command.current_dir(folder);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let folder = endpoint.current_dir.as_ref().filter(|folder| !folder.is_dir());
            match folder {
                Some(folder) => format!("the folder {} was not found", folder.display()),
                None => {
                    format!("`{program}` was not found; install it, or correct argv[0] or PATH")
                }
            }
        }
        io::ErrorKind::PermissionDenied => {
            format!("`{program}`: permission denied; is it an executable file?")
        }
        _ => format!("`{program}`: {error}"),
    })?;
    let input: Input = Arc::new(Mutex::new(child.stdin.take()));
    let pipes = Pipes {
        server: Arc::clone(server),
        lines: Lines::new(child.stdout.take(), limits.message_bytes),
        input: Arc::clone(&input),
        fault: fault.clone(),
        noise: 0,
        unanswered: Arc::default(),
        eof: tokio_util::sync::CancellationToken::new(),
    };
    let child = Child::watch(server, child, input, fault, pipes.eof.clone(), limits.close);
    Ok((pipes, child))
}

/// The pipes of a child, as rmcp wants them.
#[derive(Debug)]
pub(crate) struct Pipes {
    server: Arc<str>,
    lines: Lines<ChildStdout>,
    input: Input,
    fault: Fault,
    noise: u32,
    unanswered: Arc<AtomicUsize>,
    eof: tokio_util::sync::CancellationToken,
}

impl Pipes {
    /// The connection is over: nothing more is read.
    async fn end(&mut self, why: Option<Why>) -> Option<ServerJsonRpcMessage> {
        match why {
            Some(why) => self.fault.set(why),
            // Whoever watches the child knows how it ended, and tells.
            None => self.eof.cancel(),
        }
        self.fault.ended().await;
        None
    }

    /// A line as a message; `None` for one that is to be ignored.
    fn message(&mut self, line: &[u8]) -> Option<ServerJsonRpcMessage> {
        match serde_json::from_slice(line) {
            Ok(message) => {
                self.noise = 0;
                Some(message)
            }
            Err(error) => {
                self.noise += 1;
                tracing::debug!(server = &*self.server, %error, "line is no message");
                answer_of(line, &error)
            }
        }
    }
}

impl Transport<RoleClient> for Pipes {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let (input, fault) = (Arc::clone(&self.input), self.fault.clone());
        let sent = match &message {
            JsonRpcMessage::Request(request) => request.request.extensions().get::<Sent>().cloned(),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                let one_less = |count: usize| Some(count.saturating_sub(1));
                let _before =
                    self.unanswered.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
                None
            }
            JsonRpcMessage::Notification(_) => None,
        };
        let line = serde_json::to_vec(&message).map(|mut line| {
            line.push(b'\n');
            line
        });
        async move {
            let line = line.map_err(io::Error::other)?;
            let writing = async {
                let mut input = input.lock().await;
                let Some(pipe) = input.as_mut() else {
                    return Err(io::Error::from(io::ErrorKind::NotConnected));
                };
                if let Some(sent) = sent {
                    sent.set(true);
                }
                pipe.write_all(&line).await?;
                pipe.flush().await
            };
            tokio::select! {
                written = timeout(WRITE, writing) => written.unwrap_or_else(|_| {
                    let message = format!("it took no input for {WRITE:?}");
                    fault.set(Why::Protocol(message));
                    Err(io::Error::from(io::ErrorKind::TimedOut))
                }),
                () = fault.ended() => Err(io::Error::from(io::ErrorKind::NotConnected)),
            }
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            if self.fault.is_set() {
                return None;
            }
            let line = match self.lines.next().await {
                Ok(Line::Text(line)) => line,
                Ok(Line::TooLong { limit }) => return self.end(Some(Why::TooLarge(limit))).await,
                Ok(Line::End) | Err(_) => return self.end(None).await,
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if let Some(message) = self.message(&line) {
                if matches!(message, JsonRpcMessage::Request(_))
                    && self.unanswered.fetch_add(1, Ordering::AcqRel) >= UNANSWERED
                {
                    let message =
                        format!("it asks more than {UNANSWERED} times and reads no answer");
                    return self.end(Some(Why::Protocol(message))).await;
                }
                return Some(message);
            }
            if self.noise >= NOISE {
                let message = "it writes lines on its output that are no messages".to_owned();
                return self.end(Some(Why::Protocol(message))).await;
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        // A write that hangs holds the lock; the child's end frees it.
        if let Ok(mut input) = self.input.try_lock() {
            *input = None;
        }
        Ok(())
    }
}

/// An answer that cannot be read is still one to a call: whoever waits for it is told so.
fn answer_of(line: &[u8], error: &serde_json::Error) -> Option<ServerJsonRpcMessage> {
    #[derive(Deserialize)]
    struct Answer {
        id: RequestId,
        method: Option<serde::de::IgnoredAny>,
    }
    let answer: Answer = serde_json::from_slice(line).ok()?;
    if answer.method.is_some() {
        return None;
    }
    let error = ErrorData::internal_error(error.to_string(), Some(MALFORMED.into()));
    Some(JsonRpcMessage::error(error, Some(answer.id)))
}

/// What is wrong with an answer that could not be read.
pub(crate) fn malformed(error: &ErrorData) -> Option<String> {
    let marked = error.data.as_ref().is_some_and(|data| data == MALFORMED);
    marked.then(|| format!("its answer cannot be read: {}", crate::error::told(&error.message)))
}
