//! Calls that somebody has to approve, from another process.

use serde_json::{Value, json};

use crate::support::{Explained, Home};

const AGENT: &str = r#"
kind = "agent"
name = "agent"
model = "scripted:said.jsonl"
prompt = "Send it."
[[tool]]
name = "send"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> sent; echo \"$1 sent\"", "sh", "{to}"]
approval = "required"
[tool.params]
to = { type = "string" }
[[tool]]
name = "look"
kind = "process"
argv = ["sh", "-c", "echo looked >> looked; echo fine"]
effect = "read_only"
"#;

fn call(name: &str, args: &Value) -> Value {
    json!({"name": name, "args": args})
}

fn said(turns: &[Value]) -> String {
    turns.iter().map(|turn| format!("{turn}\n")).collect()
}

/// A home whose agent wants to send to Ann and Bob, and to look.
fn home(agent: &str) -> Home {
    let home = Home::new();
    home.file("agent.toml", agent);
    let calls = [
        call("send", &json!({"to": "ann"})),
        call("look", &json!({})),
        call("send", &json!({"to": "bob"})),
    ];
    home.file(
        "said.jsonl",
        &said(&[json!({"text": "", "tool_calls": calls}), json!({"text": "Done."})]),
    );
    home
}

fn text(home: &Home, file: &str) -> String {
    std::fs::read_to_string(home.path().join(file)).unwrap_or_default()
}

fn explained(home: &Home) -> Explained {
    Explained(home.executus(&["explain", "r", "--json"]).expect(0).last())
}

/// Whether a call was answered with this code.
fn is_told(home: &Home, code: &str) -> bool {
    explained(home).calls().iter().any(|call| call["error"].to_string().contains(code))
}

/// The run is kept without a process, and says what to type; each answer comes from another one.
#[test]
fn a_run_waits_for_its_answers() {
    let home = home(AGENT);
    let waits = home.executus(&["run", "agent.toml", "--run-id", "r", "--json"]).expect(75);
    let last = waits.last();
    assert_eq!(
        (&last["status"], &last["error"]["kind"]),
        (&json!("interrupted"), &json!("awaiting_approval"))
    );
    for told in ["executus approve r 1.0", "executus deny r 1.2", "send {\"to\":\"ann\"}"] {
        assert!(waits.stderr.contains(told), "no `{told}` in {}", waits.stderr);
    }
    let asked: Vec<_> =
        waits.json().into_iter().filter(|it| it["type"] == "approval.asked").collect();
    assert_eq!((asked.len(), &asked[0]["args"]), (2, &json!({"to": "ann"})));
    // The call beside them was made.
    assert_eq!((text(&home, "looked").as_str(), text(&home, "sent").as_str()), ("looked\n", ""));
    // It waits on, whoever resumes.
    let still = home.executus(&["resume", "r"]).expect(75);
    assert!(still.stderr.contains("awaits approval until"), "{}", still.stderr);
    home.executus(&["resume", "--all"]).expect(0);
    let taken = home.executus(&["run", "agent.toml", "--run-id", "r"]).expect(2);
    assert!(taken.stderr.contains("executus approve r"), "{}", taken.stderr);

    let wrong = home.executus(&["approve", "r", "1.1"]).expect(2);
    assert!(wrong.stderr.contains("these do: 1.0, 1.2"), "{}", wrong.stderr);
    home.executus(&["approve", "r", "1.0", "--by", "carl"]).expect(75);
    assert_eq!(text(&home, "sent"), "ann\n");
    let done = home.executus(&["deny", "r", "1.2", "--reason", "Bob moved"]).expect(0);
    assert_eq!(done.stdout, "Done.\n");
    assert_eq!(
        (text(&home, "looked").as_str(), text(&home, "sent").as_str()),
        ("looked\n", "ann\n")
    );

    let explained = explained(&home);
    let answered: Vec<_> = explained
        .of("answered")
        .iter()
        .map(|it| (&it["approved"], it["reason"].as_str()))
        .collect();
    assert_eq!(answered, [(&json!(true), None), (&json!(false), Some("Bob moved"))]);
    let denied = explained.calls().into_iter().find(|it| it["error"].is_object()).unwrap();
    assert!(denied["error"].to_string().contains("Bob moved"), "{denied}");
    let shown = home.executus(&["explain", "r"]).expect(0).stdout;
    for told in
        ["send awaits approval until", "call 1.0 to=\"ann\"", "send approved, call 1.0: carl"]
    {
        assert!(shown.contains(told), "no `{told}` in {shown}");
    }
    home.executus(&["replay", "r"]).expect(0);
    let again = home.executus(&["approve", "r", "1.0"]).expect(0);
    assert!(again.stderr.contains("has ended before"), "{}", again.stderr);
}

