//! Several models in order.

use std::sync::Arc;

use executus_core::{ErrorKind, RunStatus};
use executus_models::Fallback;
use executus_testkit::provider::{Answer, Dialect};
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
