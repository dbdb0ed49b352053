//! Tokens through the kernel, and what lies behind handles.

use std::time::Duration;

use executus_capability::handle::{HandleError, Query};
use executus_capability::kernel::{
    ExpandError, ExpandRequest, GrantError, GrantRequest, Invocation,
};
use executus_capability::record::ActionKind;
use executus_capability::{Capability, CapabilityId, Constraints, Safety};
use serde_json::json;

use crate::support::{Act, Fault, Scene, Scripted, Setup, admin, ann, id, rows};

fn closing() -> CapabilityId {
    CapabilityId::new("tickets.close").unwrap()
}

fn setup() -> Setup {
    let capability = Capability::new(closing(), Safety::Destructive, "Closes a ticket.");
    Setup::new([Scripted::new("a", Act::Give(rows(80)))]).capability(capability)
}

#[tokio::test(start_paused = true)]
async fn a_grant_is_recorded_and_allows_an_invocation() {
    let scene = setup().build();
    let request = GrantRequest::new(ann(), id())
        .constraints(Constraints::default().with("max_rows", 7))
        .lifetime(Duration::from_secs(60));
    let token = scene.kernel.grant(request).await.unwrap();
    assert_eq!(token.constraints.max_rows(), Ok(Some(7)));
    assert_eq!(token.expires_at.since(token.issued_at), Duration::from_secs(60));
    let granted = scene.records(ActionKind::Grant).await.remove(0);
    assert_eq!(granted.args, json!({"max_rows": 7}));
    assert_eq!(granted.token_id.as_ref(), Some(&token.token_id));
    assert_eq!((granted.capability_id.as_str(), &*granted.principal_id), ("tickets.list", "ann"));
    scene.kernel.invoke(Invocation::new(token, ann())).await.unwrap();
    assert_eq!(scene.stats().grants, 1);
}

/// TP-10
#[tokio::test(start_paused = true)]
async fn a_denial_is_recorded_with_its_code_as_well_as_may_be() {
    let ask = || GrantRequest::new(ann(), closing()).justification("because I want it so");
    let scene = setup().build();
    let error = scene.kernel.grant(ask()).await.unwrap_err();
    assert_eq!((error.code(), scene.stats().denials), ("missing_role", 1));
    let record = scene.records(ActionKind::Deny).await.remove(0);
    assert_eq!(record.args, json!({"justification": "because I want it so"}));
    let found = record.error.unwrap();
    assert_eq!((found.code.as_str(), &found.message), ("missing_role", &error.to_string()));
    assert_eq!((record.capability_id.as_str(), record.token_id), ("tickets.close", None));

    for fault in [Fault::Error, Fault::Panic, Fault::Hang] {
        let scene = setup().build();
        scene.faults.set("record", fault);
        let hidden = scene.kernel.grant(ask()).await.unwrap_err();
        assert_eq!(hidden, error, "a broken log must not hide a denial");
        assert_eq!(scene.stats().unrecorded, 1);
    }
}

