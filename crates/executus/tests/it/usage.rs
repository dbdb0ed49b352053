//! Mistakes of whoever calls: exit 2, and what to do about it.

use crate::support::Home;

const BOOK: &str = r#"
[params]
n = { type = "integer", min = 1 }
[[tool]]
name = "echo"
kind = "process"
argv = ["echo", "{n}"]
[[step]]
id = "one"
tool = "echo"
on_failure = "abort"
"#;

#[test]
fn mistakes_are_2_and_say_what_to_do() {
    let home = Home::new();
    home.playbook(BOOK);
    home.file("bad.toml", &format!("kind = \"playbook\"\nname = 7\n{BOOK}"));
    home.file("agent.toml", "kind = \"agent\"\nname = \"a\"\nmodel = \"x:y\"\nprompt = \"p\"\n");
    home.file("not.db", "this is no database, it is a text that is long enough to be looked at\n");
    for (args, part) in [
        (&[][..], "Usage"),
        (&["fly"], "unrecognized subcommand 'fly'"),
        (&["run"], "<FILE>"),
        (&["run", "nothing.toml"], "nothing.toml"),
        (&["run", "bad.toml"], "bad.toml:2:8: "),
        (&["run", "agent.toml"], "agent.toml: "),
        (&["run", "book.toml"], "the parameter `n` is missing"),
        (&["run", "book.toml", "--input", "n=0"], "expected an integer of at least 1"),
        (
            &["run", "book.toml", "--input", "n=1", "--input", "m=1"],
            "no parameter `m`; there are: n",
        ),
        (&["run", "book.toml", "--input", "n"], "expected NAME=VALUE"),
        (&["run", "book.toml", "--input", "n=1", "--db", "not.db"], "not.db"),
        (&["run", "book.toml", "--input", "n=1", "--db", "/proc/no/such"], "/proc/no"),
        (&["runs", "--db", "not.db"], "not.db"),
        (&["runs", "--db", "nowhere.db"], "nowhere.db"),
        (&["explain", "r", "--db", "nowhere.db"], "nowhere.db"),
    ] {
        let said = home.executus(args).expect(2);
        assert!(said.stderr.contains(part), "{args:?}: {}", said.stderr);
        assert!(said.stdout.is_empty(), "{args:?}: {}", said.stdout);
        assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    }
    // A file that cannot run leaves nothing behind.
    assert!(!home.path().join("nowhere.db").exists());
    home.executus(&["--version"]).expect(0);
    home.executus(&["run", "--help"]).expect(0);
}
