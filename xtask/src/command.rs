//! Starting other programs, with the command line kept for messages.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::error::Error;

/// The command as a user would type it.
pub(crate) fn line(program: &str, args: &[&str]) -> String {
    let quoted = args.iter().map(|a| {
        if a.is_empty() || a.contains(char::is_whitespace) {
            format!("'{a}'")
        } else {
            (*a).to_owned()
        }
    });
    std::iter::once(program.to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// Runs with output shown as it comes and without input: nothing here may wait for a person.
pub(crate) fn show(
    root: &Path,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
) -> Result<ExitStatus, Error> {
    Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .map_err(|source| Error::Start { command: line(program, args), source })
}

/// Like [`show`], but a non-zero exit is an error.
pub(crate) fn must(
    root: &Path,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
) -> Result<(), Error> {
    let status = show(root, program, args, env)?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Failed { command: line(program, args), detail: status.to_string() })
    }
}

/// Runs and returns stdout; stderr becomes the error's text.
pub(crate) fn capture(root: &Path, program: &str, args: &[&str]) -> Result<String, Error> {
    let output = Command::new(program)
        .args(args)
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { command: line(program, args), source })?;
    if !output.status.success() {
        let detail = format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        return Err(Error::Failed { command: line(program, args), detail });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the program can be started and says success, silently.
pub(crate) fn works(root: &Path, program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_can_be_typed_again() {
        assert_eq!(
            line("cargo", &["clippy", "--", "-D", "warnings"]),
            "cargo clippy -- -D warnings"
        );
        assert_eq!(line("sh", &["-c", "a b", ""]), "sh -c 'a b' ''");
    }
}
