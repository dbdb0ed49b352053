//! A cancel in the middle of every call of admission.

use std::time::Duration;

use executus_core::port::Amounts;
use executus_core::record::Gate;
use executus_core::{Fact, HoldId, Record, RunId, RunStatus};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_tests::soak::stage::{Stage, paused};
use tokio::time::Instant;

const GATES: [Site; 4] = [Site::AuditStart, Site::Resolve, Site::Reserve, Site::Monitor];

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// RK-10, RK-12: a call that hangs, before its effect or after it, or is late when the cancel comes:
/// the caller has its answer within 50 ms, the run is recorded once as cancelled, its budget is
/// released. An audit that never begins a record has none to close.
#[test]
fn a_cancel_in_the_middle_of_every_admission_call() {
    for site in GATES {
        for fault in [Fault::Hang, Fault::Stuck, Fault::Late(millis(30)), Fault::Late(millis(900))]
        {
            paused(cancelled(site, fault));
        }
    }
}

async fn cancelled(site: Site, fault: Fault) {
    let what = format!("{fault:?} at {site}");
    let (stage, id) = (Stage::default(), RunId::random());
    let plan = Plan::new().with(site, 1, fault);
    let run = stage.executor(&plan).start(stage.request(&plan, &id)).unwrap();
    tokio::time::sleep(millis(10)).await;
    assert_eq!((plan.count(site), plan.count(Site::Decide)), (1, 0), "{what}: not in the middle");
    run.cancel();
    let asked = Instant::now();
    let outcome = run.outcome().await;
    assert!(asked.elapsed() <= millis(50), "{what}: answered after {:?}", asked.elapsed());
    assert_eq!(outcome.status, RunStatus::Cancelled, "{what}");

    let settled = run.settled().await;
    assert!(asked.elapsed() <= Duration::from_secs(10), "{what}: {:?}", asked.elapsed());
    assert_eq!(plan.count(Site::Decide), 0, "{what}");
    assert_eq!(plan.alive(site), 0, "{what}");
    assert!(stage.budget.holds().is_empty(), "{what}: {:?}", stage.budget.holds());
    let spent = stage.budget.settled(&HoldId { run: id.clone(), attempt: 1 });
    let reserved = plan.count(Site::Reserve) > 0;
    let none = Amounts { runtime_ms: spent.unwrap_or_default().runtime_ms, ..Amounts::default() };
    assert_eq!(spent, reserved.then_some(none), "{what}");
    let ends = plan.count(Site::Settle) + plan.count(Site::Release);
    assert_eq!(ends, u64::from(reserved), "{what}: {ends} ends of the hold");
    if (site, fault) != (Site::Monitor, Fault::Stuck) {
        // A watcher that never came out of its critic cannot be stopped; its contract drops it.
        assert_eq!(stage.critic.watching(), 0, "{what}");
    }

    let trail = stage.trail(&id);
    if site == Site::AuditStart && matches!(fault, Fault::Hang | Fault::Stuck) {
        assert!(trail.closed.is_empty(), "{what}");
        assert!(!settled.failures.is_empty(), "{what}: not told that it is not recorded");
        return;
    }
    assert_eq!(settled.outcome, outcome, "{what}");
    assert_eq!(trail.closed, [(*outcome).clone()], "{what}");
    let broken = stage.judge(&id, Some(&settled));
    assert!(broken.is_empty(), "{what}: {broken:?}");
    // Whoever has not passed the last gate has not entered its loop.
    let watched = |record: &Record| matches!(record.fact, Fact::Admitted(Gate::Watch));
    let entered = trail.records.iter().any(watched);
    assert_eq!(stage.delivery.parcels().is_empty(), !entered, "{what}");
}
