//! A folder with a store, a configuration and the host's program.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// The key of the anchor.
pub(super) const KEY: &str = "a key of more than thirty-two bytes, for this soak alone";

/// Where the runs are.
pub(super) struct Home {
    folder: TempDir,
    program: PathBuf,
}

/// What a process that ended said.
#[derive(Debug)]
#[expect(dead_code, reason = "all of it is shown with a violation")]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Home {
    pub(super) fn new(program: PathBuf, budget: Option<&str>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let budget = budget.map_or(String::new(), |url| {
            format!(
                "[budget]\nstore = \"{url}\"\nseed_if_empty = true\n\
                 [[budget.limit]]\nwindow = \"total\"\nruns = 100\n"
            )
        });
        // Killed so often, a run would be left alone as one that kills its worker.
        let config = format!(
            "db = \"runs.db\"\n[checkpoint]\nattempt_limit = 0\n[audit]\nanchor = \"anchor\"\nanchor_key_env = \"KILL9_KEY\"\n{budget}"
        );
        let home = Self { folder, program };
        home.file("executus.toml", &config)?;
        Ok(home)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn db(&self) -> PathBuf {
        self.path().join("runs.db")
    }

    pub(super) fn anchor(&self) -> PathBuf {
        self.path().join("anchor")
    }

    pub(super) fn file(&self, name: &str, text: &str) -> Result<(), String> {
        std::fs::write(self.path().join(name), text).map_err(|error| error.to_string())
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(self.path())
            .env("KILL9_KEY", KEY)
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(super) async fn say(&self, args: &[&str]) -> Result<Said, String> {
        let output = self.command(args).output().await.map_err(|error| error.to_string())?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
