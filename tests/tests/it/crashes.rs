//! Crashes while a run settles, then a boot.

use executus_tests::soak::crashes::{Crashed, between_phases};

fn holds(crashed: &Crashed, runs: u64) {
    assert!(crashed.violations.is_empty(), "{}", crashed.violations.join("\n"));
    assert_eq!(crashed.runs, runs);
}

/// RK-10, CK-03, DV-02: a crash between any two phases of settling, dropped or killed, then a boot:
/// one close, one settlement, no delivery under another key, and nothing is kept.
#[test]
fn between_any_two_phases() {
    holds(&between_phases(false), 4 * 2 * 10);
}

/// The same when the life that the boot began crashes there too.
#[test]
fn in_two_lives() {
    holds(&between_phases(true), 4 * 2 * 10 * 10);
}
