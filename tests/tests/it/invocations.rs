//! Very many invocations of capabilities at once.

use executus_tests::soak::invocations::invoke;

/// AR-01, BR-05, CI-13: 64 invocations at once, 10,000 in all, half of whose callers may drop them at
/// any poll: one record each, and the budget is exact. `soak invocations` has a hundred thousand.
#[test]
fn every_invocation_is_recorded_and_the_budget_is_exact() {
    let (figures, broken) = invoke(7, 10_000).unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(figures.waited + figures.dropped, 10_000);
    assert!(figures.dropped > 1_000 && figures.served > 1_000, "{figures:?}");
}
