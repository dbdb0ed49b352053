//! A model that is asked for a verdict.

use std::sync::Arc;

use executus_core::{ErrorKind, Model, ModelError, Reply, RunStatus, Usage};
use executus_critic::{CriticConfig, Judge, JudgeLimits, Tiers, Verdict, VerdictBy};
use executus_testkit::scripted::{Do, Say, ScriptedModel};
use serde_json::json;

use crate::stage::{Stage, model, read, request, seconds};

fn says(text: &str) -> Say {
    let usage = Usage { input_tokens: 900, output_tokens: 100, ..Usage::default() };
    Reply::text(text).using(usage).into()
}

fn judge(lines: impl IntoIterator<Item = Say>) -> (Arc<ScriptedModel>, Judge) {
    let model = model(lines);
    (Arc::clone(&model), Judge::new(model as Arc<dyn Model>))
}

fn looping() -> Arc<ScriptedModel> {
    ScriptedModel::new([Say::Slowly(seconds(1), Reply::call("look", json!({})))])
        .for_ever()
        .shared()
}

#[tokio::test(start_paused = true)]
async fn a_judge_nudges_in_its_own_words() {
    let (asked, judge) = judge([says(r#"{"verdict": "nudge", "text": "Use the index."}"#)]);
    let stage = Stage::new(CriticConfig::default()).judged_by(judge);
    let model = looping();
    stage.run(request(model.clone(), Do::Echo)).await;
    assert_eq!(read(&model), ["Use the index."]);
    assert_eq!(stage.verdicts(), [("same_call", "nudge"), ("same_call", "stop")]);
    let judged = stage.judged();
    assert_eq!((judged[0].by, judged[1].by), (VerdictBy::Judge, VerdictBy::Rule));
    assert_eq!(judged[0].usage.input_tokens, 900);
    assert_eq!(asked.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_judge_stops_a_run() {
    let (_, judge) =
        judge([says(r#"{"verdict": "stop", "text": "hopeless: token=sk-abcdefgh1234"}"#)]);
    let stage = Stage::new(CriticConfig::default()).judged_by(judge);
    let model = looping();
    let settled = stage.run(request(model.clone(), Do::Echo)).await;
    let error = settled.outcome.error.clone().unwrap();
    assert_eq!(error.kind, ErrorKind::Stopped);
    assert!(error.message.starts_with("the critic stopped the run: hopeless"), "{error}");
    assert!(!error.message.contains("sk-abcdefgh1234"), "{error}");
    assert!(model.asked() <= 4);
}

/// Extensions start the tiers again, as often as they may and not once more.
#[tokio::test(start_paused = true)]
async fn extensions_are_capped() {
    let (asked, judge) = judge((0..9).map(|_| says(r#"{"verdict": "extend"}"#)));
    let judge = judge.limits(JudgeLimits { calls: 9, ..JudgeLimits::default() });
    let stage = Stage::new(CriticConfig::default()).judged_by(judge);
    let asks = model([Reply::call("look", json!({}))]);
    let settled = stage.run(request(asks, Do::Hang)).await;
    let extend = ("idle", "extend");
    assert_eq!(stage.verdicts(), [extend, extend, extend, ("idle", "stop")]);
    let void: Vec<_> = stage.judged().iter().map(|judged| judged.void.is_some()).collect();
    assert_eq!(void, [false, false, true, false]);
    assert_eq!(asked.asked(), 3);
    // Two looks after 90 s each, then the whole of 360 s, and the grace of 25 ms.
    assert_eq!(settled.outcome.stats.runtime_ms, 540_025);
}

/// Whatever a judge does instead of judging, the run goes on.
#[tokio::test(start_paused = true)]
async fn a_judge_that_fails_changes_nothing() {
    let rejected = ModelError::Rejected { message: "no".into() };
    let call = Reply::call("look", json!({}));
    for line in [
        says("I would stop this."),
        says(r#"{"verdict": "obliterate"}"#),
        call.into(),
        Say::Fail(rejected),
        Say::Panic,
        Say::Hang,
    ] {
        let (_, judge) = judge([line.clone()]);
        let stage = Stage::new(CriticConfig::default()).judged_by(judge);
        let lines = [Reply::call("look", json!({"n": 1})), Reply::text("done")];
        let settled = stage.run(request(model(lines), Do::Slow(seconds(200)))).await;
        assert_eq!(settled.outcome.status, RunStatus::Ok, "{line:?}");
        assert_eq!(settled.outcome.stats.runtime_ms, 200_000);
        let judged = stage.judged();
        assert_eq!(judged.len(), 1, "{line:?}");
        assert_eq!(judged[0].verdict, Verdict::Continue);
        assert!(judged[0].void.is_some(), "{line:?}");
    }
}

/// A judge that hangs keeps neither the hard tier nor the end of the run from coming.
#[tokio::test(start_paused = true)]
async fn a_slow_judge_holds_nothing_up() {
    let limits = JudgeLimits { deadline: seconds(10_000), ..JudgeLimits::default() };
    let stage = Stage::new(CriticConfig::default()).judged_by(judge([Say::Hang]).1.limits(limits));
    let asks = model([Reply::call("look", json!({}))]);
    let settled = stage.run(request(asks, Do::Hang)).await;
    assert_eq!(settled.outcome.stats.runtime_ms, 360_025);

    let stage = Stage::new(CriticConfig::default()).judged_by(judge([Say::Hang]).1.limits(limits));
    let lines = [Reply::call("look", json!({})), Reply::text("done")];
    let settled = stage.run(request(model(lines), Do::Slow(seconds(100)))).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(settled.outcome.stats.runtime_ms, 100_000);
}

/// A verdict on what is over does not count: a wrong judge cannot harm a run that has moved on.
#[tokio::test(start_paused = true)]
async fn a_late_verdict_is_void() {
    let stop = Say::Slowly(seconds(15), Reply::text(r#"{"verdict": "stop", "text": "no"}"#));
    let stage = Stage::new(CriticConfig::default()).judged_by(judge([stop]).1);
    let step = Say::Slowly(seconds(100), Reply::call("look", json!({})));
    let settled = stage
        .run(request(model([step, Say::Slowly(seconds(30), Reply::text("done"))]), Do::Echo))
        .await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(stage.judged()[0].void.as_deref(), Some("the run has moved on"));
}

/// A healthy run is never judged: a judge that would stop everything is not asked.
#[tokio::test(start_paused = true)]
async fn a_healthy_run_is_not_judged() {
    let (asked, judge) = judge((0..9).map(|_| says(r#"{"verdict": "stop", "text": "no"}"#)));
    let stage = Stage::new(CriticConfig::default()).judged_by(judge);
    let step = |n| Say::Slowly(seconds(10), Reply::call("look", json!({"at": n})));
    let lines = (0..30).map(step).chain([Reply::text("done").into()]);
    let settled = stage.run(request(model(lines), Do::Slow(seconds(10)))).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(asked.asked(), 0);
}

/// When the judge's calls or tokens are used up, the rules go on alone.
#[tokio::test(start_paused = true)]
async fn a_judge_has_a_budget() {
    let goes_on = || says(r#"{"verdict": "continue"}"#);
    for limits in [
        JudgeLimits { calls: 2, ..JudgeLimits::default() },
        JudgeLimits { tokens: 1_500, ..JudgeLimits::default() },
    ] {
        let (asked, judge) = judge((0..9).map(|_| goes_on()));
        let same_call = Some(Tiers::new(2, 0));
        let stage = Stage::new(CriticConfig { same_call, ..CriticConfig::default() });
        let stage = stage.judged_by(judge.limits(limits));
        let call = |n: usize| Say::Slowly(seconds(1), Reply::call("look", json!({"n": n / 2})));
        let lines = (0..8).map(call).chain([Reply::text("done").into()]);
        stage.run(request(model(lines), Do::Echo)).await;
        let by: Vec<_> = stage.judged().iter().map(|judged| judged.by).collect();
        assert_eq!(by, [VerdictBy::Judge, VerdictBy::Judge, VerdictBy::Rule, VerdictBy::Rule]);
        assert_eq!(asked.asked(), 2);
    }
}

/// What a judge is told: the task, what was found, and what the calls came to, without secrets.
#[tokio::test(start_paused = true)]
async fn a_judge_is_told_the_case() {
    struct Reads(parking_lot::Mutex<Vec<String>>);
    #[async_trait::async_trait]
    impl Model for Reads {
        async fn decide(&self, turn: &executus_core::Turn) -> Result<Reply, ModelError> {
            self.0.lock().push(turn.brief().unwrap().prompt.clone());
            Ok(Reply::text(r#"{"verdict": "continue"}"#))
        }
    }
    let reads = Arc::new(Reads(parking_lot::Mutex::default()));
    let stage = Stage::new(CriticConfig::default()).judged_by(Judge::new(reads.clone()));
    let answer = Do::Answer("password=hunter22 is what it says".into());
    let brief = executus_core::Brief::new("Find the price.");
    stage.run(request(looping(), answer).brief(brief)).await;
    let told = reads.0.lock().join("");
    assert!(told.contains("Find the price.") && told.contains("called 3 times in a row"), "{told}");
    assert!(told.contains("step 3: look") && !told.contains("hunter22"), "{told}");
}
