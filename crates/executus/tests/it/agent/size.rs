//! Too much of everything: cut, marked, recorded, and never held in memory.

use std::fmt::{self, Debug};
use std::fs::read_to_string;
use std::process::Stdio;
use std::time::Duration;

use executus_testkit::provider::Answer;
use serde_json::json;

use crate::support::{Said, Scene, WAYS, Way, at_once};

/// The most memory that a run may have in use at any time.
const MOST: u64 = 200 << 20;
/// The limit of a reply where nobody sets one.
const REPLY: usize = 1 << 20;

/// Runs the agent and checks what it took of memory at most, as the system tells while it is there.
fn run(scene: &Scene) -> Said {
    let mut command = scene.run_command(&["--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = peak_of(&status) {
            peak = now.max(peak);
            #[expect(clippy::disallowed_methods, reason = "the system sends no event for it")]
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let said = crate::support::end(child);
    let peak = watch.join().unwrap();
    assert!(peak > 1 << 20, "the peak was not seen: {peak}");
    assert!(peak < MOST, "{} MB", peak >> 20);
    said
}

/// The high-water mark of a process that is there, in bytes. One that has not begun yet shares the
/// memory of its parent, and its name.
fn peak_of(status: &str) -> Option<u64> {
    let text = read_to_string(status).ok()?;
    if !text.starts_with("Name:\texecutus\n") {
        return Some(0);
    }
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes << 10)
}

/// 50 MB of output of a tool: its beginning goes to the model, with a mark.
#[test]
fn a_tool_that_says_too_much_is_cut() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(
            *way,
            [Answer::calls([("shout", json!({})), ("cry", json!({}))]), Answer::text("loud")],
        );
        scene.agent(
            "prompt = \"Shout.\"\n\
             [[tool]]\nname = \"shout\"\nkind = \"process\"\neffect = \"read_only\"\n\
             argv = [\"sh\", \"-c\", \"head -c 50000000 /dev/zero | tr '\\\\0' x\"]\n\
             [[tool]]\nname = \"cry\"\nkind = \"process\"\neffect = \"read_only\"\n\
             argv = [\"sh\", \"-c\", \"head -c 50000000 /dev/zero | tr '\\\\0' y >&2; exit 1\"]\n",
        );
        let said = run(&scene).expect(0);
        assert_eq!(said.last()["output"], "loud");
        let explained = scene.explained();
        let mut calls = explained.calls();
        calls.sort_by_key(|call| call["call"].as_u64());
        let result = calls[0]["result"].as_str().unwrap();
        assert!(result.starts_with("xxx") && result.len() < 300 << 10, "{}", result.len());
        assert!(result.contains("50000000"), "no mark: {}", &result[result.len() - 200..]);
        assert_eq!(calls[0]["data"]["stdout_bytes"], 50_000_000);
        let error = calls[1]["error"].to_string();
        assert!(error.contains("yyy") && error.len() < 8 << 10, "{}", error.len());
        let told = scene.server.requests()[1].body.to_string();
        assert!(told.contains("xxx") && told.len() < 400 << 10, "{}", told.len());
        scene.no_complaints();
        scene.replays();
    });
}

/// A reply that is too long, in a way of asking.
struct Long(Way, &'static str, fn() -> Answer);

impl Debug for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.0, self.1)
    }
}

/// 50 MB of text and text without end.
#[test]
fn a_reply_that_is_too_long_is_cut() {
    // The server makes a whole one in memory: once will do.
    let huge = WAYS.iter().enumerate().filter(|(at, way)| way.stream || *at == 1);
    let huge = huge.map(|(_, way)| Long(*way, "huge", || Answer::huge_text(50_000_000)));
    let endless = WAYS.map(|way| Long(way, "endless", Answer::endless));
    let replies: Vec<_> = huge.chain(endless).collect();
    at_once(&replies, |Long(way, _, reply)| {
        let scene = Scene::new(*way, [reply()]);
        scene.agent("prompt = \"Go on.\"\n");
        let said = run(&scene).expect(1);
        let last = said.last();
        assert_eq!(last["error"]["kind"], "model");
        let message = last["error"]["message"].as_str().unwrap();
        assert!(message.contains("longer than"), "{message}");
        let explained = scene.explained();
        let output = last["output"].as_str().unwrap_or_default().len();
        assert!(output <= REPLY + 100, "{output}");
        if way.stream {
            assert!(output >= REPLY, "what came is kept: {output}");
            let cut = explained.of("decided")[0]["cut"].as_str().unwrap();
            assert!(cut.contains("longer than 1048576 bytes"), "{cut}");
        } else {
            assert_eq!(explained.attempts().len(), 1);
        }
        scene.server.wait_for_no_connections();
        assert_eq!(scene.server.requests().len(), 1);
        scene.replays();
    });
}

#[test]
fn a_line_without_end_is_given_up() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::endless_line()]);
        scene.agent("prompt = \"Go on.\"\n");
        let last = run(&scene).expect(1).last();
        assert_eq!(last["error"]["kind"], "model");
        let message = last["error"]["message"].as_str().unwrap();
        assert!(message.contains("longer than"), "{message}");
        assert_eq!(scene.explained().attempts().len(), 1);
        scene.server.wait_for_no_connections();
        scene.replays();
    });
}

/// An error body of 50 MB, and a call whose arguments have 6 MB.
#[test]
fn errors_and_arguments_are_bounded_too() {
    let huge = "z".repeat(50_000_000);
    let scene = Scene::new(Way::STREAM, [Answer::raw(400, "text/plain", &*huge)]);
    scene.agent("prompt = \"Go on.\"\n");
    let last = run(&scene).expect(1).last();
    assert!(last["error"]["message"].as_str().unwrap().len() < 4096);
    at_once(&WAYS, |way| {
        // The first bytes of an answer come in very small pieces: those are of its text.
        let call = Answer::calls([("shout", json!({"text": &huge[..6_000_000]}))]);
        let call = call.and_text("y".repeat(70_000));
        let scene = Scene::new(*way, [call, Answer::text("done")]);
        scene.agent("prompt = \"Go on.\"\n");
        let said = run(&scene);
        assert!(said.stdout.len() < 300_000, "{}", said.stdout.len());
        scene.server.wait_for_no_connections();
        scene.replays();
    });
}
