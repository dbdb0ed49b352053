//! `cargo xtask`: everything the workspace checks about itself, as code.
//!
//! `ci` is the whole; every other command is one part of it, so that a failing step can be
//! repeated alone. The checks read the source tree and `cargo metadata`; none of them needs the
//! workspace to compile, and none of them knows what the crates do.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod api;
mod ci;
mod command;
mod deps;
mod error;
mod fault;
mod licences;
mod relay;
#[cfg(test)]
mod scratch;
mod setup;
mod size;
mod tidy;
mod tree;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use error::Error;

const USAGE: &str = "\
cargo xtask COMMAND

  setup                       install what the tests need, or say what to type
  ci [--quick]                everything below that has a verdict, and the tests;
                              --quick leaves out the simulator and the bench build
  deps                        who may depend on whom; how many crates the core pulls
  licences                    licences and sources of third-party crates (deny.toml)
  api                         every dependency of a library is classified public or private
  tidy [--cases]              rules over the source tree; --cases lists behaviour cases
  size                        line counts against the ratchet in xtask/size.toml
  sim --seeds N [--seed S]    the simulator, in release
  soak NAME [ARGS...]         the long form of a test; prints the commit
  bench [NAME...] [--json]    the published figures
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.code())
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode, Error> {
    let root = workspace::root();
    let (name, rest) = args.split_first().map_or(("help", args), |(n, r)| (n.as_str(), r));
    match name {
        "setup" => only(rest, &[]).and_then(|()| setup::run(&root)),
        "ci" => {
            only(rest, &["--quick"])?;
            return ci::run(&root, !rest.is_empty());
        }
        "deps" => only(rest, &[]).and_then(|()| deps::run(&root)),
        "licences" => only(rest, &[]).and_then(|()| licences::run(&root)),
        "api" => only(rest, &[]).and_then(|()| api::run(&root)),
        "size" => only(rest, &[]).and_then(|()| size::run(&root)),
        "tidy" => {
            only(rest, &["--cases"])?;
            if rest.is_empty() { tidy::run(&root) } else { tidy::list_cases(&root) }
        }
        "sim" | "bench" | "soak" => return relay::run(&root, name, rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Error::Usage(format!("unknown command `{other}`\n\n{USAGE}"))),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Refuses arguments the command does not know: a misspelt `--quick` must not run something else.
fn only(args: &[String], known: &[&str]) -> Result<(), Error> {
    match args.iter().find(|a| !known.contains(&a.as_str())) {
        None => Ok(()),
        Some(arg) => Err(Error::Usage(format!("unknown argument `{arg}`\n\n{USAGE}"))),
    }
}

/// The path as the messages show it: relative to the workspace, with forward slashes.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
