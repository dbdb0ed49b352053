//! A client on a simulated network.

use executus_tests::soak::network::run;

/// Some schedules of drops, stalls, restarts, deaths, cuts and callers that give up; `soak network`
/// has twenty thousand.
#[test]
fn schedules_of_a_network() {
    for seed in 0..24 {
        if let Err(violation) = run(seed) {
            panic!("{violation}");
        }
    }
}
