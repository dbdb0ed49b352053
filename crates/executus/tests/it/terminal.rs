//! Progress in a terminal.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::Home;

const BOOK: &str = r#"
[[tool]]
name = "nap"
kind = "process"
argv = ["sleep", "0.5"]
effect = "read_only"
[[step]]
id = "nap"
description = "Take a nap"
tool = "nap"
on_failure = "abort"
"#;

/// Runs the playbook with its standard error in a terminal; what the terminal gets.
fn in_terminal(environment: &[(&str, &str)]) -> String {
    let home = Home::new();
    home.playbook(BOOK);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let name = std::ffi::OsStr::from_bytes(name.to_bytes());
    let screen = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut child = home
        .command()
        .args(["run", "book.toml"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .stderr(screen)
        .spawn()
        .unwrap();
    let mut terminal = File::from(terminal);
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // The terminal ends with an error when its last writer is gone.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_line_is_drawn_and_written_over() {
    let shown = in_terminal(&[]);
    let drawn = shown.matches("\r\u{1b}[2K").count();
    assert!(drawn >= 3, "drawn {drawn} times: {shown:?}");
    assert!(shown.contains("\u{1b}[32mok\u{1b}[0m"), "{shown:?}");
}

#[test]
fn colours_are_left_out_on_request() {
    let shown = in_terminal(&[("NO_COLOR", "1")]);
    assert!(shown.contains("\r\u{1b}[2K") && !shown.contains("\u{1b}[3"), "{shown:?}");
    let shown = in_terminal(&[("TERM", "dumb")]);
    assert!(shown.contains("Take a nap … ok") && !shown.contains('\u{1b}'), "{shown:?}");
}
