//! Panics at every await of every port, model and tool.

use executus_testkit::faulty::{Fault, Site};
use executus_tests::soak::faults::{Panicked, panics};
use executus_tests::soak::siblings::beside;

fn holds(panicked: &Panicked, sites: usize) {
    assert!(panicked.violations.is_empty(), "{}", panicked.violations.join("\n"));
    let missed = Site::ALL.iter().filter(|site| !panicked.sites.contains(site));
    let missed: Vec<_> = missed.collect();
    assert_eq!(panicked.sites.len(), sites, "nothing panicked at {missed:?}");
}

/// RK-10: a panic in the drop of a port's, the model's or a tool's future, whether it had answered
/// or hung: one close, one settlement, nothing delivered under another key.
#[test]
fn in_the_drop_of_every_future() {
    holds(&panics(&[Fault::PanicInDrop], 2), Site::ALL.len());
}

/// RK-03, RK-04, RK-05, RK-14: a panic in the making or the poll of every call ends at most that
/// run: it is recorded and settled once.
#[test]
fn in_every_call() {
    holds(&panics(&[Fault::Panic, Fault::PanicEarly], 2), Site::ALL.len());
}

/// RK-14: while a thousand runs go their way, others panic at every call of every port, the model and
/// the tools, each as the behaviours say; a tool's panic is that call's error. The thousand notice
/// nothing.
#[test]
fn beside_a_thousand_siblings() {
    let together = beside(1_000);
    assert!(together.violations.is_empty(), "{}", together.violations.join("\n"));
    assert!(together.fired > 80, "{} of {} fired", together.fired, together.broken_runs);
}
