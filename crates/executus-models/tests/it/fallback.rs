//! Several models in order.

use std::sync::Arc;

use executus_core::executor::Standalone;
use executus_core::{Entry, ErrorKind, Model, ModelError, Reply, RunStatus, Toolbox, Transcript};
use executus_models::Fallback;
use executus_testkit::provider::{Answer, Dialect};
use executus_testkit::scripted::ScriptedModel;
use serde_json::json;

use crate::support::{Scene, request, short};

/// The first model answers 500 for ever: the second serves every step, and the record says so.
#[tokio::test]
async fn the_second_model_serves_when_the_first_is_away() {
    for stream in [true, false] {
        let first = Scene::new(Dialect::OpenAi, [Answer::status(500, "boom").repeated()]);
        let second = Scene::new(
            Dialect::Anthropic,
            [Answer::calls([("add", json!({"a": 1, "b": 2}))]), Answer::text("3")],
        );
        let models = [first.builder(stream).retries(1), second.builder(stream)];
        let model = Fallback::new(models.map(|builder| builder.build().unwrap()));
        let ended = second.run(request(Arc::new(model))).await;
        assert_eq!(ended.outcome.status, RunStatus::Ok, "{:?}", ended.outcome);
        assert_eq!(ended.output(), "3");
        let served: Vec<_> = ended.replies().iter().map(|reply| reply.model.clone()).collect();
        assert_eq!(served, vec![Some("anthropic:test-model".into()); 2]);
        let failed: Vec<_> =
            ended.attempts().iter().map(|attempt| attempt.model.to_string()).collect();
        // In the second step the model that served is asked first.
        assert_eq!(failed, ["openai:test-model"; 2]);
        second.no_complaints();
    }
}

#[tokio::test]
async fn all_failing_tells_of_each() {
    let first = Scene::new(Dialect::OpenAi, [Answer::unauthorized().repeated()]);
    let second = Scene::new(Dialect::Gemini, [Answer::context_overflow().repeated()]);
    let models = [first.builder(true), second.builder(true)];
    let models = models.map(|builder| builder.timeouts(short()).retries(0).build().unwrap());
    let ended = second.run(request(Arc::new(Fallback::new(models)))).await;
    let (kind, message) = ended.error();
    assert_eq!(kind, ErrorKind::ContextOverflow);
    for part in ["none of 2 models", "openai:test-model: ", "gemini:test-model: "] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

/// A reply of this model, with a call or without.
fn said(served: &str, calls: bool) -> Reply {
    let reply = match calls {
        true => Reply::call("look", json!({})),
        false => Reply::text("done"),
    };
    Reply { model: Some(served.into()), ..reply }
}

/// How often each of two models is asked in a run of two steps that the second one serves.
async fn asked(names: [&str; 2], served: &str) -> (usize, usize) {
    let away = ModelError::Unavailable { message: "away".to_owned() };
    let first = ScriptedModel::new([away]).for_ever().shared();
    let second = ScriptedModel::new([said(served, true), said(served, false)]).shared();
    let models: [Arc<dyn Model>; 2] = [first.clone(), second.clone()];
    let model = Arc::new(Fallback::of(names.into_iter().zip(models)));
    let scene = Scene::new(Dialect::OpenAi, []);
    let ended = scene.run(request(model)).await;
    assert_eq!(ended.outcome.status, RunStatus::Ok, "{:?}", ended.outcome);
    (first.asked(), second.asked())
}

/// Whatever its replies say served them: an alias, a version of the other's name, the same name.
#[tokio::test]
async fn a_run_stays_with_the_model_that_served_it() {
    for (names, served) in [
        (["a:gpt", "a:gpt-mini"], "a:gpt-mini-2025-01-01"),
        (["a:gpt", "a:prod"], "a:gpt-2025-01-01"),
        (["a:gpt", "a:prod"], "a:gpt"),
        (["a:gpt", "a:gpt"], "a:gpt-2025-01-01"),
        (["a:gpt", "b:other"], ""),
    ] {
        assert_eq!(asked(names, served).await, (1, 2), "{names:?} {served}");
    }
}

/// Another process knows only the transcript, and finds the model by its name.
#[tokio::test]
async fn a_resumed_run_is_given_to_the_model_of_that_name() {
    for (names, served, expected) in [
        (["a:gpt", "a:gpt-mini", "a:gpt"], "a:gpt-mini-2025-01-01", 1),
        (["a:gpt-mini", "a:gpt", "a:gpt"], "a:gpt-2025-01-01", 1),
        (["a:other", "a:llama", "a:x"], "a:llama:8b", 1),
        (["a:other", "a:gpt-5", "a:x"], "a:gpt-5.1", 0),
        (["a:other", "a:gpt-5", "a:x"], "a:gpt-50", 0),
        (["a:other", "a:gpt-5", "a:x"], "b:unknown", 0),
    ] {
        let models = names.map(|_| ScriptedModel::new([said(served, true)]).for_ever().shared());
        let named = names.into_iter().zip(models.iter().map(|m| m.clone() as Arc<dyn Model>));
        let fallback = Fallback::of(named);
        let mut transcript = Transcript::default();
        transcript.push(Entry::Reply(Arc::new(said(served, true))));
        let scene = Scene::new(Dialect::OpenAi, []);
        let run = Standalone::new(&request(scene.model(true)));
        let turn = run.turn(2, &transcript, &Toolbox::default());
        fallback.decide(&turn).await.unwrap();
        let asked: Vec<_> = models.iter().map(|model| model.asked()).collect();
        let mut once = vec![0; 3];
        once[expected] = 1;
        assert_eq!(asked, once, "{names:?} {served}");
    }
}
