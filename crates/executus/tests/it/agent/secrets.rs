//! Keys and sensitive parameters reach whom they are for, and nothing that a run leaves.

use std::fmt::{self, Debug};
use std::path::Path;

use executus_testkit::provider::Answer;
use serde_json::{Value, json};

use super::screen::{Seen, shown_by};
use super::web::Web;
use crate::support::{KEY, Said, Scene, WAYS, Way, at_once};

/// A sensitive parameter.
const CANARY: &str = "c4n4ry-0f-th3-m1n3";
/// One that comes in several pieces when it is streamed.
const SPACED: &str = "c4n4ry that sings 1n the deep";

/// An agent whose tools know and repeat all secrets.
fn agent(scene: &Scene, web: &Web) {
    let (key, _) = scene.way.variables();
    scene.agent(&format!(
        r#"
system = "Your word is {{word}}."
prompt = "Open the door with {{word}} and {{phrase}}."
[params]
word = {{ type = "string", sensitive = true, env = "AGENT_WORD" }}
phrase = {{ type = "string", sensitive = true, env = "AGENT_PHRASE" }}
[[tool]]
name = "use"
kind = "process"
argv = ["sh", "-c", "echo ${{#1}} ${{#2}} > length; echo \"$1, $2, ${key}\"; echo \"$2 ${key}\" >&2", "sh", "{{word}}", "{{phrase}}"]
env = ["{key}"]
[[tool]]
name = "fail"
kind = "process"
argv = ["sh", "-c", "echo \"$1 $2\" >&2; exit 1", "sh", "{{value}}", "{{word}}"]
effect = "read_only"
[tool.params]
value = {{ type = "string" }}
[[tool]]
name = "web"
kind = "http"
method = "GET"
url = "http://{}/{{phrase}}"
headers = {{ x-word = "{{word}}" }}
effect = "read_only"
[tool.params]
value = {{ type = "string" }}
"#,
        web.0
    ));
}

/// All secrets in one text.
fn all() -> String {
    format!("{KEY} and {CANARY} and {SPACED}.")
}

/// A run that goes well, through all that a model and tools can say.
fn talkative() -> Vec<Answer> {
    let value = json!({"value": all()});
    vec![
        Answer::status(500, all()),
        Answer::text(all()).error_after_pieces(20, all()),
        Answer::calls([("use", json!({})), ("fail", value.clone()), ("web", value)])
            .thinking(all())
            .and_text(all())
            .model(KEY),
        Answer::calls([(KEY, json!({ KEY: CANARY })), (CANARY, json!({}))]),
        Answer::calls([("fail", json!({}))]).broken_arguments(format!("{{\"value\": \"{}", all())),
        Answer::text(all()).model(format!("test-{CANARY}")),
    ]
}

/// A run that ends badly.
struct Ending(Way, &'static str, fn() -> Answer);

impl Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.0, self.1)
    }
}

type MakeAnswer = fn() -> Answer;

/// Answers that end a run, or make it end.
const ENDINGS: [(&str, MakeAnswer); 8] = [
    ("401", || Answer::status(401, format!("Incorrect API key provided: {}", all()))),
    ("text", || Answer::raw(403, "text/plain", all())),
    ("JSON", || Answer::raw(400, "application/json", json!({"error": all()}).to_string())),
    ("page", || Answer::raw(200, "text/html", format!("<p>{}</p>", all())).repeated()),
    ("no JSON", || Answer::raw(200, "application/json", all()).repeated()),
    ("redirect", || {
        Answer::raw(302, "text/plain", "").header("location", format!("http://{KEY}/"))
    }),
    ("reason", || Answer::text(all()).finish(KEY)),
    ("long", || Answer::raw(400, "text/plain", format!("{}{}", "x".repeat(1010), all()))),
];

#[test]
fn nothing_that_is_left_has_a_secret() {
    let web = Web::answering(|head| json!({"you said": head, "and": all()}).to_string());
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, talkative());
        agent(&scene, &web);
        let said = run(&scene, &["--json", "--record", "said.jsonl"]).expect(0);
        nothing_is_left(&scene, &said);
        // It was used all the same.
        let length = std::fs::read_to_string(scene.home.path().join("length")).unwrap();
        assert_eq!(length.trim(), format!("{} {}", CANARY.len(), SPACED.len()));
        assert!(said.last()["output"].as_str().unwrap().contains("[redacted]"), "{}", said.stdout);
        for request in scene.server.requests() {
            let told = request.body.to_string();
            for secret in [KEY, CANARY, SPACED] {
                assert!(!told.contains(secret), "the model is told {secret}: {told}");
            }
        }
        scene.no_complaints();
        // What was written down plays again, as harmless: its tool still gets the key.
        let mut again = scene.home.command();
        again.args(["run", "agent.toml", "--model", "scripted:said.jsonl", "--json"]);
        again.args(["--record", "again.jsonl"]).env(way.variables().0, KEY);
        let said = Said::from(environment(again).output().unwrap()).expect(0);
        nothing_is_left(&scene, &said);
    });
}

