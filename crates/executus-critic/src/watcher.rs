//! The watcher of one life of a run, and the task behind it.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::{Directive, Watcher};
use executus_core::transcript::{Acted, Reply};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::critic::Watching;
use crate::watched::Watched;

/// See the module. The task ends with it.
#[derive(Debug)]
pub(crate) struct RuleWatcher {
    watched: Arc<Watched>,
    watching: Watching,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl RuleWatcher {
    pub(crate) fn start(watched: Arc<Watched>, watching: Watching) -> Self {
        watching.lock().insert(watched.run.clone(), Arc::clone(&watched));
        #[expect(clippy::disallowed_methods, reason = "owned by the watcher, ends with it")]
        let task = tokio::spawn(watch_over(Arc::clone(&watched)));
        Self { watched, watching, task: Mutex::new(Some(task)) }
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        let mut watching = self.watching.lock();
        // Another life of the run may be watched already.
        if watching.get(&self.watched.run).is_some_and(|now| Arc::ptr_eq(now, &self.watched)) {
            watching.remove(&self.watched.run);
        }
        let task = self.task.lock().take();
        task.inspect(JoinHandle::abort)
    }
}

#[async_trait]
impl Watcher for RuleWatcher {
    fn step(&self, step: u32) {
        self.watched.step(step);
    }

    fn decided(&self, _step: u32, reply: &Reply) {
        self.watched.decided(reply);
    }

    fn tool(&self, name: &str, _args: &Value) {
        self.watched.tool(name);
    }

    fn acted(&self, acted: &Acted) {
        self.watched.acted(acted);
    }

    fn steer(&self) -> Vec<String> {
        self.watched.drain()
    }

    fn directive(&self) -> Option<watch::Receiver<Directive>> {
        Some(self.watched.directive())
    }

    async fn stop(&self) {
        if let Some(task) = self.end() {
            // It was aborted: there is nothing to wait for but the drop of its future.
            let _ = task.await;
        }
    }
}

impl Drop for RuleWatcher {
    fn drop(&mut self) {
        self.end();
    }
}

/// Looks at the clock when it is time to, and asks the judge when there is a question.
async fn watch_over(watched: Arc<Watched>) {
    loop {
        if let Some((judge, finding, case)) = watched.question() {
            let mut asked = pin!(judge.ask(&case));
            let opinion = loop {
                // A judge that takes its time holds nothing up: the clock is looked at meanwhile.
                tokio::select! {
                    biased;
                    opinion = &mut asked => break opinion,
                    () = watched.stirred() => {}
                    () = watched.alarm() => watched.look(),
                }
            };
            watched.judged(&finding, opinion);
            continue;
        }
        tokio::select! {
            biased;
            () = watched.stirred() => {}
            () = watched.alarm() => watched.look(),
        }
    }
}
