//! The processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::process::NAME;

#[derive(Debug)]
pub(super) struct Fleet {
    program: PathBuf,
    args: [String; 3],
    children: Vec<Child>,
}

impl Fleet {
    pub(super) fn start(
        program: &Path,
        redis: &str,
        peer: &str,
        callers: usize,
        processes: usize,
    ) -> Result<Self, String> {
        let args = [redis.to_owned(), peer.to_owned(), callers.to_string()];
        let mut fleet = Self { program: program.to_owned(), args, children: Vec::new() };
        for process in 0..processes {
            let child = fleet.spawn(process)?;
            fleet.children.push(child);
        }
        Ok(fleet)
    }

    fn spawn(&self, process: usize) -> Result<Child, String> {
        let mut command = Command::new(&self.program);
        command.arg(NAME).args(&self.args).arg(process.to_string());
        // It ends with its input, however this process ends.
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.spawn().map_err(|error| format!("{}: {error}", self.program.display()))
    }

    /// Kills a process with signal 9, and starts another in its place.
    pub(super) fn kill(&mut self, process: usize) -> Result<(), String> {
        let killed = self.children.get_mut(process).ok_or("there is no such process")?;
        killed.kill().and_then(|()| killed.wait()).map_err(|error| error.to_string())?;
        let next = self.spawn(process)?;
        if let Some(place) = self.children.get_mut(process) {
            *place = next;
        }
        Ok(())
    }

    /// A process that ended by itself shows nothing.
    pub(super) fn are_alive(&mut self) -> Result<(), String> {
        for (process, child) in self.children.iter_mut().enumerate() {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("process {process} ended by itself: {status}"));
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