#[test]
fn a_failure_shows_no_secret() {
    let web = Web::answering(|_| String::new());
    let endings: Vec<_> = WAYS
        .iter()
        .flat_map(|way| ENDINGS.map(|(name, answer)| Ending(*way, name, answer)))
        .collect();
    for endings in endings.chunks(32) {
        at_once(endings, |Ending(way, _, answer)| {
            let scene = Scene::new(*way, [answer()]);
            agent(&scene, &web);
            // Asking four times takes too long.
            let file = scene.home.path().join("agent.toml");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text + "[limits]\nhard_timeout = \"1s\"\n").unwrap();
            // As events, and as people see it.
            let args = if way.stream { &["--json", "--record", "said.jsonl"][..] } else { &[] };
            let said = run(&scene, args);
            assert_ne!(said.code, 2, "{}", said.stderr);
            nothing_is_left(&scene, &said);
        });
    }
}

/// A text that is cut for a message is not cut in the middle of a secret, which would then not be
/// found in it.
#[test]
fn half_a_secret_is_not_shown() {
    let web = Web::answering(|_| String::new());
    let texts: Vec<_> = [170, 190, 990, 1010].map(|length| "x".repeat(length) + KEY).into();
    let answers: Vec<Answer> = texts
        .iter()
        .flat_map(|text| {
            [
                Answer::raw(200, "application/json", text.as_str()),
                Answer::raw(200, "text/html", text.as_str()),
                Answer::raw(400, "text/plain", text.as_str()),
                Answer::calls([("fail", json!({}))]).broken_arguments(text.as_str()),
                Answer::calls([(text.as_str(), json!({}))]),
                Answer::text("done").finish(text.as_str()),
                Answer::text("one").error_after_pieces(1, text.as_str()),
            ]
        })
        .collect();
    at_once(&answers, |answer| {
        let scene = Scene::new(Way::STREAM, [answer.clone(), Answer::unauthorized()]);
        agent(&scene, &web);
        let said = run(&scene, &["--json", "--record", "said.jsonl"]);
        assert_ne!(said.code, 2, "{}", said.stderr);
        left(&scene, &said, &[&KEY[..12]]);
    });
}

/// On the screen too, as it comes.
#[test]
fn the_screen_shows_no_secret() {
    let streamed: Vec<_> = WAYS.into_iter().filter(|way| way.stream).collect();
    at_once(&streamed, |way| {
        let web = Web::answering(|_| String::new());
        for seen in [Seen::Output, Seen::Both] {
            let scene = Scene::new(*way, [Answer::text(format!("So: {} Yes.", all()))]);
            agent(&scene, &web);
            let mut command = environment(scene.run_command(&[]));
            command.env_remove("EXECUTUS_LOG");
            let (shown, _) = shown_by(command, seen);
            let spaced = SPACED.split_once(' ').unwrap().1;
            for secret in [KEY, CANARY, SPACED, spaced] {
                assert!(!shown.contains(secret), "{secret} in {shown:?}");
            }
            let text = "So: [redacted] and [redacted] and [redacted]. Yes.";
            assert_eq!(shown.matches(text).count(), 1, "{shown:?}");
        }
    });
}

fn environment(mut command: std::process::Command) -> std::process::Command {
    command.env("AGENT_WORD", CANARY).env("AGENT_PHRASE", SPACED).env("EXECUTUS_LOG", "trace");
    command
}

fn run(scene: &Scene, args: &[&str]) -> Said {
    Said::from(environment(scene.run_command(args)).output().unwrap())
}

/// No secret is in what the run said, in what is said of it, and in any file.
fn nothing_is_left(scene: &Scene, said: &Said) {
    left(scene, said, &[KEY, CANARY, SPACED]);
}

fn left(scene: &Scene, said: &Said, secrets: &[&str]) {
    let mut texts = vec![said.stdout.clone(), said.stderr.clone(), pieces(&said.stdout)];
    for args in [
        &["explain", "r"][..],
        &["explain", "r", "--json"],
        &["runs"],
        &["runs", "--json"],
        &["replay", "r"],
    ] {
        let said = scene.home.executus(args).expect(0);
        texts.extend([said.stdout, said.stderr]);
    }
    files(scene.home.path(), &mut texts);
    for (text, secret) in texts.iter().flat_map(|text| secrets.iter().map(move |s| (text, s))) {
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.floor_char_boundary(at + 300);
            panic!("{secret} in {}", &text[from..to]);
        }
    }
}

/// The pieces of text among events, put together.
fn pieces(events: &str) -> String {
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let pieces = events.filter(|event| event["type"] == "step.delta");
    pieces.map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

/// Every file of a folder, each after its name.
fn files(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, texts);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            texts.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&bytes)));
        }
    }
}
