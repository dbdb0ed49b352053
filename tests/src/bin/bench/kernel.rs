//! What control costs: instructions and time of a run without ports, against a bare loop.

use std::process::Command;
use std::time::Instant;

use executus_core::{Executor, Ports};

use super::child::{Bench, runtime};
use super::{Figure, Report, figure};

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    if report.wants("kernel.instructions") {
        instructions(report)?;
    }
    if report.wants("kernel.time") {
        times(report);
    }
    Ok(())
}

fn instructions(report: &mut Report<'_>) -> Result<(), String> {
    let one = per_run("controlled", 1)?;
    let bare = per_run("bare", 1)?;
    report.add(&Figure::at_most("kernel.instructions.turn1", one, 10_000.0));
    report.add(&Figure::at_most("kernel.instructions.turn1_above_bare", one - bare, 4_000.0));
    let ten = per_run("controlled", 10)?;
    report.add(&Figure::at_most("kernel.instructions.turn10", ten, 80_000.0));
    let marginal = |turns: usize| -> Result<f64, String> {
        Ok((per_run("controlled", turns + 20)? - per_run("controlled", turns)?) / 20.0)
    };
    let (early, late) = (marginal(5)?, marginal(400)?);
    report.add(&Figure::at_most("kernel.instructions.marginal_400_over_5", late / early, 1.3));
    Ok(())
}

/// Instructions of one run: what twice the runs cost more than once.
fn per_run(what: &str, turns: usize) -> Result<f64, String> {
    let runs = (400 / turns).max(20);
    let once = count(what, runs, turns)?;
    let twice = count(what, 2 * runs, turns)?;
    Ok(twice.saturating_sub(once) as f64 / runs as f64)
}

fn count(what: &str, runs: usize, turns: usize) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["--child", what, &runs.to_string(), &turns.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}; run `cargo xtask setup`"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    collected
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind gave no count: {text}"))
}

fn times(report: &mut Report<'_>) {
    let runtime = runtime();
    for (name, turns, bar) in
        [("kernel.time.turn1_over_bare", 1, 5.0), ("kernel.time.turn10_over_bare", 10, 2.0)]
    {
        let bench = Bench::new(Executor::new(Ports::default()), turns);
        let mut ratios = Vec::new();
        // Short turns, so that what else the machine does meets both.
        for _ in 0..99 {
            let controlled = runtime.block_on(async {
                let began = now();
                for _ in 0..400 {
                    bench.controlled().await;
                }
                began.elapsed()
            });
            let bare = runtime.block_on(async {
                let began = now();
                for _ in 0..400 {
                    bench.bare().await;
                }
                began.elapsed()
            });
            ratios.push(controlled.as_secs_f64() / bare.as_secs_f64());
        }
        report.add(&Figure::at_most(name, figure::median(ratios), bar));
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
