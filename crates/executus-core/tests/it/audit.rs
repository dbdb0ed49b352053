//! Runs that are recorded.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::record::Fact;
use executus_core::transcript::CallOutcome;
use executus_core::{ErrorKind, Executor, Ports, Reply, Run, RunStatus};
use executus_testkit::faulty::{Fault, Plan, Site};
use serde_json::json;

use crate::stage::{Stage, model, request, two_steps, usage};

/// Records nothing, by choice.
struct Unrecorded;

#[async_trait]
impl Audit for Unrecorded {
    async fn start(&self, _start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        Ok(None)
    }
}

/// AR-06: no recorder by choice: the run is unrecorded and otherwise normal.
#[tokio::test(start_paused = true)]
async fn a_run_may_be_unrecorded() {
    let stage = Stage::new();
    let ports = Ports { audit: Some(Arc::new(Unrecorded)), ..stage.ports() };
    let run = Executor::new(ports).start(request(two_steps())).unwrap();
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert!(settled.failures.is_empty(), "{:?}", settled.failures);
    assert_eq!(stage.delivery.arrivals(run.run_id()), 1);
}

/// AR-06: an error or a panic of the audit stops the run, with an error of kind `audit`.
#[tokio::test(start_paused = true)]
async fn an_audit_that_fails_stops_the_run() {
    let sites = [(Site::AuditStart, 1), (Site::AuditRecord, 6), (Site::AuditClose, 1)];
    for (site, nth) in sites {
        for fault in [Fault::Error, Fault::Panic] {
            let stage = Stage::with(Plan::new().with(site, nth, fault));
            let run = stage.executor().start(request(two_steps())).unwrap();
            let settled = run.settled().await;
            assert_eq!(settled.outcome.status, RunStatus::Error, "{site} {fault:?}");
            let kind = settled.outcome.error.as_ref().unwrap().kind;
            assert_eq!(kind, ErrorKind::Audit, "{site} {fault:?}");
            assert!(stage.budget.holds().is_empty());
            assert_eq!(stage.critic.watching(), 0);
        }
    }
}

/// AR-06: a full queue is waited for, and only one that stays full stops the run.
#[tokio::test(start_paused = true)]
async fn a_full_queue_is_flushed() {
    let hang = Fault::Hang;
    let stage = Stage::with(Plan::new().with(Site::AuditRecord, 5, hang));
    let ended = stage.run(request(two_steps())).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert!(stage.plan.count(Site::AuditFlush) >= 1);
    Run::fold(&stage.audit.records(&ended.run)).expect("a whole trail");

    let stage =
        Stage::with(Plan::new().with(Site::AuditRecord, 5, hang).with(Site::AuditRecord, 6, hang));
    let ended = stage.run(request(two_steps())).await;
    assert_eq!(ended.outcome().error.as_ref().unwrap().kind, ErrorKind::Audit);
}

/// AR-07: one start, one record per reply and per tool with its result, one close with the totals.
#[tokio::test(start_paused = true)]
async fn a_trail_is_complete() {
    let stage = Stage::new();
    let lines = [
        Reply::call("echo", json!({"n": 1})).and_call("echo", json!({"n": 2})).using(usage(10, 5)),
        Reply::call("echo", json!({"n": 3})).using(usage(20, 6)),
        Reply::text("done").using(usage(30, 7)),
    ];
    let ended = stage.run(request(model(lines))).await;
    let trail = stage.trail(&ended.run);
    assert_eq!(trail.starts.len(), 1);
    let count = |kind| trail.records.iter().filter(|record| record.fact.kind() == kind).count();
    assert_eq!((count("decided"), count("acted")), (3, 3));
    let results = trail.records.iter().filter_map(|record| match &record.fact {
        Fact::Acted(acted) => Some(&acted.outcome),
        _ => None,
    });
    for (result, n) in results.zip(1..) {
        let CallOutcome::Output(output) = result else { panic!("{result:?}") };
        assert_eq!(output.text, format!(r#"{{"n":{n}}}"#));
    }
    let [closed] = &trail.closed[..] else { panic!("{:?}", trail.closed) };
    assert_eq!(closed, ended.outcome());
    assert_eq!((closed.status, closed.output.as_deref()), (RunStatus::Ok, Some("done")));
    assert_eq!(closed.error, None);
    let tally = closed.stats.tally;
    assert_eq!((tally.steps, tally.tool_calls), (3, 3));
    assert_eq!((tally.input_tokens, tally.output_tokens, tally.thinking_tokens), (60, 18, 3));
}

/// The recorded digests are those of the folded states.
#[tokio::test(start_paused = true)]
async fn every_state_can_be_folded_again() {
    let stage = Stage::new();
    let ended = stage.run(request(two_steps())).await;
    let records = stage.audit.records(&ended.run);
    let mut digester = executus_core::machine::Digester::new();
    let mut run = Run::fold(&records[..1]).unwrap();
    assert_eq!(digester.digest(&run), records[0].state);
    for record in &records[1..] {
        run.apply(record.at, &record.fact).unwrap();
        assert_eq!(digester.digest(&run), record.state, "record {}", record.seq);
    }
}
