//! The caller's handle, and the run's task, gone at every poll.

use executus_tests::soak::polls::{Polled, dead_tasks, dropped_handles};

fn holds(polled: &Polled) {
    assert!(polled.violations.is_empty(), "{}", polled.violations.join("\n"));
    assert!(polled.runs > 40, "only {} runs: is every await a poll?", polled.runs);
}

/// RK-12: a handle dropped at the n-th poll of the run's task, for every n: one close, one
/// settlement.
#[test]
fn a_handle_dropped_at_every_poll() {
    holds(&dropped_handles());
}

/// RK-10: a task that dies at the n-th poll, for every n, then a boot: one close, one settlement,
/// no delivery under another key.
#[test]
fn a_task_that_dies_at_every_poll() {
    let polled = dead_tasks();
    holds(&polled);
    assert!(polled.resumed > 30, "only {} runs were resumed", polled.resumed);
}
