//! Policies and absences as the scripts read them: whole numbers of microseconds.

use std::fmt::Write as _;
use std::time::Duration;

use executus_circuit::{Absence, Outcome, Policy};

/// A window has so many buckets, as in the record that `Breaker` writes.
const BUCKETS: u128 = 30;
/// The longest time that is sent: a hundred years, which no number of a script loses.
const LONGEST: u128 = 100 * 366 * 86_400 * 1_000_000;

pub(crate) fn micros(time: Duration) -> String {
    time.as_micros().min(LONGEST).to_string()
}

pub(crate) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Neutral => "neutral",
    }
}

pub(crate) const fn flag(is: bool) -> &'static str {
    if is { "1" } else { "0" }
}

/// The policy with the cooldowns that this draw gives, by failures since the opening: the last one
/// goes on for ever. So the arithmetic of cooldowns stays in one place.
pub(crate) fn policy(policy: &Policy, draw: f64) -> String {
    let width = policy.window().map_or(0, |window| window.as_micros().max(BUCKETS) / BUCKETS);
    let mut text = format!(
        "{} {width} {} {} {} {} {}",
        policy.consecutive(),
        policy.window_samples(),
        policy.window_ratio(),
        policy.dormant_after(),
        micros(policy.dormant()),
        micros(policy.forced_dormant()),
    );
    let last = policy.nominal_cooldown(u32::MAX);
    for nth in 1..=policy.dormant_after() {
        // Writing to a string does not fail.
        let _ = write!(text, " {}", micros(policy.cooldown(nth, draw)));
        if policy.nominal_cooldown(nth) == last {
            break;
        }
    }
    text
}

pub(crate) fn absence(absence: &Absence) -> Vec<String> {
    let standing = &absence.standing;
    let mut args = vec![
        absence.id.to_string(),
        absence.owner.as_str().to_owned(),
        flag(absence.answered).to_owned(),
        absence.trailing.to_string(),
        standing.state.as_str().to_owned(),
        standing.failure_count.to_string(),
        standing.probe_count.to_string(),
        micros(standing.next_probe),
    ];
    for sample in &absence.samples {
        args.push(micros(sample.age));
        args.push(sample.successes.to_string());
        args.push(sample.failures.to_string());
    }
    args
}