/// TP-10: the denials of a panic, of an unknown capability and of a closed kernel.
#[tokio::test(start_paused = true)]
async fn whatever_is_not_granted_is_recorded() {
    let ask = || GrantRequest::new(ann(), id());
    let scene = setup().build();
    scene.faults.set("decide", Fault::Panic);
    assert_eq!(scene.kernel.grant(ask()).await.unwrap_err().code(), "panicked");
    scene.faults.set("decide", Fault::Error);
    assert_eq!(scene.kernel.grant(ask()).await.unwrap_err().code(), "planned");
    scene.faults.heal();
    let other = CapabilityId::new("no.such").unwrap();
    let error = scene.kernel.grant(GrantRequest::new(ann(), other)).await.unwrap_err();
    assert_eq!(error.code(), "unknown_capability");
    let forever = ask().lifetime(Duration::from_secs(1 << 40));
    assert_eq!(scene.kernel.grant(forever).await.unwrap_err().code(), "token_unfit");
    scene.kernel.close(Duration::ZERO).await;
    assert_eq!(scene.kernel.grant(ask()).await, Err(GrantError::Closed));
    let records = scene.records(ActionKind::Deny).await;
    let codes: Vec<_> =
        records.iter().map(|found| found.error.as_ref().unwrap().code.as_str()).collect();
    assert_eq!(codes.len(), 5, "{codes:?}");
    assert_eq!(scene.stats().denials, 5);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_not_recorded_is_taken_back() {
    let scene = setup().build();
    scene.faults.set("record", Fault::Late(Duration::from_secs(6)));
    let error = scene.kernel.grant(GrantRequest::new(ann(), id())).await.unwrap_err();
    assert!(matches!(error, GrantError::Unrecorded(_)), "{error:?}");
    assert_eq!(scene.authority.revoke_principal("ann"), 0, "no token is alive");
}

#[tokio::test(start_paused = true)]
async fn every_condition_that_is_not_met_is_explained_and_nothing_is_recorded() {
    let scene = setup().build();
    let denials = scene.kernel.explain_denial(&GrantRequest::new(ann(), closing())).unwrap();
    let codes: Vec<&str> = denials.iter().map(|denial| denial.code.as_ref()).collect();
    assert_eq!(codes, ["missing_role", "insufficient_justification"]);
    let allowed = GrantRequest::new(admin(), closing()).justification("it was solved last week");
    assert_eq!(scene.kernel.explain_denial(&allowed), Ok(vec![]));
    scene.faults.set("explain", Fault::Panic);
    assert_eq!(scene.kernel.explain_denial(&allowed).unwrap_err().code(), "panicked");
    assert!(scene.log.is_empty());
    assert_eq!(scene.stats().denials, 0);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_recorded_and_stands_without_a_record() {
    let scene = setup().build();
    let invocation = scene.invocation();
    let token = invocation.token.token_id.clone();
    assert_eq!(scene.kernel.revoke(&admin(), &token).await, Ok(true));
    assert_eq!(scene.kernel.revoke(&admin(), &token).await, Ok(false));
    assert_eq!(scene.kernel.invoke(invocation).await.unwrap_err().code(), "token_revoked");
    let invocation = scene.invocation();
    scene.faults.set("record", Fault::Error);
    scene.kernel.revoke_principal(&admin(), "ann").await.unwrap_err();
    assert_eq!(scene.kernel.invoke(invocation).await.unwrap_err().code(), "token_revoked");
    scene.faults.heal();
    assert_eq!(scene.kernel.revoke_principal(&admin(), "ann").await, Ok(0));
    let records = scene.records(ActionKind::Revoke).await;
    assert_eq!((records.len(), scene.stats().revocations), (3, 4));
    assert!(records.iter().all(|record| &*record.principal_id == "root"));
    assert_eq!(records[0].token_id.as_ref(), Some(&token));
}

async fn handle(scene: &Scene) -> String {
    scene.kernel.invoke(scene.invocation()).await.unwrap().handle.unwrap().id
}

fn expand(handle: &str) -> ExpandRequest {
    let query = Query { limit: Some(10), ..Query::default() };
    ExpandRequest::new(handle, ann(), query).action_id("run/2/0")
}

/// FW-15
#[tokio::test(start_paused = true)]
async fn an_expansion_is_recorded_before_it_is_served() {
    let scene = setup().build();
    let handle = handle(&scene).await;
    let page = scene.kernel.expand(expand(&handle)).await.unwrap();
    let record = scene.records(ActionKind::Expand).await.remove(0);
    assert_eq!((record.action_id.as_str(), &*record.principal_id), ("run/2/0", "ann"));
    assert_eq!(record.counts.row_count, page.rows.len() as u64);
    assert_eq!(record.args["handle"], json!(handle));
    assert_eq!(scene.faults.count("page"), 1, "the firewall has seen it again");
    for fault in [Fault::Error, Fault::Panic, Fault::Hang] {
        scene.faults.set("record", fault);
        let error = scene.kernel.expand(expand(&handle)).await.unwrap_err();
        assert!(matches!(error, ExpandError::Unrecorded(_)), "{error:?}");
    }
    assert_eq!(scene.records(ActionKind::Expand).await.len(), 1);
}

/// FW-15: what is not read is recorded too, with its reason.
#[tokio::test(start_paused = true)]
async fn an_expansion_that_fails_is_recorded() {
    let cases: [(&str, Fault, &str); 6] = [
        ("expand", Fault::Error, "handle_store"),
        ("expand", Fault::Panic, "panicked"),
        ("expand", Fault::Hang, "late"),
        ("page", Fault::Error, "firewall"),
        ("page", Fault::Panic, "panicked"),
        ("none", Fault::Error, "closed"),
    ];
    for (site, fault, code) in cases {
        let scene = setup().build();
        let handle = handle(&scene).await;
        scene.faults.set(site, fault);
        if code == "closed" {
            scene.kernel.close(Duration::ZERO).await;
        }
        let error = scene.kernel.expand(expand(&handle)).await.unwrap_err();
        assert_eq!(error.code(), code);
        let records = scene.records(ActionKind::Expand).await;
        assert_eq!((records.len(), scene.stats().expansions_failed), (1, 1));
        assert_eq!(records[0].error.as_ref().unwrap().code, code);
    }
    let scene = setup().build();
    scene.faults.set("expand", Fault::Hang);
    let cut = tokio::time::timeout(Duration::from_secs(1), scene.kernel.expand(expand("x"))).await;
    assert!(cut.is_err());
    let record = scene.records(ActionKind::Expand).await.remove(0);
    assert_eq!(record.error.unwrap().code, "cancelled");
}

/// FW-08
#[tokio::test(start_paused = true)]
async fn a_handle_is_nobody_elses() {
    let scene = setup().build();
    let request = ExpandRequest { principal: admin(), ..expand(&handle(&scene).await) };
    let error = scene.kernel.expand(request).await.unwrap_err();
    assert_eq!(error, ExpandError::Handle(HandleError::Principal));
}
