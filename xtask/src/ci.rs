//! All checks in one order, cheap ones first; the first failure ends it with its name and the
//! command that repeats it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::command;
use crate::error::Error;
use crate::{api, deps, licences, relay, setup, size, tidy};

/// Seeds of the simulator in every run; the long form is `cargo xtask sim --seeds 100000`.
const SEEDS: &str = "2000";

/// What a step does.
enum Work {
    /// A check of this program, repeated by `cargo xtask NAME`.
    Own(fn(&Path) -> Result<(), Error>),
    /// A cargo command with its environment. RUSTFLAGS is the same for all of them: a change of it
    /// would build everything again.
    Cargo(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// Not possible in this tree, with the reason.
    Skip(String),
}

struct Step {
    name: &'static str,
    work: Work,
}

struct Outcome {
    name: &'static str,
    took: Duration,
    note: &'static str,
}

/// Runs the steps. With `quick`, without rustdoc, simulator and bench build.
pub(crate) fn run(root: &Path, quick: bool) -> Result<ExitCode, Error> {
    let mut outcomes = Vec::new();
    let mut failed = None;
    for step in steps(root, quick) {
        println!("\n== {}", step.name);
        let start = now();
        let result = perform(root, &step.work);
        let note = match (&step.work, &result) {
            (Work::Skip(_), _) => "skipped",
            (_, Ok(())) => "ok",
            (_, Err(_)) => "FAILED",
        };
        outcomes.push(Outcome { name: step.name, took: start.elapsed(), note });
        if let Err(error) = result {
            failed = Some((step, error));
            break;
        }
    }
    table(&outcomes);
    if let Some((step, error)) = &failed {
        println!("{error}\n\nfailed: {}\nrepeat: {}\n", step.name, repeat(step));
    }
    let passed = outcomes.iter().filter(|o| o.note == "ok").count();
    println!("ci: {passed} passed, {} failed", usize::from(failed.is_some()));
    Ok(ExitCode::from(u8::from(failed.is_some())))
}

#[rustfmt::skip]
fn steps(root: &Path, quick: bool) -> Vec<Step> {
    let step = |name, work| Step { name, work };
    let nextest = command::works(root, "cargo", &["nextest", "--version"]);
    let tests: &[&str] = if nextest {
        &["nextest", "run", "--locked", "--workspace"]
    } else {
        // Doc tests are a step of their own.
        &["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--examples"]
    };
    let mut steps = vec![
        step("setup", Work::Own(setup::run)),
        step("fmt", Work::Cargo(&["fmt", "--all", "--check"], &[])),
        step("deps", Work::Own(deps::run)),
        step("licences", Work::Own(licences::run)),
        step("api", Work::Own(api::run)),
        step("tidy", Work::Own(tidy::run)),
        step("size", Work::Own(size::run)),
        step("clippy", Work::Cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"], &[])),
        step("clippy-light-core", Work::Cargo(&["clippy", "--locked", "-p", "executus-core", "--no-default-features", "--", "-D", "warnings"], &[])),
        step("rustdoc", Work::Cargo(&["doc", "--locked", "--no-deps", "--workspace"], &[("RUSTDOCFLAGS", "-D warnings")])),
        step("tests", Work::Cargo(tests, &[])),
        step("doc-tests", Work::Cargo(&["test", "--locked", "--workspace", "--doc", "-q"], &[])),
    ];
    if quick {
        return steps;
    }
    steps.push(step("simulator", needs(root, "sim", &["run", "--locked", "--release", "-q", "-p", "executus-tests", "--bin", "sim", "--", "--seeds", SEEDS])));
    steps.push(step("bench-build", needs(root, "bench", &["build", "--locked", "--release", "-p", "executus-tests", "--bin", "bench", "--no-default-features"])));
    steps
}

fn needs(root: &Path, binary: &str, args: &'static [&'static str]) -> Work {
    if relay::exists(root, binary) {
        Work::Cargo(args, &[])
    } else {
        Work::Skip(format!("skipped: {} does not exist yet", relay::source(binary)))
    }
}

fn perform(root: &Path, work: &Work) -> Result<(), Error> {
    match work {
        Work::Own(check) => check(root),
        Work::Cargo(args, env) => command::must(root, "cargo", args, env),
        Work::Skip(reason) => {
            println!("{reason}");
            Ok(())
        }
    }
}

fn repeat(step: &Step) -> String {
    match &step.work {
        Work::Own(_) | Work::Skip(_) => format!("cargo xtask {}", step.name),
        Work::Cargo(args, env) => {
            let set: String = env.iter().map(|(k, v)| format!("{k}='{v}' ")).collect();
            format!("{set}{}", command::line("cargo", args))
        }
    }
}

fn table(outcomes: &[Outcome]) {
    println!("\n{:<20} {:>8}", "step", "seconds");
    for o in outcomes {
        println!("{:<20} {:>8.1}  {}", o.name, o.took.as_secs_f64(), o.note);
    }
    let total: Duration = outcomes.iter().map(|o| o.took).sum();
    println!("{:<20} {:>8.1}\n", "all", total.as_secs_f64());
}

#[expect(clippy::disallowed_methods, reason = "times the steps for a person to read")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::{Step, Work, repeat, steps};
    use crate::scratch::Scratch;

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let own = Step { name: "tidy", work: Work::Own(|_| Ok(())) };
        assert_eq!(repeat(&own), "cargo xtask tidy");
        let cargo = Step {
            name: "rustdoc",
            work: Work::Cargo(&["doc", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]),
        };
        assert_eq!(repeat(&cargo), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn what_does_not_exist_yet_is_skipped_and_not_passed() {
        let tree = Scratch::with(&[("tests/src/bin/bench.rs", "fn main() {}")]);
        let steps = steps(tree.root(), false);
        let skipped: Vec<&str> =
            steps.iter().filter(|s| matches!(s.work, Work::Skip(_))).map(|s| s.name).collect();
        assert_eq!(skipped, ["simulator"]);
    }

    #[test]
    fn quick_ends_with_the_tests() {
        let tree = Scratch::with(&[]);
        assert_eq!(steps(tree.root(), true).last().map(|s| s.name), Some("doc-tests"));
    }
}
