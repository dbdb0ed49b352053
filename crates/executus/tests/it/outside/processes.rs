//! Child processes: what they read, how they end, what they leave behind.

use rustix::process::{Pid, test_kill_process};

use crate::support::{Home, eventually};

fn lives(pid: &str) -> bool {
    test_kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap()).is_ok()
}

/// The text of a file, once it has a whole line.
fn line(home: &Home, name: &str) -> String {
    let path = home.path().join(name);
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    eventually(name, || read().ends_with('\n'));
    read()
}

#[test]
fn a_child_reads_what_the_file_gives_it() {
    let home = Home::new();
    home.playbook(
        r#"
[params]
word = { type = "string", sensitive = true, default = "c4n4ry-0f-th3-m1n3" }
[[tool]]
name = "count"
kind = "process"
argv = ["sh", "-c", "wc -l | tr -d ' '; cat"]
stdin = "{text}\n{{braces}}\n{word}\n"
[tool.params]
text = { type = "string" }
[[tool]]
name = "shout"
kind = "process"
argv = ["tr", "a-z", "A-Z"]
stdin = "{text} {word}"
[tool.params]
text = { type = "string" }
[[step]]
id = "count"
tool = "count"
args = { text = "one\n$(two)" }
store_as = "lines"
on_failure = "abort"
[[step]]
id = "shout"
tool = "shout"
args = { text = "{lines}" }
store_as = "shouted"
on_failure = "abort"
[output]
template = "{shouted}"
"#,
    );
    let said = home.executus(&["run", "book.toml", "--run-id", "r"]).expect(0);
    // What a program made of a secret is not known to be one.
    assert_eq!(said.stdout, "4 C4N4RY-0F-TH3-M1N3\n");
    let kept = home.executus(&["explain", "r", "--json"]).expect(0).stdout;
    assert!(!kept.contains("c4n4ry"), "{kept}");
}

/// A child that does not heed `SIGTERM` gets its own time before it is killed.
#[test]
fn a_child_has_the_grace_that_the_file_gives_it() {
    for (grace, says_goodbye) in [("", false), ("grace = \"20s\"", true)] {
        let home = Home::new();
        home.playbook(&format!(
            r#"
[[tool]]
name = "slow"
kind = "process"
argv = ["sh", "-c", "trap 'sleep 1; echo goodbye > said' TERM; while :; do sleep 0.1; done"]
timeout = "500ms"
{grace}
[[step]]
id = "slow"
tool = "slow"
on_failure = "abort"
"#
        ));
        // The loop of the shell goes on after its trap: a child that never ends by itself.
        let book = home.path().join("book.toml");
        let text = std::fs::read_to_string(&book).unwrap();
        std::fs::write(&book, text.replace("> said'", "> said; exit'")).unwrap();
        let said = home.executus(&["run", "book.toml"]).expect(1);
        assert!(said.stderr.contains("500 ms") || said.stderr.contains("time"), "{}", said.stderr);
        assert_eq!(home.path().join("said").exists(), says_goodbye, "{grace}");
    }
}

/// A process that left its group outlives the call, unless the file says otherwise.
#[test]
fn strays_are_ended_where_the_file_says_so() {
    for (end_strays, outlives) in [("", true), ("end_strays = true", false)] {
        let home = Home::new();
        home.playbook(&format!(
            r#"
[[tool]]
name = "leave"
kind = "process"
argv = ["sh", "-c", "setsid sh -c 'echo $$ > pid; exec sleep 60' > /dev/null 2>&1 & while [ ! -s pid ]; do sleep 0.02; done"]
{end_strays}
[[step]]
id = "leave"
tool = "leave"
on_failure = "abort"
"#
        ));
        home.executus(&["run", "book.toml"]).expect(0);
        let pid = line(&home, "pid");
        if outlives {
            assert!(lives(&pid));
            let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        } else {
            eventually("the stray is gone", || !lives(&pid));
        }
    }
}
