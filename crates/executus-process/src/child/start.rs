//! Starting a child.

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::input::Feed;
use crate::capture::{Keep, OutputLimits};
use crate::error::ProcessError;
use crate::processes::Processes;
use crate::stray::Mark;

/// A child to be, and how it is treated.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) program: String,
    pub(crate) command: Command,
    /// What it reads; nothing is an empty input.
    pub(crate) input: Option<Vec<u8>>,
    pub(crate) output: Output,
    pub(crate) limits: OutputLimits,
    pub(crate) timeout: Option<Duration>,
    pub(crate) care: Care,
}

/// What is done with its standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Output {
    Keep(Keep),
    /// It is handed on line by line, each of at most so many bytes.
    Lines(usize),
}

/// How a child is watched and ended.
#[derive(Debug, Clone)]
pub(crate) struct Care {
    /// From `SIGTERM` to `SIGKILL`.
    pub(crate) grace: Duration,
    /// Where it is listed.
    pub(crate) processes: Option<Processes>,
    /// Whether those that left its group are ended too.
    pub(crate) ends_strays: bool,
    /// Its input comes by a socket, as some hosts give it: that one can be reset.
    #[cfg(test)]
    pub(crate) by_socket: bool,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            grace: super::TERM_GRACE,
            processes: None,
            ends_strays: false,
            #[cfg(test)]
            by_socket: false,
        }
    }
}

/// Starts it, with all its pipes.
pub(super) fn spawn(
    start: &mut Start,
    mark: Option<&Mark>,
) -> Result<(Child, Option<Feed>), ProcessError> {
    let command = &mut start.command;
    if let Some(mark) = mark {
        mark.put_on(command);
    }
    command
        .stdin(if start.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    #[cfg(test)]
    if start.care.by_socket {
        return by_socket(start);
    }
    let spawned = command.spawn();
    let mut child = spawned.map_err(|error| not_started(&start.program, command, error))?;
    let pipe = child.stdin.take();
    let feed = pipe.zip(start.input.take()).map(|(pipe, bytes)| Feed::new(pipe, bytes));
    Ok((child, feed))
}

#[cfg(test)]
fn by_socket(start: &mut Start) -> Result<(Child, Option<Feed>), ProcessError> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = tokio::net::TcpStream::from_std(ours).unwrap();
    let child = start.command.stdin(std::os::fd::OwnedFd::from(theirs)).spawn().unwrap();
    // What is left here of the child's side would keep it open.
    start.command.stdin(Stdio::null());
    Ok((child, start.input.take().map(|bytes| Feed::new(ours, bytes))))
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
            let bytes = command.get_args().map(OsStr::len).sum();
            ProcessError::TooLong { program, bytes }
        }
        _ => ProcessError::Spawn { program, source },
    }
}