#[test]
fn several_calls_are_answered_at_once() {
    let home = home(AGENT);
    home.executus(&["run", "agent.toml", "--run-id", "r"]).expect(75);
    home.executus(&["approve", "r", "1.0", "1.2"]).expect(0);
    assert_eq!(text(&home, "sent").lines().count(), 2);
}

/// Nobody answered in time: whoever resumes then goes on, and the call is not made.
#[test]
fn a_time_limit_denies() {
    let home = home(&AGENT.replace("\"required\"", "\"required\"\napproval_timeout = \"1s\""));
    home.executus(&["run", "agent.toml", "--run-id", "r"]).expect(75);
    crate::support::eventually("the time is over", || home.executus(&["resume", "r"]).code == 0);
    assert_eq!(text(&home, "sent"), "");
    assert!(is_told(&home, "approval_expired"));
}

/// A capability is approved as a whole, whichever driver performs it.
#[test]
fn a_capability_waits_too() {
    let home = home(
        &(AGENT.replace("approval = \"required\"\n", "effect = \"idempotent\"\n")
            + r#"
[principal]
roles = ["writer"]
[policy]
justification = "The customer asked for it by letter."
[[capability]]
id = "mail.send"
description = "Send it"
safety = "write"
idempotent = true
drivers = ["send"]
approval = "required"
"#),
    );
    let calls = [call("mail__send", &json!({"to": "ann"}))];
    home.file(
        "said.jsonl",
        &said(&[json!({"text": "", "tool_calls": calls}), json!({"text": "Done."})]),
    );
    let waits = home.executus(&["run", "agent.toml", "--run-id", "r"]).expect(75);
    assert!(waits.stderr.contains("mail__send"), "{}", waits.stderr);
    assert_eq!(text(&home, "sent"), "");
    home.executus(&["approve", "r", "1.0"]).expect(0);
    assert_eq!(text(&home, "sent"), "ann\n");
}

#[test]
fn what_asks_nobody_is_refused() {
    let home = home(AGENT);
    let refused = |text: &str, part: &str| {
        home.file("agent.toml", text);
        let said = home.executus(&["run", "agent.toml"]).expect(2);
        assert!(said.stderr.contains(part), "no `{part}` in {}", said.stderr);
    };
    refused(&AGENT.replace("\"required\"", "\"perhaps\""), "approval");
    refused(
        &AGENT.replace("approval = \"required\"", "approval_timeout = \"1h\""),
        "says nothing without an approval",
    );
    let capability = r#"
[[capability]]
id = "mail.send"
safety = "write"
drivers = ["send"]
"#;
    refused(&format!("{AGENT}{capability}"), "nobody is asked about `send`");
    let driven = AGENT.replace("approval = \"required\"\n", "");
    refused(
        &format!("{driven}[policy]\nsearch = true\n{capability}approval = \"required\"\n"),
        "calls all of them by one tool",
    );
}

/// Where nothing is kept, nobody can be asked.
#[test]
fn without_checkpoints_a_call_is_denied() {
    let home = home(AGENT);
    home.file("executus.toml", "[checkpoint]\nenabled = false\n");
    home.executus(&["run", "agent.toml", "--run-id", "r"]).expect(0);
    assert!(is_told(&home, "approval_unavailable"));
    assert_eq!(text(&home, "sent"), "");
}
