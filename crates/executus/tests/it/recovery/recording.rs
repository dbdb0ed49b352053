//! Runs that are recorded, and played again without a provider.

use executus_testkit::provider::{Answer, Dialect};
use serde_json::{Value, json};

use super::{BOOK, READER, TOKEN, command, look, scene, submit, tokens, used};
use crate::support::{Explained, Home, Said, Scene, Way, at_once};

/// The ways that are recorded: a stream of events, a stream of lines, and whole answers.
const RECORDED: [Way; 3] = [
    Way { dialect: Dialect::OpenAi, stream: true },
    Way { dialect: Dialect::Ollama, stream: true },
    Way { dialect: Dialect::Anthropic, stream: false },
];

/// What came of a run: how it ended, what it used, its calls.
fn essence(home: &Home, run: &str) -> (Value, (u64, u64), Vec<Value>) {
    let explained = Explained(home.executus(&["explain", run, "--json"]).expect(0).last());
    let calls = explained.calls().into_iter().map(|call| {
        let error = &call["error"];
        json!({"tool": call["tool"], "args": call["args"], "result": call["result"], "error": error})
    });
    let ended = explained.run();
    let how = json!([ended["status"], ended["output"], ended["error"]]);
    (how, tokens(ended), calls.collect())
}

/// Records the run `r` of `book.toml`, then plays it as `p`, without the server. Gives both, and the
/// lines of the recording.
fn recorded_and_played(scene: &Scene, code: i32) -> (Said, Said, Vec<Value>) {
    let said =
        Said::from(command(scene, &["--record", "run.jsonl"]).output().unwrap()).expect(code);
    let asked = scene.server.requests().len();
    let played = play(&scene.home, "book.toml").expect(code);
    assert_eq!(scene.server.requests().len(), asked, "nobody is asked again");
    assert_eq!(played.stdout, said.stdout);
    assert_eq!(essence(&scene.home, "p"), essence(&scene.home, "r"));
    scene.home.executus(&["replay", "p"]).expect(0);
    (said, played, lines(&scene.home))
}

fn play(home: &Home, file: &str) -> Said {
    let args = ["run", file, "--run-id", "p", "--model", "scripted:run.jsonl"];
    Said::from(home.command().args(args).env("BOOK_TOKEN", TOKEN).output().unwrap())
}

fn lines(home: &Home) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path().join("run.jsonl")).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_agent_plays_again() {
    let tools = &BOOK[BOOK.find("[params]").unwrap()..BOOK.find("[[step]]").unwrap()];
    at_once(&RECORDED, |way| {
        let script = [look("quay").usage(used(11, 7)), Answer::text("Seen.").usage(used(3, 2))];
        let scene = scene(*way, "", script);
        let model = way.model("test-model");
        let head =
            format!("kind = \"agent\"\nname = \"a\"\nmodel = \"{model}\"\nprompt = \"Look.\"\n");
        scene.home.file("book.toml", &(head + tools));
        let (said, _, lines) = recorded_and_played(&scene, 0);
        assert_eq!((said.stdout.as_str(), lines.len()), ("Seen.\n", 2));
    });
}

#[test]
fn a_recovery_plays_again() {
    at_once(&RECORDED, |way| {
        let script = [
            look("quay").and_text("Another way.").usage(used(11, 7)),
            Answer::text("harbour seen; quay seen").usage(used(3, 2)),
        ];
        let scene = scene(*way, BOOK, script);
        let (said, _, lines) = recorded_and_played(&scene, 0);
        assert_eq!(said.stdout, "harbour seen; quay seen\n");
        // What the model said, and not what the playbook decided by itself.
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0]["tool_calls"][0]["args"], json!({"what": "quay"}));
    });
}

#[test]
fn a_recovery_that_failed_plays_again() {
    let script = [look("quay").usage(used(11, 7)), Answer::unauthorized()];
    let scene = scene(Way::STREAM, BOOK, script);
    let (_, played, lines) = recorded_and_played(&scene, 1);
    assert!(played.stderr.contains("recovery error: "), "{}", played.stderr);
    assert_eq!(lines[1]["error"]["kind"], "rejected", "{lines:?}");
}

