//! Runs under a critic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Critic, CriticError, Directive, RunStart, Watcher};
use executus_core::transcript::Acted;
use executus_core::{
    Entry, ErrorKind, Executor, Limits, Ports, Reply, RunStatus, Timestamp, Transcript,
};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::{Do, Say, ScriptedCritic, ScriptedModel, Seen};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::stage::{Stage, model, request, seconds, tool, tools, two_steps};

/// CR-01: without a soft timeout the critic gets 90 s; zero is not passed on.
#[tokio::test(start_paused = true)]
async fn the_soft_timeout_is_never_zero() {
    for (soft_timeout, expected) in [(None, 90), (Some(0), 90), (Some(20), 20)] {
        let stage = Stage::new();
        let mut limits = Limits::default();
        if let Some(soft_timeout) = soft_timeout {
            limits.soft_timeout = seconds(soft_timeout);
        }
        let ended = stage.run(request(two_steps()).limits(limits)).await;
        assert_eq!(ended.status(), RunStatus::Ok);
        let (_, told) = stage.critic.started(&ended.run).unwrap();
        assert_eq!(told, seconds(expected));
    }
}

/// CR-02: a critic that gives no watcher leaves the run unmonitored.
#[tokio::test(start_paused = true)]
async fn no_watcher_no_watching() {
    let mut stage = Stage::new();
    stage.critic = ScriptedCritic::new().unmonitored();
    let ended = stage.run(request(two_steps())).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(stage.plan.count(Site::Monitor), 1);
    assert_eq!(stage.plan.count(Site::WatcherStep), 0);
}

/// CR-03: a panic when the deadline is asked for ends the watching alone.
#[tokio::test(start_paused = true)]
async fn a_panicking_deadline_ends_the_watching() {
    let stage = Stage::with(Plan::new().with(Site::WatcherDirective, 1, Fault::Panic));
    let ended = stage.run(request(two_steps())).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(stage.plan.count(Site::WatcherStep), 0, "asked after it panicked");
    assert_eq!(stage.plan.count(Site::WatcherStop), 1);
}

/// CR-04: the critic's deadline ends the run, unless it was moved before; zero is none.
#[tokio::test(start_paused = true)]
async fn a_deadline_can_be_moved() {
    let none = Some(Timestamp::default());
    let after = |secs| Some(seconds(secs));
    // What it is moved to in the second second, and in the third; when the run ends.
    let cases = [
        (after(5), None, 5000, RunStatus::Timeout),
        (after(5), Some(after(8)), 8000, RunStatus::Timeout),
        (after(5), Some(None), 20_000, RunStatus::Ok),
        (None, None, 20_000, RunStatus::Ok),
    ];
    for (first, second, ends, status) in cases {
        let stage = Stage::new();
        let slow = model([Say::Slowly(seconds(20), Reply::text("done"))]);
        let run = stage.executor().start(request(slow)).unwrap();
        tokio::time::sleep(seconds(1)).await;
        let (start, _) = stage.critic.started(run.run_id()).unwrap();
        let at = |after: Option<Duration>| after.map(|after| start.at.after(after)).or(none);
        stage.critic.move_deadline(run.run_id(), at(first));
        tokio::time::sleep(seconds(1)).await;
        if let Some(second) = second {
            stage.critic.move_deadline(run.run_id(), at(second));
        }
        let ended = stage.ended(run.run_id().clone(), run.settled().await);
        assert_eq!(ended.status(), status);
        let took = ended.outcome().stats.runtime_ms;
        assert!((ends..=ends + 50).contains(&took), "{took} ms");
    }
}

/// CR-04: a critic cannot give a run more time than it has of its own.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_never_beyond_the_runs_own() {
    let stage = Stage::new();
    let limits = Limits { hard_timeout: seconds(5), ..Limits::default() };
    let run = stage.executor().start(request(model([Say::Hang])).limits(limits)).unwrap();
    tokio::time::sleep(seconds(1)).await;
    let (start, _) = stage.critic.started(run.run_id()).unwrap();
    stage.critic.move_deadline(run.run_id(), Some(start.at.after(seconds(100))));
    let ended = stage.ended(run.run_id().clone(), run.settled().await);
    assert_eq!(ended.status(), RunStatus::Timeout);
    assert!((5000..=5050).contains(&ended.outcome().stats.runtime_ms));
}

fn steers(transcript: &Transcript) -> Vec<&str> {
    let steers = transcript.entries().iter().filter_map(|entry| match entry {
        Entry::Steer(steer) => Some(steer.text.as_str()),
        Entry::Reply(_) | Entry::Result(_) => None,
    });
    steers.collect()
}

