//! One child from its start to its end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::process::{ChildStderr, ChildStdout};
use tokio::task::coop::consume_budget;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::capture::{Capture, Captured, Keep};
use crate::error::ProcessError;
use crate::group::Group;
use crate::stray::Mark;

mod ending;
mod held;
mod input;
mod lines;
mod start;

pub(crate) use ending::Ending;
pub use lines::Line;
pub(crate) use start::{Care, Output, Start};

use ending::Known;
use held::Held;
use input::Feed;
use lines::LineReader;

/// From `SIGTERM` to `SIGKILL`, where nothing else was asked for.
pub(crate) const TERM_GRACE: Duration = Duration::from_millis(200);
/// For the last output once the child itself has ended: a grandchild may hold the pipes.
pub(crate) const DRAIN: Duration = Duration::from_millis(250);
/// For a child that stopped reading its input to say why, and to end.
const LAST_WORD: Duration = Duration::from_secs(1);
/// From `SIGKILL` to giving up on the child: it hangs in the kernel.
const REAP: Duration = Duration::from_secs(1);
/// What is taken from those that go on writing after the child's end, in bytes.
const AFTERMATH: u64 = 1024 * 1024;

/// A child under way. Dropping it ends the whole group at once; the child is waited for in the
/// background, so that it leaves no zombie.
pub(crate) struct Running {
    program: String,
    held: Held,
    feed: Option<Feed>,
    /// Why not all of the input was written.
    unread: Option<io::Error>,
    stdout: Stdout,
    stderr: Capture<ChildStderr>,
    timeout: Option<Duration>,
    grace: Duration,
    listed: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    late: Option<Pin<Box<Sleep>>>,
    /// Runs since the input was no longer read.
    last_word: Option<Pin<Box<Sleep>>>,
    /// Runs since the child ended.
    drain: Option<Pin<Box<Sleep>>>,
    /// What had been read when it ran out.
    drained: Option<u64>,
    status: Option<ExitStatus>,
    over: Option<Over>,
    pipe_held: bool,
}

/// Standard output: kept, or handed on.
enum Stdout {
    Kept(Capture<ChildStdout>),
    Lines(LineReader<ChildStdout>),
}

/// Why there is nothing more to wait for.
enum Over {
    Exited,
    /// It did not read its input and did not end by itself.
    Unread,
    Late,
    Stopped,
    Lost(io::Error),
}

impl Running {
    /// Starts a child.
    pub(crate) fn start(mut start: Start) -> Result<Self, ProcessError> {
        let program = start.program.clone();
        let care = start.care.clone();
        let reserved = match &care.processes {
            Some(processes) => {
                let reserved = processes.reserve();
                Some(reserved.ok_or_else(|| ProcessError::Closed { program: program.clone() })?)
            }
            None => None,
        };
        let mark = care.ends_strays.then(Mark::new);
        let (mut child, feed) = start::spawn(&mut start, mark.as_ref())?;
        let entry = reserved.map(|reserved| reserved.fill(&program, child.id()));
        let listed = entry.as_ref().map(|entry| Box::pin(entry.stop().clone().cancelled_owned()));
        let stdout = match start.output {
            Output::Keep(keep) => {
                Stdout::Kept(Capture::new(child.stdout.take(), keep, start.limits.stdout))
            }
            Output::Lines(max) => Stdout::Lines(LineReader::new(child.stdout.take(), max)),
        };
        let stderr = Capture::new(child.stderr.take(), Keep::Tail, start.limits.stderr);
        let group = Group::led_by(child.id());
        Ok(Self {
            program,
            held: Held::new(child, group, entry, mark),
            feed,
            unread: None,
            stdout,
            stderr,
            timeout: start.timeout,
            grace: care.grace,
            listed,
            late: start.timeout.map(|limit| Box::pin(sleep(limit))),
            last_word: None,
            drain: None,
            drained: None,
            status: None,
            over: None,
            pipe_held: false,
        })
    }

    /// The next line where lines were asked for; `None` when the child is over, by itself or because
    /// it was ended. It is ended at its timeout, when `stopped` answers and by the list.
    ///
    /// **Cancellation**: nothing is lost; the next call goes on.
    pub(crate) async fn next_line(&mut self, stopped: impl Future<Output = ()>) -> Option<Line> {
        let mut stopped = pin!(stopped);
        // Lines that are there already cost nothing else: a flood of them would hold the worker, and
        // with it the clock that ends them.
        consume_budget().await;
        if self.over.is_none() {
            let line = poll_fn(|cx| self.poll_line(cx, stopped.as_mut())).await;
            if line.is_some() {
                return line;
            }
        }
        if self.status.is_none() {
            self.end().await;
        }
        // Whatever is left of the group goes with its leader.
        self.held.kill();
        self.held.end_strays().await;
        None
    }

