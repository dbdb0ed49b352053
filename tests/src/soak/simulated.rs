//! The simulator, by many seeds and against an executor that is broken on purpose.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use executus_testkit::sim;
use parking_lot::Mutex;

use super::{Asked, Report};

/// Simulates seeds on all cores. Returns what broke the rules, with the seeds that show it.
#[must_use]
pub fn seeds(first: u64, count: u64) -> Vec<String> {
    let (next, violations) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let seed = first.wrapping_add(at);
                    let simulated = std::panic::catch_unwind(|| sim::simulate(seed));
                    let broken = simulated.unwrap_or_else(|_| vec!["a panic came out".into()]);
                    let broken = broken.into_iter().map(|what| format!("seed {seed}: {what}"));
                    violations.lock().extend(broken);
                }
            });
        }
    });
    violations.into_inner()
}

pub(super) fn soak(asked: Asked) -> Report {
    let violations = seeds(asked.seed, asked.count);
    Report { done: format!("{} seeds from {}", asked.count, asked.seed), violations }
}

/// Builds the simulator with a broken settle order, and expects it to find that.
pub(super) fn broken_order(asked: Asked) -> Report {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (count, seed) = (asked.count.to_string(), asked.seed.to_string());
    let line = ["run", "--release", "-q", "-p", "executus-tests", "--bin", "sim", "--"];
    let simulated = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(line)
        .args(["--seeds", &count, "--seed", &seed])
        .env("RUSTFLAGS", "--cfg executus_broken_order")
        .env("CARGO_TARGET_DIR", root.join("target/broken-order"))
        .current_dir(&root)
        .output();
    let output = match simulated {
        Ok(output) => output,
        Err(error) => return missed(format!("cargo does not start: {error}")),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().filter(|line| line.starts_with("seed ")).count();
    if found == 0 {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().chain(said.lines()).last().unwrap_or("nothing was said");
        return missed(format!("nothing was found in {count} seeds: {last}"));
    }
    let first = text.lines().next().unwrap_or_default();
    let done = format!("found by {found} violations in {count} seeds, the first: {first}");
    Report { done, violations: Vec::new() }
}

fn missed(what: String) -> Report {
    Report { done: "a broken settle order was not found".into(), violations: vec![what] }
}
