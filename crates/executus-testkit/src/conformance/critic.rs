//! The guarantees of a critic.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Critic, RunStart, Watcher};
use executus_core::transcript::{Acted, CallOutcome, Reply};
use executus_core::{RunId, Timestamp, ToolOutput};
use serde_json::json;
use tokio::task::JoinSet;

use super::{given, guarantee};
use crate::sample;

/// Moves a critic from outside, and looks into it.
#[async_trait]
pub trait CriticProbe: Send + Sync {
    /// Puts a text before the model of a run that is watched.
    async fn steer(&self, run: &RunId, text: &str);

    /// Moves the deadline of a run that is watched; `None` takes it away.
    async fn move_deadline(&self, run: &RunId, deadline: Option<Timestamp>);

    /// How many tasks and timers it holds for a run.
    async fn alive(&self, run: &RunId) -> usize;
}

/// Runs all guarantees of a critic.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn critic(critic: &dyn Critic, probe: &Arc<dyn CriticProbe>) {
    used_at_once(critic, probe).await;
    steering_is_drained(critic, &**probe).await;
    telling_never_waits(critic, &**probe).await;
    deadlines_can_be_moved(critic, &**probe).await;
    nothing_is_left(critic, &**probe).await;
}

async fn watcher(id: &str, critic: &dyn Critic, start: &RunStart) -> Box<dyn Watcher> {
    let soft_timeout = Duration::from_secs(90);
    match given(id, "monitor", critic.monitor(start, soft_timeout).await) {
        Some(watcher) => watcher,
        None => panic!("{id} cannot be shown: the critic gave no watcher"),
    }
}

/// C1: a watcher is used from many places at once, and loses nothing.
async fn used_at_once(critic: &dyn Critic, probe: &Arc<dyn CriticProbe>) {
    let run = RunId::random();
    let watcher: Arc<dyn Watcher> = watcher("C1", critic, &sample::start(&run, 1)).await.into();
    let mut tasks = JoinSet::new();
    for task in 0..8_u32 {
        let (watcher, probe, run) = (Arc::clone(&watcher), Arc::clone(probe), run.clone());
        tasks.spawn(async move {
            let mut texts = Vec::new();
            for n in 0..25 {
                watcher.step(n + 1);
                watcher.tool("look", &json!({"n": n}));
                probe.steer(&run, &format!("{task}-{n}")).await;
                texts.extend(watcher.steer());
                let later = sample::BEGIN.after(Duration::from_secs(u64::from(n)));
                probe.move_deadline(&run, Some(later)).await;
                tokio::task::yield_now().await;
            }
            texts
        });
    }
    let mut texts = Vec::new();
    while let Some(done) = tasks.join_next().await {
        texts.extend(given("C1", "a user", done));
    }
    texts.extend(watcher.steer());
    let different: HashSet<_> = texts.iter().collect();
    let (all, different) = (texts.len(), different.len());
    guarantee!("C1", all == 200 && different == 200, "200 texts: {all} came, {different} of them");
    watcher.stop().await;
}

/// C2: each text is handed out once, in order.
async fn steering_is_drained(critic: &dyn Critic, probe: &dyn CriticProbe) {
    let run = RunId::random();
    let watcher = watcher("C2", critic, &sample::start(&run, 1)).await;
    guarantee!("C2", watcher.steer().is_empty(), "a text that nobody queued");
    for text in ["one", "two", "three"] {
        probe.steer(&run, text).await;
    }
    let texts = watcher.steer();
    guarantee!("C2", texts == ["one", "two", "three"], "handed out {texts:?}");
    let again = watcher.steer();
    guarantee!("C2", again.is_empty(), "handed out again: {again:?}");
    probe.steer(&run, "four").await;
    let texts = watcher.steer();
    guarantee!("C2", texts == ["four"], "handed out {texts:?}");
    watcher.stop().await;
}

/// C3: what a watcher is told it takes at once, however much that is.
async fn telling_never_waits(critic: &dyn Critic, _probe: &dyn CriticProbe) {
    let run = RunId::random();
    let watcher = watcher("C3", critic, &sample::start(&run, 1)).await;
    // Nothing else runs on this thread meanwhile: a watcher that waits for its own task hangs.
    for n in 1..=5_000 {
        watcher.step(n);
        watcher.decided(n, &Reply::call("look", json!({"n": n})));
        watcher.tool("look", &json!({"n": n}));
        watcher.acted(&acted(n));
        let _ = watcher.steer();
    }
    watcher.stop().await;
}

fn acted(step: u32) -> Acted {
    Acted {
        step,
        call: 0,
        id: Arc::default(),
        name: "look".into(),
        outcome: CallOutcome::Output(ToolOutput::text(format!("seen {step}"))),
        duration_ms: 1,
    }
}

/// C4: a deadline can be set, moved and taken away.
async fn deadlines_can_be_moved(critic: &dyn Critic, probe: &dyn CriticProbe) {
    let run = RunId::random();
    let watcher = watcher("C4", critic, &sample::start(&run, 1)).await;
    if let Some(mut directive) = watcher.directive() {
        let soon = sample::BEGIN.after(Duration::from_secs(1_000));
        let later = sample::BEGIN.after(Duration::from_secs(2_000));
        for deadline in [Some(soon), Some(later), None] {
            directive.borrow_and_update();
            probe.move_deadline(&run, deadline).await;
            let changed = tokio::time::timeout(Duration::from_secs(10), directive.changed()).await;
            guarantee!("C4", matches!(changed, Ok(Ok(()))), "a moved deadline is not told");
            let told = directive.borrow_and_update().clone();
            // A zero deadline is none.
            let told_deadline = told.deadline.filter(|at| *at > Timestamp::default());
            guarantee!("C4", told_deadline == deadline, "moved to {deadline:?}, told {told:?}");
            guarantee!("C4", told.stop.is_none(), "a moved deadline stops the run: {told:?}");
        }
    }
    watcher.stop().await;
}

/// C5: after the stop nothing is left, and nothing after a monitor that was given up.
async fn nothing_is_left(critic: &dyn Critic, probe: &dyn CriticProbe) {
    let run = RunId::random();
    let watcher = watcher("C5", critic, &sample::start(&run, 1)).await;
    watcher.step(1);
    probe.steer(&run, "text").await;
    watcher.stop().await;
    let alive = probe.alive(&run).await;
    guarantee!("C5", alive == 0, "{alive} tasks or timers after the stop");
    // A second stop, and the drop, find nothing to do.
    watcher.stop().await;
    drop(watcher);

    let given_up = RunId::random();
    let start = sample::start(&given_up, 1);
    drop(critic.monitor(&start, Duration::from_secs(90)));
    let alive = probe.alive(&given_up).await;
    guarantee!("C5", alive == 0, "{alive} tasks or timers of a monitor that was given up");
}
