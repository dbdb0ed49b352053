//! A stage: an executor with the critic and an audit in memory.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::MemoryAudit;
use executus_core::{
    Entry, Executor, Fact, Limits, Model, Ports, RunId, RunRequest, Settled, Tool, Toolbox,
};
use executus_critic::{CriticConfig, Judge, Judged, RuleCritic};
use executus_testkit::scripted::{Do, Say, ScriptedModel, ScriptedTool};
use parking_lot::Mutex;

/// See the module.
pub(crate) struct Stage {
    pub(crate) critic: RuleCritic,
    pub(crate) audit: MemoryAudit,
    pub(crate) judged: Arc<Mutex<Vec<Judged>>>,
}

impl Stage {
    pub(crate) fn new(config: CriticConfig) -> Self {
        let judged: Arc<Mutex<Vec<Judged>>> = Arc::default();
        let told = Arc::clone(&judged);
        let critic = RuleCritic::new(config).unwrap();
        let critic = critic.on_verdict(move |judged| told.lock().push(judged.clone()));
        Self { critic, audit: MemoryAudit::default(), judged }
    }

    pub(crate) fn judged_by(mut self, judge: Judge) -> Self {
        self.critic = self.critic.judge(judge);
        self
    }

    pub(crate) fn executor(&self) -> Executor {
        let ports = Ports {
            audit: Some(Arc::new(self.audit.clone())),
            critic: Some(Arc::new(self.critic.clone())),
            ..Ports::default()
        };
        Executor::new(ports)
    }

    pub(crate) async fn run(&self, request: RunRequest) -> Settled {
        let run = self.executor().start(request).unwrap();
        let settled = run.settled().await;
        assert!(!self.critic.is_watching(run.run_id()), "still watched");
        settled
    }

    /// Rule and verdict of all that was told.
    pub(crate) fn verdicts(&self) -> Vec<(&'static str, &'static str)> {
        let judged = self.judged.lock();
        judged.iter().map(|judged| (judged.rule.as_str(), judged.verdict.as_str())).collect()
    }

    pub(crate) fn judged(&self) -> Vec<Judged> {
        self.judged.lock().clone()
    }

    /// The texts that the record of a run has as steering.
    pub(crate) fn steers(&self, run: &RunId) -> Vec<(String, String)> {
        let records = self.audit.trail(run).unwrap().records;
        let steers = records.iter().filter_map(|record| match &record.fact {
            Fact::Steered(steer) => Some((steer.source.to_string(), steer.text.clone())),
            _ => None,
        });
        steers.collect()
    }
}

pub(crate) fn long() -> Limits {
    let hard_timeout = Duration::from_secs(7200);
    Limits { hard_timeout, max_steps: 100, max_tokens: u64::MAX, ..Limits::default() }
}

pub(crate) fn request(model: Arc<dyn Model>, acts: Do) -> RunRequest {
    let look = ScriptedTool::new("look", acts).shared() as Arc<dyn Tool>;
    RunRequest::new(model).name("test").tools(Toolbox::new([look]).unwrap()).limits(long())
}

pub(crate) fn model<S: Into<Say>>(lines: impl IntoIterator<Item = S>) -> Arc<ScriptedModel> {
    ScriptedModel::new(lines).shared()
}

/// The texts that a model found in its transcript when it was last asked.
pub(crate) fn read(model: &ScriptedModel) -> Vec<String> {
    let seen = model.seen();
    let entries = seen.last().unwrap().entries().iter();
    let texts = entries.filter_map(|entry| match entry {
        Entry::Steer(steer) => Some(steer.text.clone()),
        Entry::Reply(_) | Entry::Result(_) => None,
    });
    texts.collect()
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
