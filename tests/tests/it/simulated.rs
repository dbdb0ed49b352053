//! The simulator, a slice of it.

use executus_tests::soak::simulated::seeds;
use executus_tests::soak::stage::paused;

/// RK-10: whole runs under schedules of faults, cancels, drops, shutdowns and crashes; `soak sim`
/// has a hundred thousand.
#[test]
fn five_hundred_seeds() {
    // Keeps the planned panics from being shown.
    paused(async {});
    let violations = seeds(0, 500);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
