//! A home for the binary, and the processes that run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

mod scene;

pub(crate) use scene::{Explained, KEY, Scene, Started, WAYS, Way, at_once};

/// A folder of its own with a data folder in it.
pub(crate) struct Home(TempDir);

/// What a finished process said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path().join("data/executus/executus.db")
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A playbook with these tools, steps and output.
    pub(crate) fn playbook(&self, rest: &str) -> PathBuf {
        self.file("book.toml", &format!("kind = \"playbook\"\nname = \"book\"\n{rest}"))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_executus"));
        command
            .current_dir(self.path())
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("EXECUTUS_LOG")
            .stdin(Stdio::null());
        for variable in scene::VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn executus(&self, args: &[&str]) -> Said {
        Said::from(self.command().args(args).output().unwrap())
    }

    /// Starts `executus run` and waits until the playbook says that it is in its tool.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let there = self.path().join("there");
        let child = self
            .command()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        eventually("the tool runs", || {
            std::fs::read_to_string(&there).is_ok_and(|pid| pid.ends_with('\n'))
        });
        child
    }

    /// A playbook that sleeps in its only step, and says when it does.
    pub(crate) fn sleeper(&self, extra: &str) -> PathBuf {
        self.playbook(&format!(
            "{extra}\n\
             [[tool]]\nname = \"wait\"\nkind = \"process\"\n\
             argv = [\"sh\", \"-c\", \"echo $$ > there; sleep 60\"]\n\
             [[step]]\nid = \"wait\"\ndescription = \"Wait\"\ntool = \"wait\"\non_failure = \"abort\"\n"
        ))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;

        let code = output
            .status
            .code()
            .unwrap_or_else(|| panic!("ended by signal {:?}: {output:?}", output.status.signal()));
        Self {
            code,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON, a value a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The last line of `run --json`.
    pub(crate) fn last(&self) -> Value {
        self.json().pop().unwrap()
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

pub(crate) fn end(child: Child) -> Said {
    Said::from(child.wait_with_output().unwrap())
}

/// Waits until a condition holds, for 10 s at most: other processes send no events.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "no runtime here, and nothing to await")]
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 10 s: {what}");
}

/// Runs git and gives what it prints.
pub(crate) fn git(repo: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(repo)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
