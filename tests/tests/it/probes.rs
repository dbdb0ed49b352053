//! One probe for a fleet of processes.

use std::path::Path;

use executus_tests::soak::{Asked, probes};

/// S3: callers in several processes and a dead peer: one probe at a time reaches it, and the place
/// of one that is killed, panics, is dropped or is answered 4xx comes back. `soak probes` has 1,000
/// callers in 8 processes.
#[test]
fn one_probe_at_a_time_reaches_the_peer() {
    let program = Path::new(env!("CARGO_BIN_EXE_soak"));
    let report = probes::watch(Asked { seed: 0, count: 16 }, program, 3, 40);
    assert!(report.violations.is_empty(), "{}: {:?}", report.done, report.violations);
}
