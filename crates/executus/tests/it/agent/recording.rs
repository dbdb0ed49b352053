//! Runs that are written down and played again.

use executus_testkit::provider::Answer;
use serde_json::json;

use crate::support::{KEY, Scene, WAYS, Way, at_once};

const ADD: &str = "system = \"You add.\"\nprompt = \"Add.\"\n[[tool]]\nname = \"add\"\n\
     kind = \"process\"\nargv = [\"sh\", \"-c\", \"echo $(($1 + $2))\", \"sh\", \"{a}\", \"{b}\"]\n\
     effect = \"read_only\"\n[tool.params]\na = { type = \"integer\" }\nb = { type = \"integer\" }\n";

#[test]
fn a_recording_plays_again() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(
            *way,
            [
                Answer::status(500, "boom"),
                Answer::calls([("add", json!({"a": 1, "b": 2})), ("add", json!({"a": "one"}))])
                    .and_text("Let me see."),
                Answer::text("It is \u{1f600} 3.\n\nThat is all."),
            ],
        );
        scene.agent(ADD);
        let first = scene.run(&["--record", "said.jsonl"]).expect(0);
        assert_eq!(first.stdout, "It is \u{1f600} 3.\n\nThat is all.\n");
        let said = std::fs::read_to_string(scene.home.path().join("said.jsonl")).unwrap();
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(!said.contains(KEY), "{said}");
        scene.replays();

        let again = scene
            .home
            .executus(&["run", "agent.toml", "--run-id", "s", "--model", "scripted:said.jsonl"])
            .expect(0);
        assert_eq!(again.stdout, first.stdout);
        scene.home.executus(&["replay", "s"]).expect(0);
        assert_eq!(scene.server.requests().len(), 3);

        // The same words, calls, results and counts.
        let explained = |id| scene.home.executus(&["explain", id, "--json"]).expect(0).last();
        let (one, two) = (explained("r"), explained("s"));
        let told = |run: &serde_json::Value| {
            let records = run["records"].as_array().unwrap();
            let told = records
                .iter()
                .filter(|record| record["kind"] == "decided" || record["kind"] == "acted");
            let fields =
                ["kind", "text", "calls", "model", "usage", "tool", "args", "result", "error"];
            let mut told: Vec<_> = told
                .map(|record| {
                    let place = (record["step"].as_u64(), record["call"].as_u64());
                    (place, fields.map(|field| record[field].clone()))
                })
                .collect();
            told.sort_by_key(|(place, _)| *place);
            told
        };
        assert_eq!(told(&one), told(&two));
        for count in ["steps", "tool_calls", "input_tokens", "output_tokens"] {
            assert_eq!(one["run"]["stats"][count], two["run"]["stats"][count], "{count}");
        }
        assert_eq!(two["run"]["labels"]["models"], json!(["scripted:said.jsonl"]));
    });
}

/// A failure plays again as that failure.
#[test]
fn a_failed_run_plays_again() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::context_overflow()]);
        scene.agent(ADD);
        let first = scene.run(&["--record", "said.jsonl", "--json"]).expect(1).last();
        let args = ["run", "agent.toml", "--model", "scripted:said.jsonl", "--json"];
        let again = scene.home.executus(&args).expect(1).last();
        assert_eq!(again["error"], first["error"]);
    });
}

/// A run that dies leaves what it had: a line is written before it is acted on.
#[test]
fn a_recording_is_written_as_it_goes() {
    let scene = Scene::new(
        Way::STREAM,
        [Answer::calls([("add", json!({"a": 1, "b": 2}))]), Answer::hang()],
    );
    scene.agent(ADD);
    let mut run = scene.start(&["--record", "said.jsonl"]);
    scene.server.wait_for_requests(2);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    let said = std::fs::read_to_string(scene.home.path().join("said.jsonl")).unwrap();
    assert_eq!(said.lines().count(), 1);
    let args = ["run", "agent.toml", "--model", "scripted:said.jsonl"];
    let again = scene.home.executus(&args).expect(1);
    assert!(again.stderr.contains("ends after 1 replies"), "{}", again.stderr);
}

/// A script that the file names lies beside it; one of the command line where the caller is.
#[test]
fn scripts_are_found() {
    let scene = Scene::new(Way::STREAM, []);
    let folder = scene.home.path().join("jobs");
    std::fs::create_dir(&folder).unwrap();
    scene.home.file("jobs/say.jsonl", "{\"text\": \"from beside the file\"}\n");
    scene.home.file("say.jsonl", "{\"text\": \"from where we are\"}\n");
    scene.home.file(
        "jobs/job.toml",
        "kind = \"agent\"\nname = \"job\"\nmodel = \"scripted:say.jsonl\"\nprompt = \"Say.\"\n",
    );
    let run = |args: &[&str]| {
        scene.home.executus(&[&["run", "jobs/job.toml"], args].concat()).expect(0).stdout
    };
    assert_eq!(run(&[]), "from beside the file\n");
    assert_eq!(run(&["--model", "scripted:say.jsonl"]), "from where we are\n");
    assert_eq!(run(&["--model", "scripted:jobs/say.jsonl"]), "from beside the file\n");
}
