//! What goes wrong with a provider: recovered from, or the end of the run; recorded either way.

use std::fmt::{self, Debug};
use std::time::Duration;

use executus_testkit::provider::{Answer, Dialect};
use serde_json::{Value, json};

use crate::support::{Said, Scene, WAYS, Way, at_once};

const TOOL: &str = "prompt = \"Add.\"\n[[tool]]\nname = \"add\"\nkind = \"process\"\n\
     argv = [\"sh\", \"-c\", \"echo $(($1 + $2))\", \"sh\", \"{a}\", \"{b}\"]\n\
     effect = \"read_only\"\n[tool.params]\na = { type = \"integer\" }\nb = { type = \"integer\" }\n";

/// What is wrong, how it is answered, and a word of how that is told.
type Fault = (&'static str, fn() -> Answer, &'static str);

/// A fault, in a way of asking.
struct Case(Way, &'static str, fn() -> Answer, &'static str);

impl Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.0, self.1)
    }
}

/// Faults that another attempt may do without, and what is told of them.
const FAULTS: [Fault; 8] = [
    ("cut", || Answer::text("one two three").cut_after_pieces(1), "before it was complete"),
    ("ends early", || Answer::text("one two three").ends_early_after_pieces(2), ""),
    ("error in the stream", || Answer::text("one two").error_after_pieces(1, "boom"), "boom"),
    ("500", || Answer::status(500, "boom"), "status 500"),
    ("overloaded", Answer::overloaded, "status 5"),
    ("a page", || Answer::raw(200, "text/html", "<html>Sign in</html>"), "Sign in"),
    ("half of JSON", || Answer::raw(200, "application/json", "{\"choices\": ["), ""),
    ("other JSON", || Answer::raw(200, "application/json", "{\"hello\": 1}"), ""),
];

#[test]
fn a_fault_that_goes_away_is_recovered_from() {
    let cases: Vec<_> = WAYS
        .iter()
        .flat_map(|way| FAULTS.map(|(name, fault, words)| Case(*way, name, fault, words)))
        .collect();
    // So many at once are slow, and each waits for a moment only.
    for cases in cases.chunks(32) {
        at_once(cases, |Case(way, _, fault, words)| {
            let scene = Scene::new(*way, [fault(), Answer::text("good")]);
            scene.agent(TOOL);
            let said = scene.run(&[]).expect(0);
            assert_eq!(said.stdout, "good\n");
            assert!(said.stderr.contains("test-model failed: "), "{}", said.stderr);
            let explained = scene.explained();
            let attempts = explained.attempts();
            assert_eq!(attempts.len(), 1, "{attempts:?}");
            assert_eq!(attempts[0].0, way.model("test-model"));
            assert!(attempts[0].1.contains(words), "{attempts:?}");
            assert!(explained.of("undecided").is_empty());
            assert_eq!(scene.server.requests().len(), 2);
            scene.replays();
        });
    }
}

/// Nobody is at the address.
const NOBODY: Fault = ("nobody there", Answer::hang, "no connection to http://127.0.0.1");

#[test]
fn a_fault_that_stays_ends_the_run() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let stays = |way: &Way, (name, fault, words): Fault| Case(*way, name, fault, words);
    let everywhere = [FAULTS[0], FAULTS[3], NOBODY];
    let staying: Vec<_> = WAYS
        .iter()
        .flat_map(|way| everywhere.map(|fault| stays(way, fault)))
        .chain(FAULTS[5..].iter().map(|fault| stays(&Way::STREAM, *fault)))
        .collect();
    at_once(&staying, |Case(way, name, fault, words)| {
        let scene = Scene::new(*way, [fault().repeated()]);
        scene.agent(TOOL);
        let mut command = scene.run_command(&["--json"]);
        let is_there = *name != NOBODY.0;
        if !is_there {
            command.env(way.variables().1, &gone);
        }
        let last = Said::from(command.output().unwrap()).expect(1).last();
        assert_eq!((&last["status"], &last["error"]["kind"]), (&json!("error"), &json!("model")));
        assert_eq!(last["error"]["retryable"], true);
        assert!(last["error"]["message"].as_str().unwrap().contains(words), "{last}");
        assert!(last["stats"]["runtime_ms"].as_u64().unwrap() < 15_000, "{last}");
        let explained = scene.explained();
        assert_eq!(explained.attempts().len(), 4);
        assert_eq!(explained.of("undecided").len(), 1);
        assert_eq!(explained.run()["error"], last["error"]);
        assert_eq!(scene.server.requests().len(), if is_there { 4 } else { 0 });
        scene.replays();
    });
}

