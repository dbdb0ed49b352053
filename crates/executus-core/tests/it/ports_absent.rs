//! Each port may be absent: its concern is off, and everything else is as it was.

use executus_core::port::EntryKind;
use executus_core::{Executor, Ports, Reply, RunStatus};
use executus_testkit::faulty::Site;
use serde_json::json;

use crate::stage::{Stage, model, request, usage};

/// What a run with every port calls.
const ALL: [(&str, &[Site]); 6] = [
    ("audit", &[Site::AuditStart, Site::AuditRecord, Site::AuditClose]),
    ("budget", &[Site::Reserve, Site::Charge, Site::Settle]),
    ("critic", &[Site::Monitor, Site::WatcherStep, Site::WatcherTool, Site::WatcherStop]),
    ("checkpointer", &[Site::Append, Site::Complete]),
    ("palette", &[Site::Resolve, Site::Invoke]),
    ("delivery", &[Site::Deliver]),
];

fn without(stage: &Stage, absent: &str) -> Ports {
    let mut ports = stage.ports();
    match absent {
        "audit" => ports.audit = None,
        "budget" => ports.budget = None,
        "critic" => ports.critic = None,
        "checkpointer" => ports.checkpointer = None,
        "palette" => ports.palette = None,
        "delivery" => ports.delivery = None,
        _ => {}
    }
    ports
}

/// RK-02: any one port may be absent, and no other one notices.
#[tokio::test(start_paused = true)]
async fn any_port_may_be_absent() {
    for absent in ["none", "audit", "budget", "critic", "checkpointer", "palette", "delivery"] {
        let stage = Stage::new();
        let lines = [
            Reply::call("skill__foo", json!({})).using(usage(10, 5)),
            Reply::call("echo", json!({})).using(usage(10, 5)),
            Reply::text("done"),
        ];
        let request = request(model(lines)).delegate_to(EntryKind::Skill, "foo");
        let run = Executor::new(without(&stage, absent)).start(request).unwrap();
        let settled = run.settled().await;
        assert_eq!(settled.outcome.status, RunStatus::Ok, "without {absent}");
        assert_eq!(settled.outcome.output.as_deref(), Some("done"), "without {absent}");
        assert_eq!(settled.outcome.stats.tally.tool_calls, 2, "without {absent}");
        assert!(settled.failures.is_empty(), "without {absent}: {:?}", settled.failures);
        for (port, sites) in ALL {
            for site in sites {
                let called = stage.plan.count(*site) > 0;
                assert_eq!(called, port != absent, "{site} without {absent}");
            }
        }
    }
}
