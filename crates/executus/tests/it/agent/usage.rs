//! Mistakes in how a model is named and reached: exit 2, what to do, and no secret repeated.

use executus_testkit::provider::{Answer, Dialect};

use crate::support::{KEY, Said, Scene, WAYS, Way, at_once};

const AGENT: &str = "prompt = \"Say.\"\n";

/// A run was refused before it began: nothing asked, nothing recorded, this told.
fn refused(scene: &Scene, said: Said, parts: &[&str]) {
    let said = said.expect(2);
    for part in parts {
        assert!(said.stderr.contains(part), "no `{part}` in {}", said.stderr);
    }
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
    assert_eq!(scene.server.requests().len(), 0);
    assert_eq!(scene.home.executus(&["runs", "--json"]).expect(0).stdout, "");
}

#[test]
fn a_missing_key_is_named() {
    for way in &WAYS[..6] {
        let scene = Scene::new(*way, []);
        scene.agent(AGENT);
        let (key, base) = way.variables();
        for empty in [None, Some(""), Some(" \n")] {
            let mut command = scene.run_command(&[]);
            command.env_remove(base).env_remove(key);
            if let Some(empty) = empty {
                command.env(key, empty);
            }
            let model = way.model("test-model");
            refused(&scene, command.output().unwrap().into(), &["agent.toml", &model, key]);
        }
    }
}

/// A server at an address of one's own may want no key: it is asked, and says so if it does.
#[test]
fn a_server_without_keys_is_asked_without_one() {
    for way in [WAYS[0], WAYS[1], WAYS[6], WAYS[7]] {
        let scene = Scene::new(way, [Answer::text("free")]);
        scene.agent(AGENT);
        let output = scene.run_command(&[]).env_remove(way.variables().0).output().unwrap();
        let said = Said::from(output);
        assert_eq!(scene.server.requests()[0].header("authorization"), None);
        if way.dialect == Dialect::Ollama {
            assert_eq!(said.expect(0).stdout, "free\n");
        } else {
            assert!(said.expect(1).stderr.contains("status 401"));
        }
    }
}

#[test]
fn a_key_that_cannot_be_sent_is_not_repeated() {
    for way in &WAYS {
        let scene = Scene::new(*way, []);
        scene.agent(AGENT);
        let (key, _) = way.variables();
        let output = scene.run_command(&[]).env(key, format!("{KEY}\u{7}x\ny")).output().unwrap();
        let said = Said::from(output);
        assert!(!said.stderr.contains("canary"), "{}", said.stderr);
        refused(&scene, said, &[key]);
    }
}

/// The key is sent as the provider wants it, without the line end it was kept with.
#[test]
fn a_key_is_sent_without_its_line_end() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text("fine")]);
        scene.agent(AGENT);
        let (key, _) = way.variables();
        let output = scene.run_command(&[]).env(key, format!("{KEY}\n")).output().unwrap();
        Said::from(output).expect(0);
        let sent = scene.server.requests()[0].headers.values().any(|value| value.ends_with(KEY));
        assert!(sent, "{:?}", scene.server.requests()[0].headers);
    });
}

#[test]
fn a_bad_address_is_refused_without_its_password() {
    for way in &WAYS {
        let scene = Scene::new(*way, []);
        scene.agent(AGENT);
        let (_, base) = way.variables();
        let address = scene.server.address();
        for bad in [
            format!("http://bob:hunter2@{address}/v1"),
            "ftp://bob:hunter2@example.org/v1".to_owned(),
            "http://bob:hunter2@/v1".to_owned(),
            "http://".to_owned(),
            "http://exa mple.org/v1".to_owned(),
        ] {
            let output = scene.run_command(&[]).env(base, &bad).output().unwrap();
            let said = Said::from(output);
            assert!(!said.stderr.contains("hunter2"), "{bad}: {}", said.stderr);
            refused(&scene, said, &[base]);
        }
    }
}

