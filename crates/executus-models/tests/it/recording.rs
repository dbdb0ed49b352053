//! Recordings, and their playing.

use std::sync::Arc;

use executus_core::secret::Secret;
use executus_core::{Fact, RunStatus};
use executus_models::{Recording, ScriptError, Scripted};
use executus_testkit::provider::{Answer, Dialect};
use serde_json::json;

use crate::support::{Ended, Scene, WAYS, request};

/// What was decided and what came of it.
fn essence(ended: &Ended) -> Vec<String> {
    let facts = ended
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Decided(_) | Fact::Acted(_) | Fact::Undecided { .. }));
    let told = facts.map(|fact| match fact {
        Fact::Acted(acted) => format!("{} {:?}", acted.name, acted.outcome),
        other => format!("{other:?}"),
    });
    told.collect()
}

#[tokio::test]
async fn a_recorded_run_plays_again() {
    for (dialect, stream) in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let scene = Scene::new(
            dialect,
            [
                Answer::calls([("add", json!({"a": 1, "b": 2})), ("look", json!({}))])
                    .and_text("first"),
                Answer::calls([("add", json!({}))]).broken_arguments("{"),
                Answer::text("It is \"3\".\n"),
            ],
        );
        let model = Recording::create(scene.model(stream), &path).unwrap();
        let recorded = scene.run(request(Arc::new(model))).await;
        assert_eq!(recorded.outcome.status, RunStatus::Ok, "{:?}", recorded.outcome);
        let played = scene.run(request(Arc::new(Scripted::load(&path).unwrap()))).await;
        assert_eq!(essence(&played), essence(&recorded), "{dialect:?} {stream}");
        assert_eq!(played.output(), recorded.output());
    }
}

#[tokio::test]
async fn a_failure_is_played_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let scene = Scene::new(Dialect::OpenAi, [Answer::unauthorized()]);
    let model = Recording::create(scene.model(true), &path).unwrap();
    let recorded = scene.run(request(Arc::new(model))).await;
    let played = scene.run(request(Arc::new(Scripted::load(&path).unwrap()))).await;
    assert_eq!(played.outcome.error, recorded.outcome.error);
}

#[tokio::test]
async fn a_recording_holds_no_sensitive_parameter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let secret = "quote\" and \\ canary";
    let answer = [
        Answer::calls([("look", json!({"at": format!("x{secret}x")}))]),
        Answer::text(format!("It was {secret}.")),
    ];
    let scene = Scene::new(Dialect::Anthropic, answer);
    let model = Recording::create(scene.model(true), &path).unwrap();
    let secrets = [("token".to_owned(), Secret::new(secret))].into_iter().collect();
    let ended = scene.run(request(Arc::new(model)).secrets(secrets)).await;
    assert_eq!(ended.output(), "It was [redacted].");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert!(!format!("{:?}", ended.facts).contains("canary"));
}

#[tokio::test]
async fn a_script_that_ends_too_early_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.jsonl");
    std::fs::write(&path, "\n{\"tool_calls\": [{\"name\": \"look\"}]}\n\n").unwrap();
    let scene = Scene::new(Dialect::OpenAi, []);
    let ended = scene.run(request(Arc::new(Scripted::load(&path).unwrap()))).await;
    assert!(ended.error().1.contains("ends after 1 replies"), "{:?}", ended.error());
}

#[test]
fn a_bad_script_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.jsonl");
    for (text, line, column) in [
        ("{\"text\": \"a\"}\n{\"text\": 1}\n", 2, 10),
        ("{\"txt\": \"a\"}", 1, 6),
        ("{\"tool_calls\": [{\"args\": {}}]}", 1, 28),
        ("nonsense", 1, 2),
    ] {
        std::fs::write(&path, text).unwrap();
        match Scripted::load(&path) {
            Err(ScriptError::Line { line: found, column: at, .. }) => {
                assert_eq!((found, at), (line, column), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let missing = Scripted::load(folder.path().join("none"));
    assert!(matches!(missing, Err(ScriptError::Unreadable { .. })));
}

/// A disk that is full ends the recording, and not the run.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_cannot_be_written_does_not_disturb_the_run() {
    let scene = Scene::new(Dialect::OpenAi, [Answer::text("good")]);
    let model = Arc::new(Recording::create(scene.model(true), "/dev/full").unwrap());
    let ended = scene.run(request(model.clone())).await;
    assert_eq!(ended.output(), "good");
    assert!(model.failure().unwrap().contains("space"), "{model:?}");
}
