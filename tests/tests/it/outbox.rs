//! A slice of the soak of the outbox.

use std::path::Path;

use executus_tests::soak::{Asked, outbox};

/// DV-02: three hundred deliveries to a receiver that drops, delays, answers 500 and dies, by a
/// process that is killed with -9: none is lost, and what comes twice has one key. `soak outbox` has
/// ten thousand.
#[test]
fn nothing_acknowledged_is_lost() {
    let program = Path::new(env!("CARGO_BIN_EXE_soak"));
    let (figures, broken) = outbox::watch(Asked { seed: 3, count: 300 }, program).unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(figures.arrivals >= 300 && figures.requests > figures.arrivals, "{figures:?}");
    assert!(figures.kills >= 1, "{figures:?}");
}
