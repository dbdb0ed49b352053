//! Simulates seeds: `cargo xtask sim --seeds N [--seed S]`.
//!
//! Prints each violation with the seed that shows it, and a last line `N seeds, V violations`.
//! `--seed S` alone replays one seed; with `--seeds` it is the first one.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use executus_testkit::sim::simulate;

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
    let next = AtomicU64::new(0);
    let violations = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let seed = first + at;
                    let simulated = std::panic::catch_unwind(|| simulate(seed));
                    let broken = simulated.unwrap_or_else(|_| vec!["a panic came out".into()]);
                    for what in &broken {
                        println!("seed {seed}: {what}");
                    }
                    violations.fetch_add(broken.len() as u64, Ordering::Relaxed);
                }
            });
        }
    });
    let violations = violations.into_inner();
    println!("{count} seeds, {violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
