//! Nobody reads what is shown, or not yet.

use std::cell::RefCell;
use std::fs::read_to_string;
use std::io::Read;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Home, Said, end, eventually, send};

/// More than a pipe takes.
const LONG: usize = 300_000;

/// A playbook with a long argument, which is in an event, and a long output.
fn long(home: &Home, script: &str) {
    home.playbook(&format!(
        "[[tool]]\nname = \"long\"\nkind = \"process\"\neffect = \"read_only\"\n\
         argv = [\"sh\", \"-c\", \"{script}\"]\n\
         [tool.params]\ntext = {{ type = \"string\" }}\n\
         [[step]]\nid = \"long\"\ndescription = \"Take long\"\ntool = \"long\"\n\
         args = {{ text = \"{}\" }}\non_failure = \"abort\"\n",
        "x".repeat(LONG)
    ));
}

/// Prints more than a pipe takes.
const SHOUT: &str = "head -c 250000 /dev/zero | tr '\\\\0' y";
/// Says that it is there, and stays.
const STAY: &str = "echo $$ > there; sleep 60";

/// Starts the run `r` with nobody to read what it prints.
fn start(home: &Home, args: &[&str]) -> Child {
    let mut command = home.command();
    command.args(["run", "book.toml", "--run-id", "r"]).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run has ended, as another process sees it.
fn settled(home: &Home) {
    eventually("the run settles", || {
        let runs = home.executus(&["runs", "--json"]).expect(0).json();
        runs.first().is_some_and(|run| run["status"] != "running")
    });
}

/// It prints, and has more to print than anybody took.
fn is_printing(child: &mut Child) {
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    assert_eq!(child.try_wait().unwrap(), None, "there is more to be read");
}

/// The process ends although nobody reads.
fn ends(child: Child) -> Said {
    let child = RefCell::new(child);
    eventually("the process ends", || child.borrow_mut().try_wait().unwrap().is_some());
    end(child.into_inner())
}

#[test]
fn a_signal_is_heard_while_nobody_reads() {
    for (signal, code, status) in
        [(Signal::INT, 130, "cancelled"), (Signal::TERM, 143, "interrupted")]
    {
        let home = Home::new();
        long(&home, STAY);
        let child = start(&home, &["--json"]);
        eventually("the tool runs", || {
            read_to_string(home.path().join("there")).is_ok_and(|pid| pid.ends_with('\n'))
        });
        send(&child, signal);
        let said = ends(child).expect(code);
        assert!(!said.stdout.contains("run.finished"), "{}", said.stdout.len());
        let runs = home.executus(&["runs", "--json"]).expect(0).json();
        assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!(status)));
        home.executus(&["replay", "r"]).expect(0);
    }
}

#[test]
fn a_run_goes_on_while_nobody_reads() {
    for args in [&["--json"][..], &[]] {
        let home = Home::new();
        long(&home, SHOUT);
        let mut child = start(&home, args);
        settled(&home);
        is_printing(&mut child);
        send(&child, Signal::TERM);
        ends(child).expect(0);
        let runs = home.executus(&["runs", "--json"]).expect(0).json();
        assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("ok")));

        // What is stored is shown in the same way.
        let mut child = start(&home, args);
        is_printing(&mut child);
        send(&child, Signal::INT);
        ends(child).expect(0);
    }
}

#[test]
fn whoever_reads_late_reads_everything() {
    let home = Home::new();
    long(&home, SHOUT);
    let child = start(&home, &[]);
    settled(&home);
    let said = end(child).expect(0);
    assert_eq!(said.stdout, format!("{}\n", "y".repeat(250_000)));

    let home = Home::new();
    long(&home, SHOUT);
    let child = start(&home, &["--json"]);
    settled(&home);
    let mut lines = end(child).expect(0).json();
    // How far it is durable is told when it is.
    lines.retain(|line| line["type"] != "run.recorded");
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    let expected = [
        "run.started",
        "step.started",
        "step.decided",
        "tool.started",
        "tool.finished",
        "step.started",
        "step.decided",
        "run.finishing",
        "run.finished",
    ];
    assert_eq!(types, expected);
    let arg = lines[3]["args"]["text"].as_str().map(str::len);
    assert_eq!((arg, lines[8]["output"].as_str().map(str::len)), (Some(LONG), Some(250_000)));
    assert_eq!(lines[8]["error"], Value::Null);
}
