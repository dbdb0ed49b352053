//! What fails in the wake of a drop.

use executus_circuit::{Grace, Weight};
use executus_core::Timestamp;

/// So many milliseconds after the start.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis * 1_000)
}

/// DG-03: less than or exactly two seconds after the drop, held; a success forgets it, the end
/// without one counts it.
#[test]
fn a_failed_connect_within_the_window_is_held() {
    for after in [0, 1, 1_999, 2_000] {
        let mut grace = Grace::new();
        assert_eq!(grace.dropped(at(500)), Weight::Held);
        assert_eq!(grace.connect_failed(at(500 + after)), Weight::Held);
        assert_eq!((grace.held(), grace.due(at(2_500))), (1, 0), "nothing counts yet");
        let end = Timestamp::from_micros(2_500_001);
        assert_eq!(grace.next_due(), Some(end));
        let mut forgiven = grace;
        forgiven.succeeded_on_fresh(at(2_500));
        assert_eq!((forgiven.next_due(), forgiven.due(end)), (None, 0));
        assert_eq!((grace.due(end), grace.due(end)), (1, 0), "it counts once");
        assert_eq!(grace.next_due(), None);
    }
}

/// DG-04
#[test]
fn a_failed_connect_after_the_window_counts() {
    let mut grace = Grace::new();
    assert_eq!(grace.connect_failed(at(0)), Weight::Count, "there was no drop");
    grace.dropped(at(0));
    assert!(grace.is_open(at(2_000)));
    let later = Timestamp::from_micros(2_000_001);
    assert!(!grace.is_open(later));
    assert_eq!(grace.connect_failed(later), Weight::Count);
    assert_eq!(grace.held(), 0);
}

/// DG-06: ten drops, nothing counts.
#[test]
fn drops_do_not_count() {
    let mut grace = Grace::new();
    for _ in 0..10 {
        assert_eq!(grace.dropped(at(0)), Weight::Held);
    }
    assert_eq!((grace.held(), grace.next_due(), grace.due(at(60_000))), (0, None, 0));
}

/// DG-07
#[test]
fn siblings_that_are_refused_count_together_or_not_at_all() {
    let mut grace = Grace::new();
    grace.dropped(at(0));
    for sibling in 0..9 {
        assert_eq!(grace.connect_failed(at(sibling * 100)), Weight::Held);
        assert_eq!(grace.due(at(sibling * 100)), 0);
    }
    let mut answered = grace;
    answered.succeeded_on_fresh(at(1_500));
    assert_eq!((grace.due(at(2_001)), answered.due(at(2_001))), (9, 0));
}

/// DG-08: the window says whether clients are fresh and single-use.
#[test]
fn the_window_is_open_for_its_time_also_after_a_success() {
    let mut grace = Grace::new();
    assert!(!grace.is_open(at(0)));
    grace.dropped(at(0));
    grace.succeeded_on_fresh(at(100));
    assert!(grace.is_open(at(2_000)) && !grace.is_open(at(2_001)));
    // What fails in the wake is still held, and a success before it does not forgive it.
    assert_eq!(grace.connect_failed(at(200)), Weight::Held);
    assert_eq!(grace.due(at(2_001)), 1);
}

/// DG-11: what drops at one address says nothing of another.
#[test]
fn addresses_have_windows_of_their_own() {
    let (mut one, mut other) = (Grace::new(), Grace::new());
    one.dropped(at(0));
    assert_eq!(one.connect_failed(at(100)), Weight::Held);
    assert_eq!(other.connect_failed(at(100)), Weight::Count);
    other.succeeded_on_fresh(at(200));
    assert_eq!(one.due(at(3_000)), 1);
}

/// DG-16: one that drops everything every 1.9 s, for ever.
#[test]
fn drops_renew_the_window_for_ten_seconds_and_count_after_them() {
    let mut grace = Grace::new();
    let drops = (0..12).map(|drop| drop * 1_900);
    let counted: Vec<i64> = drops.filter(|&at_| grace.dropped(at(at_)) == Weight::Count).collect();
    assert_eq!(counted, [11_400, 13_300, 15_200, 17_100, 19_000, 20_900]);
    // The last renewal was at 9.5 s, and the window ended at 10 s.
    assert!(!grace.is_open(at(10_001)));
    assert_eq!(grace.connect_failed(at(11_500)), Weight::Count);
    // One answer, and it has its grace again.
    grace.succeeded_on_fresh(at(21_000));
    assert_eq!(grace.dropped(at(22_000)), Weight::Held);
    assert!(grace.is_open(at(24_000)));
}

/// DG-16: at exactly ten seconds the window is still open; a window never outlasts them.
#[test]
fn the_limit_is_inclusive_and_cuts_the_window() {
    let mut grace = Grace::new();
    grace.dropped(at(0));
    for millis in [1_500, 3_000, 4_500, 6_000, 7_500, 9_000] {
        grace.dropped(at(millis));
    }
    assert_eq!(grace.connect_failed(at(9_500)), Weight::Held);
    assert_eq!(grace.next_due(), Some(Timestamp::from_micros(10_000_001)));
    assert_eq!(grace.dropped(at(10_000)), Weight::Held);
    assert!(grace.is_open(at(10_000)) && !grace.is_open(at(10_001)));
    assert_eq!((grace.due(at(10_000)), grace.due(at(10_001))), (0, 1));
    assert_eq!(grace.dropped(at(10_001)), Weight::Count);
}

/// DG-16: pauses between the drops do not help a peer that never answers.
#[test]
fn a_peer_that_drops_rarely_and_never_answers_is_found_out_too() {
    let mut grace = Grace::new();
    assert_eq!(grace.dropped(at(0)), Weight::Held);
    assert_eq!(grace.dropped(at(60_000)), Weight::Count);
    // An answer on a connection from before is an answer, though it forgives nothing.
    grace.succeeded(at(61_000));
    assert_eq!(grace.dropped(at(62_000)), Weight::Held);
    assert_eq!(grace.connect_failed(at(62_100)), Weight::Held);
    grace.succeeded(at(62_200));
    assert_eq!(grace.due(at(64_001)), 1);
}

/// DG-03: what a window held still counts when nobody asked before the next drop or success.
#[test]
fn a_later_window_does_not_swallow_what_an_earlier_one_held() {
    let mut grace = Grace::new();
    grace.dropped(at(0));
    grace.connect_failed(at(100));
    assert_eq!(grace.dropped(at(5_000)), Weight::Held);
    assert!(grace.next_due().is_some_and(|due| due <= at(5_000)));
    assert_eq!(grace.connect_failed(at(5_100)), Weight::Held);
    assert_eq!(grace.held(), 2);
    grace.succeeded_on_fresh(at(5_200));
    assert_eq!((grace.due(at(5_300)), grace.held()), (1, 0));
}
