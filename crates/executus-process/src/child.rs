//! One child from its start to its end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::sleep;

use crate::capture::{Capture, Captured, Keep, OutputLimits};
use crate::error::ProcessError;
use crate::group::Group;

/// From `SIGTERM` to `SIGKILL`.
pub(crate) const TERM_GRACE: Duration = Duration::from_millis(200);
/// For the last output once the child itself has ended: a grandchild may hold the pipes.
pub(crate) const DRAIN: Duration = Duration::from_millis(250);
/// From `SIGKILL` to giving up on the child: it hangs in the kernel.
const REAP: Duration = Duration::from_secs(1);

/// What a child that ended by itself left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// Another process still held the pipes when reading stopped.
    pub(crate) held: bool,
}

/// Both pipes of a child.
struct Pipes {
    stdout: Capture<ChildStdout>,
    stderr: Capture<ChildStderr>,
}

impl Pipes {
    /// Reads until `ended` answers.
    async fn read_until<T>(&mut self, ended: impl Future<Output = T>) -> T {
        let mut ended = pin!(ended);
        poll_fn(|cx| {
            // Their end is not waited for here: a child may close its output and go on.
            let _both = self.stdout.poll_end(cx).is_ready() & self.stderr.poll_end(cx).is_ready();
            ended.as_mut().poll(cx)
        })
        .await
    }

    /// Reads to the end of both; whether that end came before `limit` ran out.
    async fn read_to_end(&mut self, limit: Duration) -> bool {
        let mut limit = pin!(sleep(limit));
        poll_fn(|cx| {
            if self.stdout.poll_end(cx).is_ready() & self.stderr.poll_end(cx).is_ready() {
                return Poll::Ready(true);
            }
            limit.as_mut().poll(cx).map(|()| false)
        })
        .await
    }
}

/// How the wait for a child ended.
enum Woken {
    Exited(io::Result<ExitStatus>),
    Late,
    Cancelled,
}

/// Runs a child to its end, or ends it at the `timeout` or when `cancelled` answers.
///
/// Dropping the future ends the child's whole group at once; the child is waited for in the
/// background, so that it leaves no zombie.
pub(crate) async fn run(
    program: &str,
    mut command: Command,
    limits: OutputLimits,
    timeout: Option<Duration>,
    cancelled: impl Future<Output = ()>,
) -> Result<Finished, ProcessError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| not_started(program, &command, error))?;
    // Declared after the child, so dropped before it: the group is ended while its leader cannot
    // have been waited for.
    let group = Group::led_by(child.id());
    let mut pipes = Pipes {
        stdout: Capture::new(child.stdout.take(), Keep::Head, limits.stdout),
        stderr: Capture::new(child.stderr.take(), Keep::Tail, limits.stderr),
    };

    let woken = {
        let mut exit = pin!(child.wait());
        let mut cancelled = pin!(cancelled);
        let mut late = timeout.map(|limit| Box::pin(sleep(limit)));
        pipes
            .read_until(poll_fn(|cx| {
                if let Poll::Ready(status) = exit.as_mut().poll(cx) {
                    return Poll::Ready(Woken::Exited(status));
                }
                if cancelled.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Woken::Cancelled);
                }
                match &mut late {
                    Some(late) => late.as_mut().poll(cx).map(|()| Woken::Late),
                    None => Poll::Pending,
                }
            }))
            .await
    };
    let program = program.to_owned();
    let status = match woken {
        Woken::Exited(Ok(status)) => status,
        Woken::Exited(Err(source)) => return Err(ProcessError::Wait { program, source }),
        Woken::Late | Woken::Cancelled => {
            group.terminate();
            let graceful = pipes.read_until(tokio::time::timeout(TERM_GRACE, child.wait())).await;
            // Those of the group that outlive their leader go with it.
            group.kill();
            if graceful.is_err() {
                // Nothing to do about a child that even this does not end: the runtime waits on.
                let _reaped = pipes.read_until(tokio::time::timeout(REAP, child.wait())).await;
            }
            return Err(match (woken, timeout) {
                (Woken::Late, Some(limit)) => ProcessError::Timeout { program, limit },
                _ => ProcessError::Cancelled { program },
            });
        }
    };
    let ended = pipes.read_to_end(DRAIN).await;
    drop(group);
    Ok(Finished {
        status,
        stdout: pipes.stdout.finish(),
        stderr: pipes.stderr.finish(),
        held: !ended,
    })
}

fn not_started(program: &str, command: &Command, source: io::Error) -> ProcessError {
    let command = command.as_std();
    let program = program.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => {
            let folder = command.get_current_dir().filter(|folder| !folder.is_dir());
            let what = folder.map_or_else(
                || "the program was".to_owned(),
                |folder| format!("the folder {} was", folder.display()),
            );
            ProcessError::NotFound { program, what }
        }
        io::ErrorKind::PermissionDenied => ProcessError::Permission { program },
        io::ErrorKind::ArgumentListTooLong => {
            let bytes = command.get_args().map(std::ffi::OsStr::len).sum();
            ProcessError::TooLong { program, bytes }
        }
        _ => ProcessError::Spawn { program, source },
    }
}
