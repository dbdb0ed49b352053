//! Runs that a kill or a shutdown left go on in another process.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use crate::support::{Explained, Home, Said, end, send};

/// The first step leaves a line; the second one waits in the first life, and is quick in the next.
const BOOK: &str = r#"
[params]
place = { type = "string", default = "harbour" }
[[tool]]
name = "look"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> looked; echo \"$1 seen\"", "sh", "{place}"]
effect = "idempotent"
[[tool]]
name = "wait"
kind = "process"
argv = ["sh", "-c", "echo began >> began; if [ -e again ]; then echo waited; else echo $$ > there; sleep 60; fi"]
effect = "idempotent"
[[step]]
id = "look"
description = "Look"
tool = "look"
store_as = "seen"
on_failure = "abort"
[[step]]
id = "wait"
description = "Wait"
tool = "wait"
store_as = "waited"
on_failure = "abort"
[output]
template = "{seen}, {waited}"
"#;

fn lines(home: &Home, file: &str) -> usize {
    std::fs::read_to_string(home.path().join(file)).unwrap_or_default().lines().count()
}

/// Kills the host, and what it left of its tool.
fn kill(home: &Home, mut child: Child) {
    send(&child, Signal::KILL);
    child.wait().unwrap();
    kill_tool(home);
}

fn kill_tool(home: &Home) {
    let tool = std::fs::read_to_string(home.path().join("there")).unwrap();
    let tool = Pid::from_raw(tool.trim().parse().unwrap()).unwrap();
    let _gone = kill_process_group(tool, Signal::KILL);
    home.file("again", "");
}

fn explained(home: &Home, run: &str) -> Explained {
    Explained(home.executus(&["explain", run, "--json"]).expect(0).last())
}

/// FN-05, CK-04: what was acknowledged is not done again, and the output is what it would have been.
#[test]
fn a_killed_run_goes_on() {
    let home = Home::new();
    home.playbook(BOOK);
    let child =
        home.start(&["run", "book.toml", "--run-id", "r", "--input", "place=quay", "--json"]);
    kill(&home, child);
    // Any boot records what died, whatever it was asked to do.
    let runs = home.executus(&["runs", "--status", "interrupted", "--json"]).expect(0).json();
    assert_eq!((runs.len(), &runs[0]["run_id"]), (1, &json!("r")));
    let said = home.executus(&["resume", "r"]).expect(0);
    assert_eq!(said.stdout, "quay seen, waited\n");
    assert_eq!((lines(&home, "looked"), lines(&home, "began")), (1, 2));
    let explained = explained(&home, "r");
    assert_eq!(
        (&explained.run()["status"], &explained.run()["attempts"]),
        (&json!("ok"), &json!(2))
    );
    assert_eq!(explained.of("resumed").len(), 1);
    home.executus(&["replay", "r"]).expect(0);
    // Again, it answers with its result.
    let said = home.executus(&["resume", "r"]).expect(0);
    assert_eq!(said.stdout, "quay seen, waited\n");
    assert!(said.stderr.contains("has ended before"), "{}", said.stderr);
}

/// CK-04: all that a shutdown left goes on, each where it worked.
#[test]
fn all_go_on_from_anywhere() {
    let home = Home::new();
    home.playbook(BOOK);
    for run in ["one", "two"] {
        let _none = std::fs::remove_file(home.path().join("there"));
        let child = home.start(&["run", "book.toml", "--run-id", run]);
        send(&child, Signal::TERM);
        let said = end(child).expect(143);
        assert!(said.stderr.contains(&format!("executus resume {run}")), "{}", said.stderr);
    }
    home.file("again", "");
    std::fs::create_dir(home.path().join("elsewhere")).unwrap();
    let mut command = home.command();
    command.current_dir(home.path().join("elsewhere")).args(["resume", "--all"]);
    let said = Said::from(command.output().unwrap()).expect(0);
    assert_eq!(said.stdout, "harbour seen, waited\n".repeat(2));
    assert_eq!(lines(&home, "looked"), 2);
    let said = home.executus(&["resume", "--all"]).expect(0);
    assert_eq!(said.stdout, "");
}

/// Nothing is done once more of which it is not known whether it was done.
#[test]
fn a_call_that_counts_is_not_repeated() {
    let home = Home::new();
    home.file(
        "agent.toml",
        r#"
kind = "agent"
name = "agent"
model = "scripted:said.jsonl"
prompt = "Send it."
[[tool]]
name = "send"
kind = "process"
argv = ["sh", "-c", "echo sent >> sent; echo $$ > there; sleep 60"]
"#,
    );
    home.file(
        "said.jsonl",
        "{\"text\": \"\", \"tool_calls\": [{\"name\": \"send\", \"args\": {}}]}\n{\"text\": \"Perhaps.\"}\n",
    );
    let child = home.start(&["run", "agent.toml", "--run-id", "r"]);
    kill(&home, child);
    let said = home.executus(&["resume", "r"]).expect(0);
    assert_eq!((said.stdout.as_str(), lines(&home, "sent")), ("Perhaps.\n", 1));
    let explained = explained(&home, "r");
    let calls = explained.calls();
    assert_eq!((calls.len(), &calls[0]["error"]["kind"]), (1, &json!("unknown")));
}

