//! Connections that are dropped in bursts by a healthy server, and a server that dies.

use std::path::Path;

use executus_tests::soak::{Asked, bursts};

/// DG-06, DG-16: `soak bursts` has 10,000 requests at once.
#[test]
fn a_burst_of_drops_opens_nothing_and_a_dead_server_does() {
    let program = Path::new(env!("CARGO_BIN_EXE_soak"));
    let report = bursts::watch(Asked { seed: 0, count: 1 }, program, 300);
    assert!(report.violations.is_empty(), "{}: {:?}", report.done, report.violations);
}
