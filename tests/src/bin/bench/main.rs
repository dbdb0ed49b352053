//! The figures of the project, as ratios and instruction counts: `cargo xtask bench [NAME…] [--json]`.
//!
//! A figure is named `group.what`. Each is measured in this run, beside its yardstick: instructions
//! by valgrind over two lengths of the same work, times as medians of interleaved pairs, memory as
//! the resident set of a child process.

use std::process::ExitCode;

mod audit;
mod bare;
mod budget;
mod capability;
mod child;
mod figure;
mod http;
mod kernel;
mod memory;

use figure::{Figure, Report};

/// Measures some figures and adds them to the report.
type Group = fn(&mut Report<'_>) -> Result<(), String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--child", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        child::perform(rest);
        return ExitCode::SUCCESS;
    }
    let json = args.iter().any(|arg| arg == "--json");
    let names: Vec<&str> =
        args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    let mut report = Report::new(json, &names);
    let groups: [Group; 6] = [
        kernel::measure,
        memory::measure,
        audit::measure,
        capability::measure,
        http::measure,
        budget::measure,
    ];
    for group in groups {
        if let Err(error) = group(&mut report) {
            figure::complain(&error);
            return ExitCode::from(2);
        }
    }
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
