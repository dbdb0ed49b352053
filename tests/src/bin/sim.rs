//! Simulates seeds: `cargo xtask sim --seeds N [--seed S]`.
//!
//! Prints each violation with the seed that shows it, and a last line `N seeds, V violations`.
//! `--seed S` alone replays one seed; with `--seeds` it is the first one.

use std::process::ExitCode;

use executus_tests::soak::simulated::seeds;

#[expect(clippy::print_stdout, reason = "the report is the output")]
#[expect(clippy::print_stderr, reason = "a message for whoever runs the simulator")]
fn main() -> ExitCode {
    let (first, count) = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("sim: {error}; usage: sim [--seeds N] [--seed S]");
            return ExitCode::from(2);
        }
    };
    // Panics are planned here by the thousand; those that matter become violations.
    std::panic::set_hook(Box::new(|_| {}));
    let violations = seeds(first, count);
    for violation in &violations {
        println!("{violation}");
    }
    println!("{count} seeds, {} violations", violations.len());
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments(mut args: impl Iterator<Item = String>) -> Result<(u64, u64), String> {
    let (mut first, mut count) = (None, None);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
        let number = value.parse::<u64>().map_err(|error| format!("{arg} {value}: {error}"))?;
        match arg.as_str() {
            "--seeds" => count = Some(number),
            "--seed" => first = Some(number),
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok((first.unwrap_or(0), count.unwrap_or(u64::from(first.is_some()).max(1))))
}