/// A stop that the critic asked for ends a run too in which nothing ever waits.
#[tokio::test(start_paused = true)]
async fn an_instant_run_can_be_stopped() {
    struct Impatient(watch::Sender<Directive>);
    #[async_trait]
    impl Critic for Impatient {
        async fn monitor(
            &self,
            _: &RunStart,
            _: Duration,
        ) -> Result<Option<Box<dyn Watcher>>, CriticError> {
            Ok(Some(Box::new(Self(self.0.clone()))))
        }
    }
    #[async_trait]
    impl Watcher for Impatient {
        fn step(&self, _: u32) {}
        fn tool(&self, _: &str, _: &Value) {}
        fn acted(&self, acted: &Acted) {
            if acted.step == 3 {
                self.0.send_modify(|directive| directive.stop = Some("enough".into()));
            }
        }
        fn steer(&self) -> Vec<String> {
            Vec::new()
        }
        fn directive(&self) -> Option<watch::Receiver<Directive>> {
            Some(self.0.subscribe())
        }
        async fn stop(&self) {}
    }
    let loops = ScriptedModel::new([Reply::call("echo", json!({}))]).for_ever().shared();
    let impatient = Arc::new(Impatient(watch::Sender::new(Directive::default())));
    let executor = Executor::new(Ports { critic: Some(impatient), ..Ports::default() });
    let settled = executor.start(request(loops.clone())).unwrap().settled().await;
    assert_eq!(settled.outcome.error.as_ref().unwrap().kind, ErrorKind::Stopped);
    assert_eq!(loops.asked(), 3, "asked after it was stopped");
}

/// CR-05: queued texts come before the next step, once each, in order.
#[tokio::test(start_paused = true)]
async fn steering_comes_before_the_next_step() {
    let stage = Stage::new();
    stage.critic.queue(&["one", "two"]);
    let echo = |after| Say::Slowly(seconds(after), Reply::call("echo", json!({})));
    let model = model([echo(2), echo(2), Reply::text("done").into()]);
    let run = stage.executor().start(request(model.clone())).unwrap();
    tokio::time::sleep(seconds(1)).await;
    for text in ["three", "four"] {
        stage.critic.steer(run.run_id(), text);
    }
    let ended = stage.ended(run.run_id().clone(), run.settled().await);
    assert_eq!(ended.status(), RunStatus::Ok);
    let seen: Vec<_> = model.seen();
    let seen: Vec<_> = seen.iter().map(steers).collect();
    let all = ["one", "two", "three", "four"];
    assert_eq!(seen, [&all[..2], &all[..], &all[..]]);
}

/// CR-06: each step, each tool start and what came of them is reported.
#[tokio::test(start_paused = true)]
async fn steps_and_tools_are_reported() {
    let stage = Stage::new();
    let lines = [
        Reply::call("echo", json!({"n": 1})).and_call("echo", json!({"password": "hunter22"})),
        Reply::text("done"),
    ];
    let ended = stage.run(request(model(lines))).await;
    let expected = [
        Seen::Step(1),
        Seen::Decided(1, 2),
        Seen::Tool("echo".into(), json!({"n": 1})),
        Seen::Tool("echo".into(), json!({"password": "[redacted]"})),
        Seen::Acted("echo".into(), true),
        Seen::Acted("echo".into(), true),
        Seen::Step(2),
        Seen::Decided(2, 0),
        Seen::Stop,
    ];
    assert_eq!(stage.critic.seen(&ended.run), expected);
}

/// CR-08: the run tells the critic while others move its deadline, steer and stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_critic_is_used_from_everywhere() {
    let stage = Stage::new();
    let echo = tool("echo", Do::Slow(Duration::from_millis(1)));
    let lines: Vec<_> = (0..40).map(|n| Reply::call("echo", json!({"n": n}))).collect();
    let limits = Limits { max_steps: 41, ..Limits::default() };
    let model = model(lines.into_iter().chain([Reply::text("done")]));
    let request = request(model.clone()).tools(tools([echo])).limits(limits);
    let run = stage.executor().start(request).unwrap();
    while stage.critic.started(run.run_id()).is_none() {
        tokio::task::yield_now().await;
    }
    let (critic, id) = (stage.critic.clone(), run.run_id().clone());
    let mut others = tokio::task::JoinSet::new();
    let (start, _) = stage.critic.started(&id).unwrap();
    others.spawn(async move {
        for n in 0..50 {
            critic.steer(&id, &n.to_string());
            critic.move_deadline(&id, Some(start.at.after(seconds(60 + n))));
            tokio::task::yield_now().await;
        }
    });
    others.join_all().await;
    let ended = stage.ended(run.run_id().clone(), run.settled().await);
    assert_eq!(ended.status(), RunStatus::Ok);
    let seen = model.seen();
    let texts = steers(seen.last().unwrap());
    let numbers: Vec<usize> = texts.iter().map(|text| text.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    let told = stage.critic.seen(&ended.run);
    assert_eq!(told.iter().filter(|seen| matches!(seen, Seen::Tool(..))).count(), 40);
    assert_eq!(told.iter().filter(|seen| matches!(seen, Seen::Stop)).count(), 1);
}