    /// One line, or `None` with the reason in `over`.
    fn poll_line(
        &mut self,
        cx: &mut Context<'_>,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<Option<Line>> {
        if self.status.is_none() {
            let listed = self.listed.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready());
            if listed || stopped.poll(cx).is_ready() {
                return self.is_over(Over::Stopped);
            }
            if ran_out(&mut self.late, cx) {
                return self.is_over(Over::Late);
            }
        }
        self.write_input(cx);
        let (line, is_read) = self.poll_pipes(cx);
        if self.status.is_none() {
            match self.held.poll_wait(cx) {
                Poll::Ready(Ok(status)) => self.has_exited(status),
                Poll::Ready(Err(error)) => return self.is_over(Over::Lost(error)),
                Poll::Pending => {}
            }
        }
        let has_drained = ran_out(&mut self.drain, cx);
        if has_drained {
            // Who still writes is not waited for, and not listened to for ever.
            let total = self.stdout.total();
            let since = *self.drained.get_or_insert(total);
            let line = line.or_else(|| self.stdout.rest());
            if line.is_some() && total - since <= AFTERMATH {
                return Poll::Ready(line);
            }
            self.pipe_held = !is_read;
            return self.is_over(Over::Exited);
        }
        if line.is_some() {
            return Poll::Ready(line);
        }
        if self.status.is_some() && is_read {
            return self.is_over(Over::Exited);
        }
        if ran_out(&mut self.last_word, cx) {
            return self.is_over(Over::Unread);
        }
        Poll::Pending
    }

    fn is_over(&mut self, over: Over) -> Poll<Option<Line>> {
        self.over = Some(over);
        Poll::Ready(None)
    }

    fn has_exited(&mut self, status: ExitStatus) {
        self.status = Some(status);
        self.drain = Some(Box::pin(sleep(DRAIN)));
        self.last_word = None;
        if self.feed.take().is_some() {
            // Gone before it had read everything.
            self.unread = Some(io::ErrorKind::BrokenPipe.into());
        }
    }

    fn write_input(&mut self, cx: &mut Context<'_>) {
        let Some(feed) = &mut self.feed else { return };
        if let Poll::Ready(written) = feed.poll(cx) {
            self.feed = None;
            if let Err(error) = written {
                self.unread = Some(error);
                self.last_word = Some(Box::pin(sleep(LAST_WORD)));
            }
        }
    }

    /// Reads what there is: a line where lines were asked for, and whether both pipes have ended.
    fn poll_pipes(&mut self, cx: &mut Context<'_>) -> (Option<Line>, bool) {
        // Their end is not waited for here: a child may close its output and go on.
        let stderr = self.stderr.poll_end(cx).is_ready();
        match &mut self.stdout {
            Stdout::Kept(capture) => (None, capture.poll_end(cx).is_ready() && stderr),
            Stdout::Lines(reader) => match reader.poll_line(cx) {
                Poll::Ready(line) => {
                    let is_read = line.is_none() && stderr;
                    (line, is_read)
                }
                Poll::Pending => (None, false),
            },
        }
    }

    /// Ends the child: a request, its grace, then by force.
    async fn end(&mut self) {
        self.feed = None;
        self.held.terminate();
        let grace = self.grace;
        self.read_until_exit(grace).await;
        // Those of the group that outlive their leader go with it.
        self.held.kill();
        if self.status.is_none() {
            // Nothing to do about a child that even this does not end: the runtime waits on.
            self.read_until_exit(REAP).await;
        }
        // Its last words may hold what it used so far.
        let mut limit = pin!(sleep(DRAIN));
        poll_fn(|cx| match self.read_on(cx) {
            true => Poll::Ready(()),
            false => limit.as_mut().poll(cx),
        })
        .await;
    }

    async fn read_until_exit(&mut self, limit: Duration) {
        let mut limit = pin!(sleep(limit));
        poll_fn(|cx| {
            self.read_on(cx);
            match self.held.poll_wait(cx) {
                Poll::Ready(status) => {
                    self.status = status.ok();
                    Poll::Ready(())
                }
                Poll::Pending => limit.as_mut().poll(cx),
            }
        })
        .await;
    }

    /// Reads on while the child is being ended; lines have nobody any more who would take them.
    fn read_on(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.poll_pipes(cx) {
                (Some(_unheard), _) => {}
                (None, is_read) => return is_read,
            }
        }
    }

    /// Why not all of the input was written.
    #[cfg(test)]
    pub(crate) fn unread(&self) -> Option<io::ErrorKind> {
        self.unread.as_ref().map(io::Error::kind)
    }

    /// How it ended, and what it left. To be called when there are no more lines.
    pub(crate) fn finish(self) -> Ending {
        let Self { program, stdout, stderr, over, status, unread, pipe_held, timeout, .. } = self;
        let stderr = stderr.finish();
        let stdout = match stdout {
            Stdout::Kept(capture) => capture.finish(),
            Stdout::Lines(reader) => Captured::counted(reader.total),
        };
        let known = Known { program, over, status, unread, timeout };
        let outcome = known.outcome(&stdout, &stderr);
        Ending { outcome, stdout, stderr, pipe_held }
    }
}

impl Stdout {
    const fn total(&self) -> u64 {
        match self {
            Self::Kept(capture) => capture.total(),
            Self::Lines(reader) => reader.total,
        }
    }

    /// What no line end followed.
    fn rest(&mut self) -> Option<Line> {
        match self {
            Self::Kept(_) => None,
            Self::Lines(reader) => reader.rest(),
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("program", &self.program).finish_non_exhaustive()
    }
}

/// Whether a time that runs has run out.
fn ran_out(time: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    time.as_mut().is_some_and(|time| time.is_elapsed() || time.as_mut().poll(cx).is_ready())
}
