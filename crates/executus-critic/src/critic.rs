//! The critic itself, and what a host may tell it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Critic, CriticError, RunStart, Watcher};
use executus_core::{RunId, Timestamp};
use parking_lot::Mutex;

use crate::config::{ConfigError, CriticConfig};
use crate::judge::Judge;
use crate::verdict::{Judged, OnVerdict};
use crate::watched::Watched;
use crate::watcher::RuleWatcher;

/// The runs under watch.
pub(crate) type Watching = Arc<Mutex<HashMap<RunId, Arc<Watched>>>>;

/// Watches runs by rules. Clones watch the same runs.
///
/// Each life that is watched has one task, which ends with its watcher. A run without findings is
/// told nothing, and is never stopped; when one is stopped, its status is `error` of kind
/// `stopped`, and the message says what was found.
///
/// ```
/// use executus_critic::{CriticConfig, RuleCritic, Tiers};
///
/// let config = CriticConfig { same_call: Some(Tiers::new(2, 4)), ..CriticConfig::default() };
/// let critic = RuleCritic::new(config)?;
/// let executor = executus_core::Executor::builder().critic(std::sync::Arc::new(critic));
/// # drop(executor);
/// # Ok::<(), executus_critic::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RuleCritic {
    config: CriticConfig,
    judge: Option<Judge>,
    listener: Option<OnVerdict>,
    watching: Watching,
}

impl RuleCritic {
    /// With these rules.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that means nothing.
    pub fn new(config: CriticConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config, judge: None, listener: None, watching: Watching::default() })
    }

    /// Asking this judge before a run is nudged.
    #[must_use]
    pub fn judge(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }

    /// Telling every verdict to this, one that changes nothing too.
    #[must_use]
    pub fn on_verdict(mut self, listen: impl Fn(&Judged) + Send + Sync + 'static) -> Self {
        self.listener = Some(OnVerdict::new(listen));
        self
    }

    /// Says that something happens in a run that the port does not report: a piece of an answer,
    /// progress of a tool. Returns whether the run is watched.
    pub fn touch(&self, run: &RunId) -> bool {
        self.on(run, Watched::touch)
    }

    /// Puts a text before the run's model. Returns whether the run is watched and there was room.
    pub fn steer(&self, run: &RunId, text: &str) -> bool {
        let watched = self.watched(run);
        watched.is_some_and(|watched| watched.steer(text))
    }

    /// Nudges a run for what somebody else found: a guard, say. Returns whether it is watched.
    pub fn signal(&self, run: &RunId, found: &str) -> bool {
        self.on(run, |watched| watched.signal(found, false))
    }

    /// Stops a run for what somebody else found. Returns whether it is watched.
    pub fn stop(&self, run: &RunId, found: &str) -> bool {
        self.on(run, |watched| watched.signal(found, true))
    }

    /// Moves the critic's own deadline of a run; `None` takes it away. The run's own stays. Returns
    /// whether the run is watched.
    pub fn move_deadline(&self, run: &RunId, deadline: Option<Timestamp>) -> bool {
        self.on(run, |watched| watched.move_deadline(deadline))
    }

    /// Whether a run is under watch. One that is has a task.
    #[must_use]
    pub fn is_watching(&self, run: &RunId) -> bool {
        self.watching.lock().contains_key(run)
    }

    fn watched(&self, run: &RunId) -> Option<Arc<Watched>> {
        self.watching.lock().get(run).cloned()
    }

    fn on(&self, run: &RunId, tell: impl FnOnce(&Watched)) -> bool {
        let watched = self.watched(run);
        watched.inspect(|watched| tell(watched)).is_some()
    }
}

#[async_trait]
impl Critic for RuleCritic {
    async fn monitor(
        &self,
        start: &RunStart,
        soft_timeout: Duration,
    ) -> Result<Option<Box<dyn Watcher>>, CriticError> {
        let (judge, listener) = (self.judge.clone(), self.listener.clone());
        let watched = Watched::new(start, self.config.clone(), soft_timeout, judge, listener);
        let watcher = RuleWatcher::start(Arc::new(watched), Arc::clone(&self.watching));
        Ok(Some(Box::new(watcher)))
    }
}