#[test]
fn names_of_models_are_checked() {
    let scene = Scene::new(Way::STREAM, []);
    scene.agent(AGENT);
    scene.home.file("bad.jsonl", "{\"text\": \"fine\"}\n{\"text\": 7}\n");
    scene.home.file("odd.jsonl", "{\"say\": \"fine\"}\n");
    for (model, parts) in [
        ("gpt-5-mini", &["--model", "`gpt-5-mini` names no model", "scripted:FILE"][..]),
        ("openai:", &["`openai:` names no model"]),
        ("openai:gpt 5", &["names no model"]),
        ("nobody:large", &["`nobody:large`", "openai, anthropic, gemini, ollama"]),
        ("OpenAI:gpt-5-mini", &["names no model"]),
        ("", &["names no model"]),
        ("scripted:nothing.jsonl", &["--model", "nothing.jsonl", "cannot be read"]),
        ("scripted:", &["cannot be read"]),
        ("scripted:bad.jsonl", &["bad.jsonl:2:"]),
        ("scripted:odd.jsonl", &["odd.jsonl:1:", "say"]),
    ] {
        refused(&scene, scene.run(&["--model", model]), parts);
    }
    // In a file a name has a place.
    scene.home.file(
        "named.toml",
        "kind = \"agent\"\nname = \"a\"\nmodel = \"gpt-5-mini\"\nprompt = \"p\"\n",
    );
    let said = scene.home.executus(&["run", "named.toml"]);
    refused(&scene, said, &["named.toml:3:9: ", "`gpt-5-mini` names no model"]);
    scene
        .home
        .file("far.toml", "kind = \"agent\"\nname = \"a\"\nmodel = \"nobody:x\"\nprompt = \"p\"\n");
    refused(&scene, scene.home.executus(&["run", "far.toml"]), &["far.toml: `nobody:x`"]);
    scene.home.file("none.toml", "kind = \"agent\"\nname = \"a\"\nprompt = \"p\"\n");
    refused(&scene, scene.home.executus(&["run", "none.toml"]), &["none.toml", "model"]);
}

#[test]
fn the_command_line_chooses_the_model() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text("chosen")]);
        scene.home.file(
            "agent.toml",
            "kind = \"agent\"\nname = \"agent\"\nmodel = \"openai:other\"\nprompt = \"Say.\"\n",
        );
        let chosen = way.model("test-model:with-a-tag");
        let said = scene.run(&["--model", &chosen]).expect(0);
        assert_eq!(said.stdout, "chosen\n");
        let request = &scene.server.requests()[0];
        let asked = format!("{} {}", request.path.replace("%3A", ":"), request.body["model"]);
        assert!(asked.contains("test-model:with-a-tag"), "{asked}");
        let explained = scene.explained();
        assert_eq!(explained.run()["labels"]["models"], serde_json::json!([chosen]));
        // The server of Gemini repeats what stands in the path.
        let served = explained.of("decided")[0]["model"].as_str().unwrap().replace("%3A", ":");
        assert_eq!(served, chosen);
    });
}

/// Several models on the command line, in order.
#[test]
fn the_command_line_chooses_several_models() {
    let scene = Scene::new(Way::STREAM, [Answer::unauthorized(), Answer::text("the second")]);
    scene.agent(AGENT);
    let said = scene.run(&["--model", "openai:one", "--model", "openai:two"]).expect(0);
    assert_eq!(said.stdout, "the second\n");
    assert_eq!(scene.explained().of("decided")[0]["model"], "openai:two");
}

#[test]
fn a_recording_needs_a_folder() {
    let scene = Scene::new(Way::STREAM, []);
    scene.agent(AGENT);
    let said = scene.run(&["--record", "nowhere/said.jsonl"]);
    refused(&scene, said, &["nowhere/said.jsonl", "--record FILE"]);
}

/// What is there is replaced, but not what the run is made of.
#[test]
fn a_recording_does_not_replace_the_run() {
    let scene = Scene::new(Way::STREAM, []);
    scene.agent(AGENT);
    let text = || std::fs::read_to_string(scene.home.path().join("agent.toml")).unwrap();
    let before = text();
    let db = scene.home.db();
    for path in ["agent.toml", "./data/../agent.toml", db.to_str().unwrap()] {
        refused(&scene, scene.run(&["--record", path]), &["cannot record to ", path]);
    }
    assert_eq!(text(), before);
}

/// A script is not recorded over while it is read.
#[test]
fn a_script_is_not_recorded_over() {
    let scene = Scene::new(Way::STREAM, []);
    scene.agent(AGENT);
    scene.home.file("say.jsonl", "{\"text\": \"said\"}\n");
    let said = scene.run(&["--model", "scripted:say.jsonl", "--record", "say.jsonl"]);
    assert_eq!(said.expect(0).stdout, "said\n");
    let left = std::fs::read_to_string(scene.home.path().join("say.jsonl")).unwrap();
    assert_eq!(left.lines().count(), 1);
    assert!(left.contains("said"), "{left}");
}
