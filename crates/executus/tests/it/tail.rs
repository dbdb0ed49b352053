//! Following a run from another process.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::support::{Explained, Home, Said, end, send};

const BOOK: &str = r#"
[[tool]]
name = "wait"
kind = "process"
argv = ["sh", "-c", "if [ -e again ]; then echo waited; else echo $$ > there; sleep 60; fi"]
effect = "idempotent"
[[step]]
id = "wait"
description = "Wait"
tool = "wait"
store_as = "waited"
on_failure = "abort"
[output]
template = "It {waited}."
"#;

fn tail(home: &Home, args: &[&str]) -> Child {
    let mut command = home.command();
    command.args(["tail", "r"]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn seqs(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["seq"].as_u64()).collect()
}

fn recorded(home: &Home) -> Vec<u64> {
    let explained = Explained(home.executus(&["explain", "r", "--json"]).expect(0).last());
    seqs(explained.records())
}

/// SF-08: across the death of the writer and a resume each record is shown once, in order.
#[test]
fn a_tail_outlives_its_writer() {
    let home = Home::new();
    home.playbook(BOOK);
    let mut child = home.start(&["run", "book.toml", "--run-id", "r"]);
    let tails = [tail(&home, &["--json"]), tail(&home, &["--json", "--from", "3"])];
    let text = tail(&home, &[]);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    let tool = std::fs::read_to_string(home.path().join("there")).unwrap();
    kill_process_group(Pid::from_raw(tool.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    home.file("again", "");
    home.executus(&["resume", "r"]).expect(0);

    let all = recorded(&home);
    for (child, from) in tails.into_iter().zip([1, 3]) {
        let said = end(child).expect(0);
        let lines = said.json();
        let expected: Vec<_> = all.iter().copied().filter(|seq| *seq >= from).collect();
        assert_eq!(seqs(&lines), expected);
        let last = said.last();
        assert_eq!(
            (&last["type"], &last["output"]),
            (&json!("run.finished"), &json!("It waited."))
        );
    }
    let said = end(text).expect(0);
    assert!(
        said.stdout.contains("step 1: wait answers") && said.stdout.ends_with("ok\n"),
        "{}",
        said.stdout
    );
    // What is over is shown as it was.
    let said = end(tail(&home, &["--json"])).expect(0);
    assert_eq!(seqs(&said.json()), all);
}

#[test]
fn an_interruption_can_be_the_end() {
    let home = Home::new();
    home.playbook(BOOK);
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    send(&child, Signal::TERM);
    end(child).expect(143);
    let said: Said = end(tail(&home, &["--json", "--no-wait"])).expect(143);
    assert_eq!(said.last()["type"], "run.interrupted");
    assert_eq!(seqs(&said.json()), recorded(&home));
    let said = home.executus(&["tail", "nobody"]).expect(2);
    assert!(said.stderr.contains("no run `nobody`"), "{}", said.stderr);
}
