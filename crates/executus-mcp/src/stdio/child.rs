//! The process of a server, watched from its start to its end.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStderr;
use tokio::runtime;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Input;
use super::group::Group;
use crate::error::told;
use crate::fault::{Fault, Why};

/// How much of what it says on its standard error is kept, up to the end.
const TAIL: usize = 8 * 1024;
/// How much of that goes into an error.
const COMPLAINT: usize = 1024;
/// From `SIGTERM` to `SIGKILL`.
const TERM_GRACE: Duration = Duration::from_millis(200);
/// From the end of its output to its own, and from its end to that of its standard error.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// From `SIGKILL` to giving up on it: it hangs in the kernel.
const REAP: Duration = Duration::from_secs(1);

/// The process of one server. Dropping it ends its whole group.
#[derive(Debug)]
pub(crate) struct Child {
    /// Asks for an end in order.
    stop: CancellationToken,
    /// Asks for an end at once.
    kill: CancellationToken,
    ended: CancellationToken,
}

impl Child {
    /// Watches a process in a task of its own, which ends with it.
    pub(super) fn watch(
        server: &Arc<str>,
        mut process: tokio::process::Child,
        input: Input,
        fault: &Fault,
        eof: CancellationToken,
        grace: Duration,
    ) -> Self {
        let child = Self {
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            ended: CancellationToken::new(),
        };
        let watch = Watch {
            server: Arc::clone(server),
            group: Group::led_by(process.id()),
            stderr: Tail { pipe: process.stderr.take(), kept: Vec::new() },
            process,
            input,
            fault: fault.clone(),
            eof,
            stop: child.stop.clone(),
            kill: child.kill.clone(),
            grace,
            ended: child.ended.clone().drop_guard(),
        };
        runtime::Handle::current().spawn(watch.run());
        child
    }

    /// Ends it: the end of its input, then `SIGTERM`, then `SIGKILL`.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }

    /// Ends it at once when it does not end by itself right now, and waits for that.
    pub(crate) async fn ended(&self) {
        if timeout(LAST_WORDS * 2, self.ended.cancelled()).await.is_err() {
            self.kill.cancel();
            self.ended.cancelled().await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

struct Watch {
    server: Arc<str>,
    // Before the process, so dropped before it: a group of which the leader was not waited for.
    group: Group,
    process: tokio::process::Child,
    stderr: Tail<ChildStderr>,
    input: Input,
    fault: Fault,
    eof: CancellationToken,
    stop: CancellationToken,
    kill: CancellationToken,
    grace: Duration,
    ended: tokio_util::sync::DropGuard,
}

enum Woken {
    Exited(io::Result<ExitStatus>),
    Silent,
    Stop,
    Kill,
}

impl Watch {
    async fn run(mut self) {
        let woken = tokio::select! {
            biased;
            status = self.process.wait() => Woken::Exited(status),
            () = self.kill.cancelled() => Woken::Kill,
            () = self.fault.ended() => Woken::Kill,
            () = self.stop.cancelled() => Woken::Stop,
            () = self.eof.cancelled() => Woken::Silent,
            () = self.stderr.read_to_end() => self.quiet().await,
        };
        let status = match woken {
            Woken::Exited(status) => status.ok(),
            Woken::Silent => self.within(LAST_WORDS).await,
            Woken::Stop => {
                self.close_input().await;
                match self.within(self.grace).await {
                    None => {
                        self.group.terminate();
                        self.within(TERM_GRACE).await
                    }
                    ended => ended,
                }
            }
            Woken::Kill => None,
        };
        // Those of the group that outlive their leader go with it.
        self.group.kill();
        let reaped = match status {
            None => self.within(REAP).await,
            status => status,
        };
        let _over = timeout(LAST_WORDS, self.stderr.read_to_end()).await;
        let how = match (status, reaped) {
            (Some(status), _) => format!("it ended with {status}"),
            (None, Some(_)) => "it closed its output, and was ended".to_owned(),
            (None, None) => "it closed its output, and could not be ended".to_owned(),
        };
        let message = match self.stderr.complaint() {
            silent if silent.is_empty() => how.clone(),
            said => format!("{how}: {said}"),
        };
        // What it said is for who asked it: it may hold what no log is to have.
        tracing::debug!(server = &*self.server, how, "server ended");
        self.fault.set(Why::Gone(message));
        drop(self.ended);
    }

    /// It has closed its standard error, which says nothing.
    async fn quiet(&mut self) -> Woken {
        tokio::select! {
            biased;
            status = self.process.wait() => Woken::Exited(status),
            () = self.kill.cancelled() => Woken::Kill,
            () = self.fault.ended() => Woken::Kill,
            () = self.stop.cancelled() => Woken::Stop,
            () = self.eof.cancelled() => Woken::Silent,
        }
    }

    /// How it ended, if it did so in this time.
    async fn within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let limit = sleep(limit);
        tokio::pin!(limit);
        let mut is_open = true;
        loop {
            tokio::select! {
                biased;
                status = self.process.wait() => return status.ok(),
                () = &mut limit => return None,
                // It may have to say much before it can end.
                () = self.stderr.read_to_end(), if is_open => is_open = false,
            }
        }
    }

    async fn close_input(&self) {
        // A write that hangs holds the lock.
        if let Ok(mut input) = timeout(TERM_GRACE, self.input.lock()).await {
            *input = None;
        }
    }
}

/// The end of what a pipe gives.
#[derive(Debug)]
struct Tail<R> {
    pipe: Option<R>,
    kept: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Tail<R> {
    /// Reads on until the pipe ends. Nothing is lost when the future is dropped.
    async fn read_to_end(&mut self) {
        let mut chunk = vec![0; TAIL];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(bytes) => {
                    self.kept.extend_from_slice(&chunk[..bytes]);
                    self.kept.drain(..self.kept.len().saturating_sub(TAIL));
                }
            }
        }
    }

    /// The last of it, short and safe to print.
    fn complaint(&self) -> String {
        let from = self.kept.len().saturating_sub(COMPLAINT);
        told(&String::from_utf8_lossy(&self.kept[from..]))
    }
}
