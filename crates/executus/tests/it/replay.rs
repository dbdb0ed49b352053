//! Replays: the same, or not.

use rusqlite::Connection;

use crate::support::Home;

const BOOK: &str = r#"
[[tool]]
name = "echo"
kind = "process"
argv = ["echo", "{text}"]
[tool.params]
text = { type = "string" }
[[step]]
id = "one"
description = "One"
tool = "echo"
args = { text = "first" }
on_failure = "abort"
[[step]]
id = "two"
description = "Two"
tool = "echo"
args = { text = "second" }
on_failure = "abort"
"#;

#[test]
fn a_replay_is_the_same_until_somebody_edits_the_journal() {
    let home = Home::new();
    home.playbook(BOOK);
    home.executus(&["run", "book.toml", "--run-id", "r"]).expect(0);
    let same = home.executus(&["replay", "r"]).expect(0);
    assert!(same.stdout.starts_with("same: "), "{}", same.stdout);

    let db = Connection::open(home.db()).unwrap();
    for (from, to) in [("second", "sec0nd"), ("{", "[")] {
        let seq = edit(&db, from, to);
        let first = home.executus(&["replay", "r"]).expect(1).stdout;
        assert!(first.starts_with("differs at record "), "{first}");
        if from == "second" {
            assert!(first.starts_with(&format!("differs at record {seq}: ")), "{first}");
        }
    }
}

#[test]
fn an_unknown_run_is_2() {
    let home = Home::new();
    for command in ["replay", "explain"] {
        let said = home.executus(&[command, "nobody"]).expect(2);
        assert!(said.stderr.contains("executus runs"), "{}", said.stderr);
    }
    home.playbook(BOOK);
    home.executus(&["run", "book.toml"]).expect(0);
    for command in ["replay", "explain"] {
        home.executus(&[command, "nobody"]).expect(2);
    }
}

/// Changes a text in the last fact of the journal that holds it; the number of that record.
fn edit(db: &Connection, from: &str, to: &str) -> i64 {
    let holds = "instr(fact, ?1) > 0";
    let seq = db
        .query_row(&format!("SELECT max(seq) FROM journal WHERE {holds}"), [from], |row| row.get(0))
        .unwrap();
    db.execute(
        &format!("UPDATE journal SET fact = replace(fact, ?1, ?2) WHERE {holds} AND seq = ?3"),
        (from, to, seq),
    )
    .unwrap();
    seq
}
