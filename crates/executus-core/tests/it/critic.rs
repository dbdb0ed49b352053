//! Runs under a critic.

use std::time::Duration;

use executus_core::{Entry, Limits, Reply, RunStatus, Timestamp, Transcript};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::{Do, Say, ScriptedCritic, Seen};
use serde_json::json;

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

/// CR-06: each step and each tool start is reported.
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
        Seen::Tool("echo".into(), json!({"n": 1})),
        Seen::Tool("echo".into(), json!({"password": "[redacted]"})),
        Seen::Step(2),
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
