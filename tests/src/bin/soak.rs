//! The long form of a test: `cargo xtask soak NAME [--seeds N | --count N] [--seed S]`.
//!
//! Says what it does, from which seed and how often; the last line is the verdict.

#![expect(clippy::print_stdout, reason = "the report is the output")]
#![expect(clippy::print_stderr, reason = "a message for whoever runs it")]

use std::process::ExitCode;

use executus_tests::soak::{Asked, SOAKS, budget, bursts, outbox, probes};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    if name == budget::WORKER {
        let rest: Vec<String> = args.collect();
        return budget::work(&rest);
    }
    if name == outbox::SENDER {
        return outbox::send(&args.collect::<Vec<_>>());
    }
    if name == outbox::RECEIVER {
        return outbox::receive(&args.collect::<Vec<_>>());
    }
    if name == bursts::PROCESS {
        return bursts::process();
    }
    if name == probes::PROCESS {
        std::panic::set_hook(Box::new(|_| {}));
        return probes::process(&args.collect::<Vec<_>>());
    }
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == name) else {
        eprintln!("soak: there is no `{name}`; there are:");
        for soak in SOAKS {
            eprintln!("  {:<14} {} ({} by default)", soak.name, soak.what, soak.count);
        }
        return ExitCode::from(2);
    };
    let asked = match arguments(args, soak.count) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("soak: {error}; usage: soak NAME [--seeds N | --count N] [--seed S]");
            return ExitCode::from(2);
        }
    };
    // Panics are planned here by the thousand; those that matter become violations.
    std::panic::set_hook(Box::new(|_| {}));
    println!("{}: {}; seed {}, count {}", soak.name, soak.what, asked.seed, asked.count);
    let report = (soak.run)(asked);
    for what in report.violations.iter().take(50) {
        println!("violation: {what}");
    }
    println!("{}: {}, {} violations", soak.name, report.done, report.violations.len());
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments(mut args: impl Iterator<Item = String>, count: u64) -> Result<Asked, String> {
    let mut asked = Asked { seed: 0, count };
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
        let number = value.parse::<u64>().map_err(|error| format!("{arg} {value}: {error}"))?;
        match arg.as_str() {
            "--seeds" | "--count" => asked.count = number,
            "--seed" => asked.seed = number,
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(asked)
}
