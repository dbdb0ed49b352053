//! The runs under way: for a shutdown, which asks them all, and so that no id runs twice at once.

use std::collections::HashSet;
use std::sync::Arc;

use super::shared::Shared;
use crate::id::RunId;

/// See the module. Places are reused; an id is remembered only when its host chose it, since a
/// fresh one cannot collide.
#[derive(Default)]
pub(super) struct Registry {
    places: Vec<Option<Arc<Shared>>>,
    free: Vec<usize>,
    chosen: HashSet<RunId>,
}

impl Registry {
    /// The place of a run; `None` when a run with this id is under way.
    pub(super) fn enter(&mut self, run: &Arc<Shared>, chosen: bool) -> Option<usize> {
        if chosen && !self.chosen.insert(run.spec().run_id.clone()) {
            return None;
        }
        let run = Arc::clone(run);
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(run);
                Some(place)
            }
            None => {
                self.places.push(Some(run));
                Some(self.places.len() - 1)
            }
        }
    }

    pub(super) fn leave(&mut self, place: usize) {
        let Some(run) = self.places.get_mut(place).and_then(Option::take) else { return };
        self.free.push(place);
        if !self.chosen.is_empty() {
            self.chosen.remove(&run.spec().run_id);
        }
    }

    /// Whether a run with this id is under way, whoever chose the id. Looks at every run.
    pub(super) fn contains(&self, run: &RunId) -> bool {
        self.find(run).is_some()
    }

    /// The run with this id, if it is under way. Looks at every run.
    pub(super) fn find(&self, run: &RunId) -> Option<Arc<Shared>> {
        self.places.iter().flatten().find(|shared| shared.spec().run_id == *run).cloned()
    }

    pub(super) fn runs(&self) -> Vec<Arc<Shared>> {
        self.places.iter().flatten().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
