//! `executus.toml`.

use std::fs;

use crate::support::Home;

const BOOK: &str = r#"
[[tool]]
name = "say"
kind = "process"
argv = ["echo", "done"]
[[step]]
id = "one"
tool = "say"
on_failure = "abort"
"#;

/// The nearest file counts, from the working directory up; its paths begin at its own folder.
#[test]
fn the_nearest_file_is_read() {
    let home = Home::new();
    let book = home.playbook(BOOK);
    let below = home.path().join("below/further");
    fs::create_dir_all(&below).unwrap();
    home.file("executus.toml", "db = \"kept/runs.db\"\n");
    let run = |folder: &std::path::Path| {
        let mut command = home.command();
        command.current_dir(folder).args(["run", book.to_str().unwrap()]);
        assert!(command.output().unwrap().status.success());
    };
    run(&below);
    assert!(home.path().join("kept/runs.db").exists());
    home.file("below/executus.toml", "");
    run(&below);
    assert!(home.db().exists(), "the nearest file names no database");
    let listed = home.executus(&["runs", "--json"]).expect(0).stdout;
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

/// Without one in the project, the one of the user counts; what the command line says comes first.
#[test]
fn the_file_of_the_user_is_the_last() {
    let home = Home::new();
    let book = home.playbook(BOOK);
    let book = book.to_str().unwrap();
    fs::create_dir_all(home.path().join(".config/executus")).unwrap();
    home.file(".config/executus/executus.toml", "db = \"user.db\"\n");
    home.executus(&["run", book]).expect(0);
    assert!(home.path().join(".config/executus/user.db").exists());
    home.executus(&["run", book, "--db", "own.db"]).expect(0);
    assert!(home.path().join("own.db").exists());
    home.file("other.toml", "db = \"other.db\"\n");
    home.executus(&["--config", "other.toml", "run", book]).expect(0);
    assert!(home.path().join("other.db").exists());
}

/// A mistake is told with its place, and nothing runs.
#[test]
fn a_mistake_is_told_with_its_place() {
    let home = Home::new();
    let book = home.playbook(BOOK);
    home.file("executus.toml", "\ndatabase = \"x\"\n");
    let said = home.executus(&["run", book.to_str().unwrap()]).expect(2);
    assert!(said.stderr.contains("executus.toml:2:1: unknown field `database`"), "{}", said.stderr);
    let said = home.executus(&["--config", "none.toml", "runs"]).expect(2);
    assert!(said.stderr.contains("none.toml: no such file"), "{}", said.stderr);
    assert!(!home.db().exists());
}