#[test]
fn a_changed_file_is_refused() {
    let home = Home::new();
    home.playbook(BOOK);
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    kill(&home, child);
    home.playbook(&BOOK.replace("{seen}, {waited}", "{seen}; {waited}"));
    let said = home.executus(&["resume", "r"]).expect(2);
    assert!(said.stderr.contains("book.toml: the run file changed since"), "{}", said.stderr);
    assert!(said.stderr.contains("--changed"), "{}", said.stderr);
    // What it was lies elsewhere now.
    home.file("old.toml", &format!("kind = \"playbook\"\nname = \"book\"\n{BOOK}"));
    let said = home.executus(&["resume", "r", "--file", "old.toml"]).expect(0);
    assert_eq!(said.stdout, "harbour seen, waited\n");
}

#[test]
fn a_changed_file_is_taken_by_choice() {
    let home = Home::new();
    home.playbook(BOOK);
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    kill(&home, child);
    home.playbook(&BOOK.replace("{seen}, {waited}", "{seen}; {waited}"));
    let said = home.executus(&["resume", "r", "--changed"]).expect(0);
    assert_eq!(said.stdout, "harbour seen; waited\n");
}

/// What is sensitive is not kept: it is given again, or comes from the environment.
#[test]
fn a_secret_is_given_again() {
    let home = Home::new();
    let book = BOOK.replace(
        "[[tool]]\nname = \"look\"",
        "token = { type = \"string\", sensitive = true, env = \"BOOK_TOKEN\" }\n[[tool]]\nname = \"look\"",
    );
    home.playbook(&book.replace("\"sh\", \"{place}\"]", "\"sh\", \"{place}\", \"{token}\"]"));
    let child = home.start(&["run", "book.toml", "--run-id", "r", "--input", "token=t0k3n-4711"]);
    kill(&home, child);
    let said = home.executus(&["resume", "r"]).expect(2);
    assert!(said.stderr.contains("`token` is missing"), "{}", said.stderr);
    let said = home.executus(&["resume", "r", "--input", "place=moon"]).expect(2);
    assert!(said.stderr.contains("`place` is kept as it was given"), "{}", said.stderr);
    for file in std::fs::read_dir(home.db().parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        let found = bytes.windows(10).any(|window| window == b"t0k3n-4711");
        assert!(!found);
    }
    let said = home.executus(&["resume", "r", "--input", "token=t0k3n-4711"]).expect(0);
    assert_eq!(said.stdout, "harbour seen, waited\n");
}

/// A run that ends its process each time is left alone after so many lives, until somebody says.
#[test]
fn a_killer_is_parked() {
    let home = Home::new();
    home.file("executus.toml", "[checkpoint]\nattempt_limit = 2\n");
    home.playbook(
        r#"
[[tool]]
name = "kill"
kind = "process"
argv = ["sh", "-c", "if [ -e again ]; then echo kind; else kill -9 $PPID; fi"]
effect = "idempotent"
[[step]]
id = "kill"
description = "Kill"
tool = "kill"
store_as = "said"
on_failure = "abort"
[output]
template = "{said}"
"#,
    );
    let killed = |args: &[&str]| {
        let status = home.command().args(args).output().unwrap().status;
        assert_eq!(status.code(), None, "{status}");
    };
    killed(&["run", "book.toml", "--run-id", "r"]);
    killed(&["resume", "r"]);
    killed(&["resume", "--all"]);
    let said = home.executus(&["resume", "r"]).expect(1);
    assert!(
        said.stderr.contains("is parked") && said.stderr.contains("--unpark"),
        "{}",
        said.stderr
    );
    let said = home.executus(&["resume", "--all"]).expect(0);
    assert!(said.stderr.contains("run r is parked"), "{}", said.stderr);
    assert_eq!(explained(&home, "r").run()["error"]["kind"], "parked");
    home.file("again", "");
    let said = home.executus(&["resume", "r", "--unpark"]).expect(0);
    assert_eq!(said.stdout, "kind\n");
}

#[test]
fn what_cannot_go_on_says_why() {
    let home = Home::new();
    home.playbook(BOOK);
    let said = home.executus(&["resume", "r"]).expect(2);
    assert!(said.stderr.contains("no run `r` is recorded"), "{}", said.stderr);
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    let said = home.executus(&["resume", "r"]).expect(2);
    assert!(said.stderr.contains("under way in another process"), "{}", said.stderr);
    send(&child, Signal::INT);
    end(child).expect(130);
    home.executus(&["resume", "r"]).expect(130);
    home.executus(&["resume"]).expect(2);
    home.executus(&["resume", "r", "--all"]).expect(2);
}

/// Where nothing is kept nothing is promised.
#[test]
fn keeping_can_be_turned_off() {
    let home = Home::new();
    home.file("executus.toml", "[checkpoint]\nenabled = false\n");
    home.playbook(BOOK);
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    kill(&home, child);
    let said = home.executus(&["resume", "r"]).expect(2);
    assert!(said.stderr.contains("[checkpoint]"), "{}", said.stderr);
    assert!(!home.path().join("data/executus/executus.db.checkpoints").exists());
}

/// What was kept before is not lost by a configuration, and nothing is added to it.
#[test]
fn turning_it_off_keeps_what_is_there() {
    let home = Home::new();
    home.playbook(BOOK);
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    kill(&home, child);
    home.file("executus.toml", "[checkpoint]\nenabled = false\n");
    home.executus(&["run", "book.toml", "--run-id", "q"]).expect(0);
    home.executus(&["resume", "r"]).expect(2);
    std::fs::remove_file(home.path().join("executus.toml")).unwrap();
    home.executus(&["resume", "r"]).expect(0);
}
