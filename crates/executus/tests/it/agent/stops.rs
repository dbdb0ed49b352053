//! Runs that are stopped while they wait for a model: by a deadline, by a person, by a supervisor.

use std::fmt::{self, Debug};
use std::time::Duration;

use executus_testkit::provider::Answer;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Scene, Started, WAYS, Way, at_once, eventually, send};

const WORDS: &str = "one two three four five";

type MakeAnswer = fn() -> Answer;

/// A server that hangs in this way.
struct Hanging(Way, &'static str, MakeAnswer);

impl Debug for Hanging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.0, self.1)
    }
}

/// A hang before the head, behind it and in the middle, in every way of asking.
fn hanging() -> Vec<Hanging> {
    let hangs: [(&str, MakeAnswer); 3] = [
        ("no head", Answer::hang),
        ("only a head", Answer::hang_after_head),
        ("half an answer", || Answer::text(WORDS).hang_after_pieces(2)),
    ];
    let hanging = |way: &Way| hangs.map(|(name, answer)| Hanging(*way, name, answer));
    WAYS.iter().flat_map(hanging).collect()
}

#[test]
fn a_hanging_server_ends_at_the_deadline() {
    at_once(&hanging(), |Hanging(way, _, answer)| {
        let scene = Scene::new(*way, [answer()]);
        scene.agent("prompt = \"Hurry.\"\n[limits]\nhard_timeout = \"1s\"\n");
        let said = scene.run(&["--json"]).expect(124);
        let last = said.last();
        assert_eq!(
            (&last["status"], &last["error"]["kind"]),
            (&json!("timeout"), &json!("timeout"))
        );
        let took = last["stats"]["runtime_ms"].as_u64().unwrap();
        assert!((1000..2000).contains(&took), "{took} ms");
        scene.server.wait_for_aborted(1);
        assert_eq!(scene.server.requests().len(), 1);
        let explained = scene.explained();
        assert_eq!(explained.run()["status"], "timeout");
        assert_eq!(explained.run()["stats"], last["stats"]);
        given_up(&scene);
    });
}

/// Signs of life are no answer, however many.
#[test]
fn comments_for_ever_end_at_the_deadline() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::endless_comments()]);
        scene.agent("prompt = \"Hurry.\"\n[limits]\nhard_timeout = \"1s\"\n");
        let last = scene.run(&["--json"]).expect(124).last();
        let took = last["stats"]["runtime_ms"].as_u64().unwrap();
        assert!((1000..2000).contains(&took), "{took} ms");
        given_up(&scene);
    });
}

/// The model's own limits in time are faults that are tried again.
#[test]
fn a_silent_model_is_asked_again() {
    at_once(&hanging(), |Hanging(way, _, answer)| {
        let scene = Scene::new(*way, [answer(), Answer::text("good")]);
        scene.agent(
            "prompt = \"Hurry.\"\n\
             [timeouts]\nfirst_token = \"1500ms\"\nidle = \"1500ms\"\nwhole = \"1500ms\"\n",
        );
        let said = scene.run(&[]).expect(0);
        assert_eq!(said.stdout, "good\n");
        let explained = scene.explained();
        let attempts = explained.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        assert!(attempts[0].1.contains("within 1.5s"), "{attempts:?}");
        scene.replays();
    });
}

/// The one attempt that was made is recorded as given up, by whom it was made.
fn given_up(scene: &Scene) {
    let explained = scene.explained();
    let attempts = explained.attempts();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0].0, scene.way.model("test-model"));
    assert!(attempts[0].1.contains("given up"), "{attempts:?}");
    scene.replays();
}

/// A run in the middle of an answer: streamed, its first words have been shown.
fn in_the_middle(scene: &Scene) -> Started {
    scene.agent("prompt = \"Count.\"\n");
    let mut run = scene.start(&["--json"]);
    if scene.way.stream {
        run.until("\"text\":\"two \"");
    } else {
        scene.server.wait_for_requests(1);
    }
    run
}

#[test]
fn an_interrupt_cancels_in_the_middle() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text(WORDS).hang_after_pieces(2)]);
        let run = in_the_middle(&scene);
        send(&run.child, Signal::INT);
        let said = run.end().expect(130);
        let last = said.last();
        assert_eq!(last["status"], "cancelled");
        assert_eq!(last["error"]["kind"], "cancelled");
        scene.server.wait_for_aborted(1);
        scene.server.wait_for_no_connections();
        assert_eq!(scene.explained().run()["status"], "cancelled");
        given_up(&scene);
        // The answer that is kept is that of a run that was cancelled.
        assert_eq!(scene.run(&["--json"]).expect(130).last(), last);
        assert_eq!(scene.server.requests().len(), 1);
    });
}

#[test]
fn a_termination_interrupts_in_the_middle() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text(WORDS).hang_after_pieces(2)]);
        let run = in_the_middle(&scene);
        send(&run.child, Signal::TERM);
        let said = run.end().expect(143);
        assert_eq!(said.last()["status"], "interrupted");
        scene.server.wait_for_aborted(1);
        scene.server.wait_for_no_connections();
        let listed = scene.home.executus(&["runs", "--status", "interrupted", "--json"]).expect(0);
        assert_eq!(listed.last()["run_id"], "r");
        given_up(&scene);
        let refused = scene.run(&[]).expect(2);
        assert!(refused.stderr.contains("was interrupted"), "{}", refused.stderr);
        assert_eq!(scene.server.requests().len(), 1);
    });
}

/// Also while it streams as fast as it can, and while it waits to ask again.
#[test]
fn an_interrupt_is_heard_at_any_time() {
    let long = || Answer::text("one two three").paced(Duration::from_secs(1));
    let again = || Answer::status(500, "boom").repeated();
    let cases: [(&str, MakeAnswer, &str); 2] =
        [("slow", long, "step.delta"), ("asking again", again, "step.attempt_failed")];
    at_once(&cases, |(_, answer, seen)| {
        let scene = Scene::new(Way::STREAM, [answer()]);
        scene.agent("prompt = \"Count.\"\n");
        let mut run = scene.start(&["--json"]);
        run.until(seen);
        send(&run.child, Signal::INT);
        let last = run.end().expect(130).last();
        assert_eq!(last["status"], "cancelled");
        assert!(last["stats"]["runtime_ms"].as_u64().unwrap() < 5000, "{last}");
        assert_eq!(scene.explained().attempts().len(), 1);
        scene.server.wait_for_no_connections();
        scene.replays();
    });
}

/// A process that is killed leaves a run that its next one finds, and one that is alive is not
/// disturbed.
#[test]
fn a_killed_run_is_interrupted() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text(WORDS).hang_after_pieces(2)]);
        let mut run = in_the_middle(&scene);
        let refused = scene.run(&[]).expect(2);
        assert!(refused.stderr.contains("run r is"), "{}", refused.stderr);
        // What is not written yet dies with the process.
        eventually("the beginning is written", || !scene.explained().records().is_empty());
        run.child.kill().unwrap();
        run.child.wait().unwrap();
        scene.server.wait_for_no_connections();
        let explained = scene.explained();
        assert_eq!(explained.run()["status"], "interrupted");
        assert_eq!(explained.run()["error"]["kind"], "interrupted");
        assert_eq!(scene.server.requests().len(), 1);
        scene.replays();
    });
}
