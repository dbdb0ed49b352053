//! Several models: each is asked when those before it failed.

use executus_testkit::provider::{Answer, Dialect, ProviderServer};
use serde_json::json;

use crate::support::{KEY, Scene, WAYS, Way, at_once};

/// An agent on two models, the first of the scene's server, the second of another one.
fn on_two(scene: &Scene, second: Way) {
    let (first, second) = (scene.way.model("first"), second.model("second"));
    scene.home.file(
        "agent.toml",
        &format!(
            "kind = \"agent\"\nname = \"agent\"\nmodels = [\"{first}\", \"{second}\"]\n\
             prompt = \"Add.\"\n[[tool]]\nname = \"look\"\nkind = \"process\"\n\
             argv = [\"echo\", \"nothing\"]\neffect = \"read_only\"\n"
        ),
    );
}

/// The dialect after this one.
fn next(way: Way) -> Way {
    let dialect = match way.dialect {
        Dialect::OpenAi => Dialect::Anthropic,
        Dialect::Anthropic => Dialect::Gemini,
        Dialect::Gemini => Dialect::Ollama,
        Dialect::Ollama => Dialect::OpenAi,
    };
    Way { dialect, ..way }
}

#[test]
fn a_second_model_takes_over() {
    at_once(&WAYS, |way| {
        let other = next(*way);
        let scene = Scene::new(*way, [Answer::status(500, "boom").repeated()]);
        let second = ProviderServer::start(
            other.dialect,
            [Answer::calls([("look", json!({}))]), Answer::text("taken over")],
        );
        on_two(&scene, other);
        let (key, base) = other.variables();
        let output =
            scene.run_command(&[]).env(key, KEY).env(base, second.base_url()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert_eq!(output.stdout, b"taken over\n");
        let explained = scene.explained();
        let decided = explained.of("decided");
        assert_eq!(decided.len(), 2);
        assert!(decided.iter().all(|record| record["model"] == other.model("second")));
        let attempts = explained.attempts();
        assert_eq!(attempts.len(), 4, "{attempts:?}");
        assert!(
            attempts
                .iter()
                .all(|(model, error)| *model == way.model("first") && error.contains("status 500"))
        );
        // The run stays with the one that served: the first is not asked for the second step.
        assert_eq!((scene.server.requests().len(), second.requests().len()), (4, 2));
        assert_eq!(second.refusals(), Vec::<String>::new());
        assert_eq!(
            explained.run()["labels"]["models"],
            json!([way.model("first"), other.model("second")])
        );
        scene.replays();
    });
}

/// Two models of one provider have one address and one key.
#[test]
fn two_models_of_one_provider() {
    at_once(&WAYS, |way| {
        let home = Scene::new(*way, []).home;
        let server = ProviderServer::answering(way.dialect, |request| {
            let is_first = request.path.contains("first") || request.body["model"] == "first";
            if is_first { Answer::unauthorized() } else { Answer::text("second here") }
        });
        let scene = Scene { home, server, way: *way };
        on_two(&scene, *way);
        let said = scene.run(&[]).expect(0);
        assert_eq!(said.stdout, "second here\n");
        let explained = scene.explained();
        assert_eq!(explained.of("decided")[0]["model"], way.model("second"));
        assert_eq!(explained.attempts().len(), 1);
    });
}

#[test]
fn when_all_fail_all_are_named() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::unauthorized(), Answer::unknown_model()]);
        on_two(&scene, *way);
        let last = scene.run(&["--json"]).expect(1).last();
        assert_eq!(last["error"]["kind"], "model");
        let message = last["error"]["message"].as_str().unwrap();
        for name in ["first", "second"] {
            assert!(message.contains(&way.model(name)), "{message}");
        }
        let explained = scene.explained();
        let failed: Vec<_> =
            explained.attempts().iter().map(|(model, _)| model.to_string()).collect();
        assert_eq!(failed, [way.model("first"), way.model("second")]);
        scene.replays();
    });
}
