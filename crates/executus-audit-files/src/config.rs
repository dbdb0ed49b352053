//! What can be set about the action log.

use std::path::PathBuf;
use std::time::Duration;

use executus_core::RunSpec;

/// Where the log lies, and how much of it may wait.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of all runs. It is created when it is not there.
    pub root: PathBuf,
    /// Records that may wait to be written: 4096.
    pub queue: usize,
    /// Bytes of the records that may wait: 64 MiB. An empty queue takes a record of any size.
    pub queue_bytes: usize,
    /// How long records nobody waits for are collected before they are written: 5 ms.
    pub linger: Duration,
    /// How long a start, a flush or a close waits to become durable: 10 s.
    pub wait: Duration,
    /// Which runs are playbooks: their actions are written as steps of one, without what was typed
    /// and without the values of requests. By default none.
    pub is_playbook: fn(&RunSpec) -> bool,
}

impl Config {
    /// The defaults, for this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            queue: 4096,
            queue_bytes: 64 << 20,
            linger: Duration::from_millis(5),
            wait: Duration::from_secs(10),
            is_playbook: |_| false,
        }
    }
}
