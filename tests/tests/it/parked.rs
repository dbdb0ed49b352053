//! Very many runs at once.

use executus_tests::soak::parked::park;

/// RK-12: ten thousand runs parked in the model call: each is cancelled, each is recorded. `soak
/// parked` has a hundred thousand.
#[test]
fn every_parked_run_can_be_cancelled() {
    let broken = park(10_000);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
