//! `sim`, `bench` and `soak`: binaries of executus-tests, built in release and handed the rest of
//! the command line. Their stdout passes through untouched: scripts read its last line.

use std::path::Path;
use std::process::ExitCode;

use crate::command;
use crate::error::Error;

/// Runs the binary and ends with its exit code.
pub(crate) fn run(root: &Path, name: &str, args: &[String]) -> Result<ExitCode, Error> {
    if name == "soak" && args.first().is_none_or(|a| a.starts_with('-')) {
        return Err(Error::Usage("which one? `cargo xtask soak NAME [ARGS...]`".to_owned()));
    }
    if !exists(root, name) {
        return Err(Error::Missing(format!("there is no {name} yet: {} is missing", source(name))));
    }
    if name == "soak" && args.first().is_some_and(|soak| soak == "kill9") {
        // The host itself, which is looked for beside the soak.
        let build = ["build", "--release", "-q", "-p", "executus", "--bin", "executus"];
        command::must(root, "cargo", &build, &[])?;
    }
    let mut line = vec!["run", "--release", "-q", "-p", "executus-tests", "--bin", name];
    if name == "bench" {
        // Measured as a host is built: without a clock that tests can pause.
        line.push("--no-default-features");
    }
    line.push("--");
    line.extend(args.iter().map(String::as_str));
    let status = command::show(root, "cargo", &line, &[])?;
    if name == "soak" {
        println!("commit {}", commit(root)?);
    }
    // A child killed by a signal has no code; it has not succeeded.
    let code = status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Whether the binary's source is there.
pub(crate) fn exists(root: &Path, name: &str) -> bool {
    root.join(source(name)).is_file()
        || root.join(format!("tests/src/bin/{name}/main.rs")).is_file()
}

/// Where the binary's source is looked for.
pub(crate) fn source(name: &str) -> String {
    format!("tests/src/bin/{name}.rs")
}

/// The commit the figures belong to; a changed tree says so, because its figures cannot be repeated.
fn commit(root: &Path) -> Result<String, Error> {
    let id = command::capture(root, "git", &["rev-parse", "HEAD"])?;
    let changed = command::capture(root, "git", &["status", "--porcelain", "-uno"])?;
    let note = if changed.trim().is_empty() { "" } else { " with local changes" };
    Ok(format!("{}{note}", id.trim()))
}
