//! Processes that left the group of their task, found by a mark in their environment.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::process::Command;

/// The variable that marks all processes of one task.
pub const TASK_VARIABLE: &str = "EXECUTUS_TASK";

/// The mark of one task. Children inherit it, also in a session of their own; only who clears the
/// environment loses it.
#[derive(Debug, Clone)]
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Another host on this machine, or one that had our number, has other marks.
        let random = RandomState::new().build_hasher().finish();
        Self(format!("{}-{count}-{random:016x}", std::process::id()))
    }

    pub(crate) fn put_on(&self, command: &mut Command) {
        command.env(TASK_VARIABLE, &self.0);
    }

    /// Ends every process that has the mark, and answers how many there were. Blocks for as long as
    /// it takes to read the environment of every process that we may look at.
    pub(crate) fn end_strays(&self) -> usize {
        let mut ended = 0;
        // Who is ended in the middle of starting another has a child that was not seen.
        for _round in 0..ROUNDS {
            match linux::end_marked(format!("{TASK_VARIABLE}={}", self.0).as_bytes()) {
                0 => break,
                found => ended += found,
            }
        }
        if ended > 0 {
            tracing::debug!(ended, "processes that had left their group were ended");
        }
        ended
    }
}

const ROUNDS: usize = 8;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::Read;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    /// As much of an environment as is looked at.
    const MOST: u64 = 1024 * 1024;

    pub(super) fn end_marked(mark: &[u8]) -> usize {
        let Ok(processes) = fs::read_dir("/proc") else { return 0 };
        let ids = processes.filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Pid::from_raw(id)
        });
        ids.filter(|&id| end_if_marked(id, mark)).count()
    }

    fn end_if_marked(id: Pid, mark: &[u8]) -> bool {
        if !has(id, mark) {
            return false;
        }
        let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { return false };
        // What is open now is what was read, unless the number was given away in between.
        has(id, mark) && pidfd_send_signal(process, Signal::KILL).is_ok()
    }

    fn has(id: Pid, mark: &[u8]) -> bool {
        let mut environment = Vec::new();
        let read = fs::File::open(format!("/proc/{}/environ", id.as_raw_nonzero()))
            .and_then(|file| file.take(MOST).read_to_end(&mut environment));
        read.is_ok() && environment.split(|&byte| byte == 0).any(|variable| variable == mark)
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    /// Nobody tells the environment of others.
    pub(super) fn end_marked(_mark: &[u8]) -> usize {
        0
    }
}