/// What asking again does not help is not asked again.
#[test]
fn a_refusal_ends_the_run_at_once() {
    let refusals: [Fault; 4] = [
        ("key", Answer::unauthorized, "model"),
        ("model", Answer::unknown_model, "model"),
        (
            "redirect",
            || Answer::raw(302, "text/plain", "").header("location", "http://x/"),
            "model",
        ),
        ("context", Answer::context_overflow, "context_overflow"),
    ];
    let cases: Vec<_> = WAYS
        .iter()
        .flat_map(|way| refusals.map(|(name, refusal, kind)| Case(*way, name, refusal, kind)))
        .collect();
    for cases in cases.chunks(32) {
        at_once(cases, |Case(way, _, refusal, kind)| {
            let scene = Scene::new(*way, [refusal().repeated()]);
            scene.agent(TOOL);
            let last = scene.run(&["--json"]).expect(1).last();
            assert_eq!(last["error"]["kind"], **kind, "{last}");
            assert_eq!(last["error"]["retryable"], false, "{last}");
            assert_eq!(scene.explained().attempts().len(), 1);
            assert_eq!(scene.server.requests().len(), 1);
            scene.replays();
        });
    }
}

#[test]
fn a_rate_limit_is_waited_for() {
    at_once(&WAYS, |way| {
        let limited = Answer::rate_limited(Some(Duration::from_secs(1)));
        let scene = Scene::new(*way, [limited, Answer::text("good")]);
        scene.agent(TOOL);
        let last = scene.run(&["--json"]).expect(0).last();
        // Ollama says nothing of when to come back.
        let waits = way.dialect != Dialect::Ollama;
        let took = last["stats"]["runtime_ms"].as_u64().unwrap();
        assert!(!waits || took >= 1000, "{took} ms");
        let explained = scene.explained();
        assert_eq!(explained.attempts().len(), 1);
        assert!(explained.attempts()[0].1.contains("429"), "{:?}", explained.attempts());
        scene.replays();
    });
}

/// More than the waits may be in all: the error tells at once.
#[test]
fn a_long_rate_limit_is_not_waited_for() {
    let ways = WAYS.iter().filter(|way| way.dialect != Dialect::Ollama);
    at_once(&ways.copied().collect::<Vec<_>>(), |way| {
        let limited = Answer::rate_limited(Some(Duration::from_secs(60)));
        let scene = Scene::new(*way, [limited]);
        scene.agent(TOOL);
        let last = scene.run(&["--json"]).expect(1).last();
        assert_eq!(
            (&last["error"]["kind"], &last["error"]["retryable"]),
            (&json!("model"), &json!(true))
        );
        assert!(last["stats"]["runtime_ms"].as_u64().unwrap() < 5000, "{last}");
        assert_eq!(scene.server.requests().len(), 1);
    });
}

#[test]
fn broken_arguments_are_answered_and_the_run_goes_on() {
    at_once(&WAYS, |way| {
        let broken = Answer::calls([("add", json!({}))]).broken_arguments("{\"a\": 1, \"b\"");
        let scene = Scene::new(*way, [broken, Answer::text("good")]);
        scene.agent(TOOL);
        let said = scene.run(&[]).expect(0);
        assert_eq!(said.stdout, "good\n");
        scene.no_complaints();
        let explained = scene.explained();
        let is_answered =
            |call: &&Value| call["tool"] == "add" && call["error"].to_string().contains("not JSON");
        let answered = explained.calls().iter().filter(|call| is_answered(call)).count();
        // Where the provider itself throws the call away, the attempt is made again.
        let again = match (way.dialect, way.stream) {
            (Dialect::OpenAi, _) | (Dialect::Anthropic, true) => 0,
            (Dialect::Anthropic, false) => explained.attempts().len(),
            (Dialect::Gemini | Dialect::Ollama, _) => 1,
        };
        assert_eq!((answered, explained.attempts().len()), (1 - again, again), "{explained:?}");
        scene.replays();
    });
}

/// An answer that met the limit of output is kept, marked, and no good end.
#[test]
fn an_answer_at_the_limit_of_output_is_not_whole() {
    at_once(&WAYS, |way| {
        let reason = match way.dialect {
            Dialect::OpenAi | Dialect::Ollama => "length",
            Dialect::Anthropic => "max_tokens",
            Dialect::Gemini => "MAX_TOKENS",
        };
        let scene = Scene::new(*way, [Answer::text("and so on").finish(reason)]);
        scene.agent(TOOL);
        let last = scene.run(&["--json"]).expect(1).last();
        assert_eq!(
            (&last["output"], &last["error"]["kind"]),
            (&json!("and so on"), &json!("model"))
        );
        let explained = scene.explained();
        let cut = explained.of("decided")[0]["cut"].as_str().unwrap();
        assert!(cut.contains("limit of output"), "{cut}");
        scene.replays();
    });
}
