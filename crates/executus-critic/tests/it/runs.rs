//! Runs that loop, hang, fail and burn tokens, and runs that are only slow.

use executus_core::{ErrorKind, Reply, RunStatus, ToolError, Usage};
use executus_critic::{CriticConfig, RuleCritic, Tiers};
use executus_testkit::scripted::{Do, Say, ScriptedModel};
use serde_json::json;

use crate::stage::{Stage, long, model, read, request, seconds};

/// CR-05: a run that loops on one tool is nudged once, then stopped, and its record says both.
#[tokio::test(start_paused = true)]
async fn a_looping_run_is_nudged_then_stopped() {
    let stage = Stage::new(CriticConfig::default());
    let loops = ScriptedModel::new([Reply::call("look", json!({"at": "it"}))]).for_ever().shared();
    let settled = stage.run(request(loops.clone(), Do::Echo)).await;
    let error = settled.outcome.error.clone().unwrap();
    assert_eq!((settled.outcome.status, error.kind), (RunStatus::Error, ErrorKind::Stopped));
    assert_eq!(
        error.message,
        "the critic stopped the run: `look` was called 7 times in a row with the same arguments \
         and the same result"
    );
    assert_eq!(loops.asked(), 7);
    assert_eq!(stage.verdicts(), [("same_call", "nudge"), ("same_call", "stop")]);
    let steers = stage.steers(&settled.outcome.run_id);
    assert_eq!(steers.len(), 1);
    assert_eq!(steers[0].0, "critic");
    assert!(steers[0].1.starts_with("`look` was called 3 times in a row"), "{steers:?}");
    assert_eq!(read(&loops), [steers[0].1.clone()]);
}

/// CR-06: a slow run in which something happens every 20 s is left alone for ten minutes.
#[tokio::test(start_paused = true)]
async fn a_slow_healthy_run_is_left_alone() {
    let stage = Stage::new(CriticConfig::default());
    let step = |n| Say::Slowly(seconds(10), Reply::call("look", json!({"at": n})));
    let lines = (0..30).map(step).chain([Reply::text("done").into()]);
    let settled = stage.run(request(model(lines), Do::Slow(seconds(10)))).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(settled.outcome.stats.runtime_ms, 600_000);
    assert_eq!(stage.verdicts(), []);
    assert_eq!(stage.steers(&settled.outcome.run_id), []);
}

