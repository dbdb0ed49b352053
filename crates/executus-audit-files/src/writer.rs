//! The thread that writes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use executus_core::RunId;
use executus_core::port::{AuditError, RunStart};
use tokio::sync::watch;

use crate::folder::{Folder, Staged};
use crate::job::Job;
use crate::open::Open;
use crate::place::Place;
use crate::queue::Queue;
use crate::recorder::unfit;
use crate::row::Action;
use crate::stage::stage;

pub(crate) struct Writer {
    root: Folder,
    runs: HashMap<RunId, Open>,
    /// The runs with something that is not durable.
    changed: HashSet<RunId>,
}

/// Tells the end of the thread, a panic's too.
struct Told {
    queue: Arc<Queue>,
    ended: watch::Sender<bool>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.queue.end();
        self.ended.send_replace(true);
    }
}

impl Writer {
    pub(crate) fn new(root: Folder) -> Self {
        Self { root, runs: HashMap::new(), changed: HashSet::new() }
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self, queue: Arc<Queue>, ended: watch::Sender<bool>) {
        let told = Told { queue, ended };
        let mut group = Vec::new();
        while told.queue.take(&mut group) {
            group.iter_mut().for_each(render);
            let staged = stage(&group, &self.runs);
            for (job, staged) in group.drain(..).zip(staged) {
                self.perform(job, staged);
            }
            let changed: Vec<_> = self.changed.drain().collect();
            changed.iter().for_each(|run| self.sync(run));
        }
    }

    fn sync(&mut self, run: &RunId) {
        if let Some(open) = self.runs.get_mut(run) {
            open.sync();
        }
    }

    fn perform(&mut self, job: Job, staged: Option<Staged>) {
        match job {
            Job::Start(start, answer) => {
                let started = self.start(&start);
                let run = &start.spec.run_id;
                let good = started.is_ok();
                // Whoever does not wait any more holds no recorder.
                if answer.send(started).is_err() && good {
                    self.leave(run);
                }
            }
            Job::Row(run, draft, ack) => match (self.runs.get_mut(&run), draft.row()) {
                // What comes after a record that could not be written would leave a gap.
                (Some(open), Some(row)) if ack.failure().is_none() => {
                    open.row(row, staged, ack);
                    self.changed.insert(run);
                }
                (None, Some(_)) => ack.fail(not_open(&run)),
                // It was told already.
                (Some(_), Some(_)) | (_, None) => {}
            },
            Job::Flush(run, ack, answer) => {
                self.sync(&run);
                let failed = ack.failure().or_else(|| self.failed(&run));
                let _ = answer.send(failed.map_or(Ok(()), Err));
            }
            Job::End { run, outcome, closes, ack, answer } => {
                self.sync(&run);
                let ended = match ack.failure().or_else(|| self.failed(&run)) {
                    Some(failed) => Err(failed),
                    None => self.end(&run, *outcome, closes),
                };
                let _ = answer.send(ended);
            }
            Job::Leave(run) => self.leave(&run),
            Job::Put(run, action, answer) => {
                let _ = answer.send(self.put(&run, &action));
            }
        }
    }

    fn start(&mut self, start: &RunStart) -> Result<u64, AuditError> {
        let run = &start.spec.run_id;
        // After a failure the files say what is there.
        let left = match self.failed(run) {
            Some(_) => self.runs.remove(run).map_or(0, |open| open.recorders),
            None => 0,
        };
        self.sync(run);
        let begun = self.open(run).and_then(|open| {
            open.recorders += left;
            let before = open.card.clone();
            let begun = open.card.begin(start).and_then(|()| open.write_card());
            if begun.is_err() {
                open.card = before;
            }
            begun.map(|()| {
                open.recorders += 1;
                open.newest
            })
        });
        self.forget(run);
        begun
    }

    /// An entry beside the records. A run that is not open here may be in another process: its
    /// trail is left alone.
    fn put(&mut self, run: &RunId, action: &Action) -> Result<String, AuditError> {
        if let Some(open) = self.runs.get_mut(run) {
            let name = open.put(action, None, None)?;
            open.sync();
            return open.failed().map_or(Ok(name), Err);
        }
        let (place, _) = Place::open(&self.root, run)?;
        let put = place.put(action, None, None);
        let durable = put.and_then(|name| place.folder().sync().map(|()| name));
        durable.map_err(|error| place.not_written(error))
    }

    fn end(
        &mut self,
        run: &RunId,
        outcome: executus_core::Outcome,
        closes: bool,
    ) -> Result<(), AuditError> {
        let open = self.runs.get_mut(run).ok_or_else(|| not_open(run))?;
        if open.card.closed {
            return Ok(());
        }
        let before = open.card.clone();
        open.card.end(outcome, closes);
        let wrote = open.write_card();
        if wrote.is_err() {
            open.card = before;
        }
        wrote
    }

    fn open(&mut self, run: &RunId) -> Result<&mut Open, AuditError> {
        use std::collections::hash_map::Entry;
        match self.runs.entry(run.clone()) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Open::new(&self.root, run)?)),
        }
    }

    fn failed(&self, run: &RunId) -> Option<AuditError> {
        self.runs.get(run)?.failed()
    }

    fn leave(&mut self, run: &RunId) {
        self.sync(run);
        if let Some(open) = self.runs.get_mut(run) {
            open.recorders = open.recorders.saturating_sub(1);
        }
        self.forget(run);
    }

    /// Closes the files of a run that nobody records.
    fn forget(&mut self, run: &RunId) {
        if self.runs.get(run).is_some_and(|open| open.recorders == 0) {
            self.runs.remove(run);
        }
    }
}

/// Renders a record. One that cannot be written as JSON is its run's last.
fn render(job: &mut Job) {
    if let Job::Row(run, draft, ack) = job
        && let Err(error) = draft.render(run)
    {
        ack.fail(unfit(error));
    }
}

fn not_open(run: &RunId) -> AuditError {
    let message = format!("run `{run}` is not being recorded here");
    AuditError::Conflict { message }
}
