//! The contents of many actions, made durable at once.
//!
//! A disk answers one flush after the other, but takes many together nearly as fast as one.

use std::collections::HashMap;
use std::thread;

use executus_core::RunId;

use crate::folder::Staged;
use crate::job::Job;
use crate::open::Open;

/// How many flushes are under way at once.
const FLUSHES: usize = 16;
/// For fewer actions no thread is started.
const FEW: usize = 3;

/// Writes the contents of the actions in a group, one place per job. What is not written here is
/// written when its turn comes.
pub(crate) fn stage(group: &[Job], runs: &HashMap<RunId, Open>) -> Vec<Option<Staged>> {
    let mut staged: Vec<Option<Staged>> = Vec::new();
    staged.resize_with(group.len(), || None);
    let is_action = |job: &&Job| match job {
        Job::Row(_, draft, _) => draft.row().is_some_and(|row| row.action.is_some()),
        _ => false,
    };
    let count = group.iter().filter(is_action).count();
    if count < FEW {
        return staged;
    }
    let size = group.len().div_ceil(count.min(FLUSHES));
    thread::scope(|scope| {
        for (jobs, places) in group.chunks(size).zip(staged.chunks_mut(size)) {
            let work = move || {
                for (job, place) in jobs.iter().zip(places) {
                    if let Job::Row(run, draft, _) = job {
                        *place =
                            runs.get(run).zip(draft.row()).and_then(|(open, row)| open.stage(row));
                    }
                }
            };
            // Without a thread they are written one by one.
            let _ = thread::Builder::new().name("executus-flush".into()).spawn_scoped(scope, work);
        }
    });
    staged
}
