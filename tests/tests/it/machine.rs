//! The run machine under every sequence of facts.

use executus_tests::soak::machine::{walk, walk_some};

/// Six facts deep with all ports, three deep with every choice of them; `soak machine` walks
/// eight facts with every choice.
#[test]
fn every_sequence_of_facts_keeps_the_promises() {
    for (walked, states) in [(walk_some(&[63], 6), 1_000), (walk(3), 5_000)] {
        assert!(walked.violations.is_empty(), "{}", walked.violations.join("\n"));
        assert!(walked.states > states, "{walked:?}");
    }
}
