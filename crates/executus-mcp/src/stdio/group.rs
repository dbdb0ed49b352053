//! The process group of one server.

use rustix::process::{Pid, Signal, kill_process_group};

/// Ends every process of a server's group, when it is dropped at the latest.
///
/// The number of a group stays taken while one process of it lives, or while its leader is not
/// waited for; so a signal sent in that time reaches this group or nobody.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// The group that this child leads.
    pub(super) fn led_by(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { leader }
    }

    /// Asks the group to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends the group; later signals go nowhere, since its number may be another's by then.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.leader = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // The only likely answer is that nobody is left.
            let _gone = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
