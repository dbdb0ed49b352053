//! What a run weighs while it waits, and what is left of it afterwards.

use std::process::Command;

use super::{Figure, Report};

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    for (name, count) in
        [("memory.parked_kib_10k", 10_000_u32), ("memory.parked_kib_100k", 100_000)]
    {
        if report.wants(name) {
            let lines = child("parked", count)?;
            let bytes = field(&lines, 0, "bytes")?;
            if field(&lines, 1, "cancelled")? != f64::from(count) {
                return Err("a parked run was not cancelled".into());
            }
            report.add(&Figure::at_most(name, bytes / 1024.0, 2.5));
        }
    }
    let name = "memory.resident_1m_over_10k_runs";
    if report.wants(name) {
        let lines = child("finished", 1_000_000)?;
        let ratio = field(&lines, 1, "resident")? / field(&lines, 0, "resident")?;
        report.add(&Figure::at_most(name, ratio, 1.02));
    }
    Ok(())
}

fn child(what: &str, count: u32) -> Result<Vec<serde_json::Value>, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(this)
        .args(["--child", what, &count.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
}

fn field(lines: &[serde_json::Value], line: usize, name: &str) -> Result<f64, String> {
    let value = lines.get(line).and_then(|line| line.get(name)).and_then(|value| value.as_f64());
    value.ok_or_else(|| format!("the child process did not print `{name}`"))
}