#[test]
fn texts_that_were_read_are_read_again() {
    at_once(&RECORDED, |way| {
        let script = [
            submit(json!({"berth": 7})).usage(used(11, 7)),
            submit(json!({"number": 7})).usage(used(3, 2)),
        ];
        let scene = scene(*way, READER, script);
        let (said, _, lines) = recorded_and_played(&scene, 0);
        assert!(said.stdout.contains("\"number\": 7"), "{}", said.stdout);
        assert_eq!(lines.len(), 2, "{lines:?}");
    });
}

/// Two texts, one of which is read in vain, and a step that is handed over.
#[test]
fn a_script_keeps_its_place_through_all_questions() {
    let both = format!(
        "{}{}",
        READER.split("[output]").next().unwrap(),
        r#"
[[step]]
id = "broken"
description = "Break"
tool = "page"
verify = { contains = "Berth 8" }
"#
    );
    let script = [
        submit(json!({"berth": 7})),
        Answer::calls([("page", json!({}))]),
        Answer::text("Berth 8 is not there."),
    ];
    let scene = scene(Way::STREAM, &both, script);
    let (said, _, lines) = recorded_and_played(&scene, 0);
    assert_eq!((said.stdout.as_str(), lines.len()), ("Berth 8 is not there.\n", 3));
}

#[test]
fn a_playbook_without_a_model_has_its_own_replies_recorded() {
    let book = r#"
[params]
token = { type = "string", sensitive = true, env = "BOOK_TOKEN" }
[[tool]]
name = "use"
kind = "process"
argv = ["sh", "-c", "echo \"${#1} $2\"", "sh", "{token}", "{word}"]
effect = "read_only"
[tool.params]
word = { type = "string" }
"#;
    let steps = r#"
[[step]]
id = "use"
description = "Use it"
tool = "use"
args = { word = "letters" }
store_as = "used"
on_failure = "abort"
[output]
template = "It has {used}."
"#;
    let home = Home::new();
    home.playbook(&format!("{book}{steps}"));
    let output = home
        .command()
        .args(["run", "book.toml", "--run-id", "r", "--record", "run.jsonl"])
        .env("BOOK_TOKEN", TOKEN)
        .output();
    let said = Said::from(output.unwrap()).expect(0);
    assert_eq!(said.stdout, format!("It has {} letters.\n", TOKEN.len()));
    assert_eq!(lines(&home).len(), 2);
    // The playbook decides again by itself.
    assert_eq!(play(&home, "book.toml").expect(0).stdout, said.stdout);
    assert_eq!(essence(&home, "p"), essence(&home, "r"));
    // An agent with the same tools takes the same steps.
    home.file(
        "agent.toml",
        &format!(
            "kind = \"agent\"\nname = \"a\"\nmodel = \"openai:x\"\nprompt = \"Use it.\"\n{book}"
        ),
    );
    let args = ["run", "agent.toml", "--run-id", "q", "--model", "scripted:run.jsonl"];
    let output = home.command().args(args).env("BOOK_TOKEN", TOKEN).output().unwrap();
    assert_eq!(Said::from(output).expect(0).stdout, said.stdout);
    assert_eq!(essence(&home, "q"), essence(&home, "r"));
}

#[test]
fn a_recording_of_a_model_that_was_not_asked_says_so() {
    let scene = scene(Way::STREAM, &BOOK.replace("exit 3", "exit 0"), []);
    let said = Said::from(command(&scene, &["--record", "run.jsonl"]).output().unwrap()).expect(0);
    assert!(said.stderr.contains("run.jsonl is empty: no model was asked"), "{}", said.stderr);
    assert_eq!(play(&scene.home, "book.toml").expect(0).stdout, said.stdout);
}