/// CR-06: a run idle in a tool is looked at after 90 s and ended at the hard tier.
#[tokio::test(start_paused = true)]
async fn a_run_idle_in_a_tool_is_ended() {
    let stage = Stage::new(CriticConfig::default());
    let asks = model([Say::Slowly(seconds(5), Reply::call("look", json!({})))]);
    let settled = stage.run(request(asks, Do::Hang)).await;
    let error = settled.outcome.error.clone().unwrap();
    assert_eq!(error.kind, ErrorKind::Stopped);
    assert_eq!(
        error.message,
        "the critic stopped the run: Nothing has happened for 360 s: waiting for `look`"
    );
    assert_eq!(stage.verdicts(), [("idle", "nudge"), ("idle", "stop")]);
    let begin = stage.audit.trail(&settled.outcome.run_id).unwrap().starts[0].at;
    let at: Vec<_> = stage.judged().iter().map(|judged| judged.at.since(begin)).collect();
    assert_eq!(at, [seconds(95), seconds(365)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_idle_in_its_model_is_ended() {
    let config = CriticConfig { hard_idle: Some(seconds(120)), ..CriticConfig::default() };
    let stage = Stage::new(config);
    let settled = stage.run(request(model([Say::Hang]), Do::Echo)).await;
    let message = settled.outcome.error.clone().unwrap().message;
    assert!(message.ends_with("for 120 s: the model is deciding step 1"), "{message}");
}

/// A pause that ends is told to the model, and begins no second one.
#[tokio::test(start_paused = true)]
async fn a_pause_is_told_once() {
    let stage = Stage::new(CriticConfig::default());
    let lines = [
        Reply::call("look", json!({"n": 1})),
        Reply::call("look", json!({"n": 2})),
        Reply::text("done"),
    ];
    let model = model(lines);
    let settled = stage.run(request(model.clone(), Do::Slow(seconds(100)))).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(stage.verdicts(), [("idle", "nudge"), ("idle", "nudge")]);
    let texts = read(&model);
    assert!(texts.len() == 2 && texts[0].contains("for 90 s: waiting for `look`"), "{texts:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_stop_a_run() {
    let stage = Stage::new(CriticConfig::default());
    let lines = (0..20).map(|n| Reply::call("look", json!({"n": n})));
    let model = model(lines);
    let fails = Do::ask(|_, args| Err(ToolError::failed(format!("no {args}"))));
    let settled = stage.run(request(model.clone(), fails)).await;
    assert_eq!(stage.verdicts(), [("errors", "nudge"), ("errors", "stop")]);
    assert_eq!(model.asked(), 8);
    assert!(settled.outcome.error.clone().unwrap().message.ends_with("The last 8 calls failed"));
}

#[tokio::test(start_paused = true)]
async fn tokens_for_nothing_stop_a_run() {
    let config = CriticConfig { same_call: None, ..CriticConfig::default() };
    let stage = Stage::new(config);
    let usage = Usage { input_tokens: 15_000, output_tokens: 5_000, ..Usage::default() };
    let call = |n: usize| Reply::call("look", json!({"n": n % 2})).using(usage);
    let model = model((0..20).map(call));
    let settled = stage.run(request(model.clone(), Do::Echo)).await;
    assert_eq!(stage.verdicts(), [("tokens", "nudge"), ("tokens", "stop")]);
    // The first two calls brought something new; eight more used 160,000.
    assert_eq!(model.asked(), 10);
    assert!(settled.outcome.error.clone().unwrap().message.contains("160000 tokens"));
}

/// A long history costs much with each step; that alone is no reason.
#[tokio::test(start_paused = true)]
async fn a_run_that_gets_on_may_use_tokens() {
    let stage = Stage::new(CriticConfig::default());
    let usage = Usage { input_tokens: 150_000, ..Usage::default() };
    let call = |n: usize| Reply::call("look", json!({"n": n})).using(usage);
    let lines = (0..20).map(call).chain([Reply::text("done").using(usage)]);
    let settled = stage.run(request(model(lines), Do::Echo)).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(stage.verdicts(), []);
}

/// A final answer is an answer, whatever it took.
#[tokio::test(start_paused = true)]
async fn a_final_answer_is_never_stopped() {
    let tokens = Some(Tiers::new(1, 2));
    let stage = Stage::new(CriticConfig { tokens, ..CriticConfig::default() });
    let usage = Usage { output_tokens: 1_000, ..Usage::default() };
    let answer = Say::Slowly(seconds(359), Reply::text("done").using(usage));
    let settled = stage.run(request(model([answer]), Do::Echo)).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(stage.verdicts(), [("idle", "nudge")]);
}

/// CR-05: texts of the host and of the rules come in the order in which they were queued, once.
#[tokio::test(start_paused = true)]
async fn texts_keep_their_order() {
    let stage =
        Stage::new(CriticConfig { same_call: Some(Tiers::new(2, 0)), ..CriticConfig::default() });
    let step = || Say::Slowly(seconds(10), Reply::call("look", json!({})));
    let model = model([step(), step(), step(), Reply::text("done").into()]);
    let run = stage.executor().start(request(model.clone(), Do::Echo)).unwrap();
    tokio::time::sleep(seconds(15)).await;
    assert!(stage.critic.steer(run.run_id(), "before"));
    tokio::time::sleep(seconds(8)).await;
    assert!(stage.critic.signal(run.run_id(), "a guard has seen it"));
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    let texts = read(&model);
    assert_eq!(texts.len(), 3);
    assert_eq!((texts[0].as_str(), texts[2].as_str()), ("before", "a guard has seen it"));
    assert!(texts[1].starts_with("`look` was called 2 times"), "{texts:?}");
    assert_eq!(stage.verdicts(), [("same_call", "nudge"), ("signal", "nudge")]);
    assert!(!stage.critic.steer(run.run_id(), "after"), "nobody watches any more");
}

#[tokio::test(start_paused = true)]
async fn nudges_are_capped() {
    let config = CriticConfig {
        max_nudges: 2,
        same_call: Some(Tiers::new(2, 0)),
        ..CriticConfig::default()
    };
    let stage = Stage::new(config);
    let call = |n: usize| Reply::call("look", json!({"n": n / 2}));
    let lines = (0..10).map(call).chain([Reply::text("done")]);
    let model = model(lines);
    let settled = stage.run(request(model.clone(), Do::Echo)).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(read(&model).len(), 2);
    let void = stage.judged().iter().filter(|judged| judged.void.is_some()).count();
    assert_eq!((stage.judged().len(), void), (5, 3));
}

/// What the port does not report can be told: a tool that gets on is not idle.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_touched_is_not_idle() {
    let stage = Stage::new(CriticConfig::default());
    let lines = [Reply::call("look", json!({})), Reply::text("done")];
    let run = stage.executor().start(request(model(lines), Do::Slow(seconds(1000)))).unwrap();
    for _ in 0..16 {
        tokio::time::sleep(seconds(60)).await;
        assert!(stage.critic.touch(run.run_id()));
    }
    assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    assert_eq!(stage.verdicts(), []);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_may_stop_a_run() {
    let stage = Stage::new(CriticConfig::default());
    let run = stage.executor().start(request(model([Say::Hang]), Do::Echo)).unwrap();
    tokio::time::sleep(seconds(3)).await;
    assert!(stage.critic.stop(run.run_id(), "the page is a trap"));
    let settled = run.settled().await;
    let message = settled.outcome.error.clone().unwrap().message;
    assert_eq!(message, "the critic stopped the run: the page is a trap");
    assert_eq!(settled.outcome.stats.runtime_ms, 3_025);
}

/// CR-04: the run's own limits stay, and the critic's deadline comes before them.
#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_critic_is_a_timeout() {
    let stage = Stage::new(CriticConfig::default());
    let limits = long();
    let run = stage.executor().start(request(model([Say::Hang]), Do::Echo).limits(limits)).unwrap();
    tokio::time::sleep(seconds(1)).await;
    let begin = stage.audit.trail(run.run_id()).unwrap().starts[0].at;
    assert!(stage.critic.move_deadline(run.run_id(), Some(begin.after(seconds(30)))));
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Timeout);
    assert_eq!(settled.outcome.stats.runtime_ms, 30_025);
}

/// A listener that panics harms no run.
#[tokio::test(start_paused = true)]
async fn a_panicking_listener_harms_nobody() {
    let critic = RuleCritic::new(CriticConfig::default()).unwrap();
    let critic = critic.on_verdict(|_| panic!("the listener"));
    let stage = Stage { critic, ..Stage::new(CriticConfig::default()) };
    let call = || Reply::call("look", json!({}));
    let lines = model([call(), call(), call(), Reply::text("done")]);
    let settled = stage.run(request(lines.clone(), Do::Echo)).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(read(&lines).len(), 1);
}

/// Many runs at once, each with a life of its own.
#[tokio::test(start_paused = true)]
async fn runs_do_not_mix() {
    let stage = Stage::new(CriticConfig::default());
    let executor = stage.executor();
    let mut runs = Vec::new();
    for n in 0..40 {
        let call = Reply::call("look", json!({"n": n}));
        let model = match n % 2 {
            0 => ScriptedModel::new([call]).for_ever().shared(),
            _ => model([call, Reply::text("done")]),
        };
        runs.push(executor.start(request(model, Do::Slow(seconds(1)))).unwrap());
    }
    for (n, run) in runs.iter().enumerate() {
        let stopped = run.settled().await.outcome.status == RunStatus::Error;
        assert_eq!(stopped, n % 2 == 0, "run {n}");
        assert!(!stage.critic.is_watching(run.run_id()));
    }
    assert_eq!(stage.judged().len(), 40);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let refused = |config: CriticConfig| RuleCritic::new(config).unwrap_err().to_string();
    let default = CriticConfig::default;
    let zero = refused(CriticConfig { errors: Some(Tiers::new(0, 3)), ..default() });
    assert_eq!(zero, "critic.errors.soft is 0; give it a value above 0, or leave the rule out");
    let order = refused(CriticConfig { tokens: Some(Tiers::new(5, 5)), ..default() });
    assert_eq!(order, "critic.tokens.hard must be above critic.tokens.soft");
    let idle = refused(CriticConfig {
        soft_idle: Some(seconds(9)),
        hard_idle: Some(seconds(9)),
        ..default()
    });
    assert_eq!(idle, "critic.hard_idle must be above critic.soft_idle");
    let zero = refused(CriticConfig { hard_idle: Some(seconds(0)), ..default() });
    assert!(zero.starts_with("critic.hard_idle is 0"), "{zero}");
}
