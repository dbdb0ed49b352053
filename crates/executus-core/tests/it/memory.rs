//! What the ports in memory do beyond their contracts: bounds, leases, a fan-out's members.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::{FanOutAudit, MemoryAudit, MemoryCheckpointer, MemoryDelivery};
use executus_core::port::{Audit, AuditError, Checkpointer, Delivery, Recorder};
use executus_core::{RunId, RunStatus};
use executus_testkit::faulty::{Fault, Faulty, Plan, Site};
use executus_testkit::sample;

async fn recorder(audit: &dyn Audit, run: &RunId) -> Box<dyn Recorder> {
    audit.start(&sample::start(run, 1)).await.unwrap().expect("a recorder")
}

/// AR-08: a full store drops its oldest entries and counts them.
#[tokio::test]
async fn a_full_audit_drops_the_oldest_entries() {
    let audit = MemoryAudit::default();
    let (old, new) = (RunId::random(), RunId::random());
    for run in [&old, &new] {
        let recorder = recorder(&audit, run).await;
        for record in sample::records(run, 1..=6000) {
            recorder.record(&record).unwrap();
        }
        recorder.close(&sample::outcome(run, RunStatus::Ok)).await.unwrap();
    }
    // Two starts, 12,000 records and two closes were given.
    assert_eq!(audit.dropped(), 12_004 - 10_000);
    assert_eq!(audit.runs(), [old.clone(), new.clone()]);
    let kept = audit.trail(&old).unwrap();
    assert!(kept.starts.is_empty());
    assert_eq!(kept.records.first().unwrap().seq, 2004);
    assert_eq!(audit.trail(&new).unwrap().records.len(), 6000);
}

/// A run of which everything was dropped can still be closed once, and is then forgotten.
#[tokio::test]
async fn a_small_audit_forgets_whole_runs() {
    let audit = MemoryAudit::with_capacity(4);
    let (first, second) = (RunId::random(), RunId::random());
    let open = recorder(&audit, &first).await;
    open.record(&sample::record(&first, 1)).unwrap();
    let busy = recorder(&audit, &second).await;
    for record in sample::records(&second, 1..=10) {
        busy.record(&record).unwrap();
    }
    assert_eq!(audit.trail(&first), None);
    open.record(&sample::record(&first, 2)).unwrap();
    let outcome = sample::outcome(&first, RunStatus::Ok);
    open.close(&outcome).await.unwrap();
    open.close(&outcome).await.unwrap();
    assert_eq!(audit.trail(&first).unwrap().closed, [outcome]);
    let late = open.record(&sample::record(&first, 3));
    assert!(matches!(late, Err(AuditError::Conflict { .. })), "{late:?}");
}

/// A gap in the sequence is a conflict, except before a resumption.
#[tokio::test]
async fn a_gap_is_a_conflict() {
    let audit = MemoryAudit::default();
    let run = RunId::random();
    let recorder = recorder(&audit, &run).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    let gap = recorder.record(&sample::record(&run, 3));
    assert!(matches!(gap, Err(AuditError::Conflict { .. })), "{gap:?}");
    recorder.record(&sample::resumed(&run, 7, 2)).unwrap();
    recorder.record(&sample::record(&run, 8)).unwrap();
}

#[tokio::test]
async fn parcels_are_taken_once_and_bounded() {
    let delivery = MemoryDelivery::with_capacity(2);
    let runs: Vec<_> = (0..3).map(|_| RunId::random()).collect();
    for run in &runs {
        delivery.deliver(&sample::parcel(run, RunStatus::Ok)).await.unwrap();
    }
    assert_eq!(delivery.keys(), runs[1..]);
    assert_eq!(delivery.dropped(), 1);
    assert!(delivery.take(&runs[1]).is_some());
    assert!(delivery.take(&runs[1]).is_none());
    assert_eq!(delivery.arrivals(&runs[1]), 0);
}

/// An append renews the claim of the run that goes on.
#[tokio::test(start_paused = true)]
async fn an_append_renews_the_claim() {
    let store = MemoryCheckpointer::default();
    let run = RunId::random();
    let lease = Duration::from_secs(10);
    store.append(&run, &sample::records(&run, 1..=2), lease).await.unwrap();
    assert!(!store.claim(&run, lease).await.unwrap());
    store.release(&run).await.unwrap();
    assert!(store.claim(&run, lease).await.unwrap());
    for seq in 3..8 {
        tokio::time::advance(Duration::from_secs(8)).await;
        assert!(!store.claim(&run, lease).await.unwrap());
        store.append(&run, &[sample::record(&run, seq)], lease).await.unwrap();
    }
    tokio::time::advance(lease).await;
    assert!(store.claim(&run, lease).await.unwrap());
}

fn faulty(plan: &Plan) -> (MemoryAudit, Arc<dyn Audit>) {
    let memory = MemoryAudit::default();
    let port: Arc<dyn Audit> = Arc::new(memory.clone());
    (memory, Faulty::new(port, plan))
}

/// A required member that fails fails the whole.
#[tokio::test(start_paused = true)]
async fn a_required_member_counts() {
    let run = RunId::random();
    for site in [Site::AuditRecord, Site::AuditFlush, Site::AuditClose] {
        let (_, member) = faulty(&Plan::new().always(site, Fault::Error));
        let fan = FanOutAudit::new().required(Arc::new(MemoryAudit::default())).required(member);
        let recorder = recorder(&fan, &run).await;
        let recorded = recorder.record(&sample::record(&run, 1));
        assert_eq!(recorded.is_err(), site == Site::AuditRecord);
        assert_eq!(recorder.flush().await.is_err(), site == Site::AuditFlush);
        let closed = recorder.close(&sample::outcome(&run, RunStatus::Ok)).await;
        assert_eq!(closed.is_err(), site == Site::AuditClose);
    }
}

/// An optional member that fails in any way is left out, and the others have everything.
#[tokio::test(start_paused = true)]
async fn an_optional_member_may_fail() {
    for site in [Site::AuditStart, Site::AuditRecord, Site::AuditFlush, Site::AuditClose] {
        for fault in Fault::ALL {
            let plan = Plan::new().always(site, fault);
            let (_, member) = faulty(&plan);
            let good = MemoryAudit::default();
            let fan = FanOutAudit::new()
                .required(Arc::new(good.clone()))
                .optional(member, Duration::from_millis(20));
            let run = RunId::random();
            let recorder = recorder(&fan, &run).await;
            for record in sample::records(&run, 1..=3) {
                if let Err(AuditError::Full) = recorder.record(&record) {
                    recorder.flush().await.unwrap();
                    recorder.record(&record).unwrap();
                }
                recorder.flush().await.unwrap();
            }
            recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
            let trail = good.trail(&run).unwrap();
            assert_eq!((trail.records.len(), trail.closed.len()), (3, 1), "{site} {fault:?}");
            let again =
                if fault == Fault::PanicInDrop && site != Site::AuditRecord { 4 } else { 2 };
            assert!(plan.count(site) <= again, "{site} {fault:?}: {}", plan.count(site));
        }
    }
}

#[tokio::test]
async fn no_member_no_recorder() {
    let run = RunId::random();
    assert!(FanOutAudit::new().start(&sample::start(&run, 1)).await.unwrap().is_none());
}
