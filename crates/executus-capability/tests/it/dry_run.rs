//! What an invocation would do.

use executus_capability::kernel::{CostClass, Invocation, KernelStats};
use executus_capability::record::ActionKind;
use executus_capability::token::Grant;
use executus_capability::{Capability, CapabilityId, Mode, Safety};
use serde_json::json;

use crate::support::{Setup, admin, ann, id};

/// DR-01
#[tokio::test(start_paused = true)]
async fn a_dry_run_does_nothing_and_verifies() {
    let scene = Setup::good().budget(1_000, 200).build();
    scene.kernel.dry_run(&scene.invocation()).unwrap();
    let state = scene.budget.as_ref().unwrap().state();
    assert_eq!((state.reservations, state.remaining), (0, 1_000));
    assert!(scene.driver("a").calls().is_empty());
    assert!(scene.records(ActionKind::Invoke).await.is_empty());
    assert_eq!(scene.stats(), KernelStats::default());

    let forged = Invocation { principal: admin(), ..scene.invocation() };
    assert_eq!(scene.kernel.dry_run(&forged).unwrap_err().code(), "token_principal");
    assert_eq!(scene.kernel.dry_run(&scene.limited(-1)).unwrap_err().code(), "invalid_constraint");
    assert!(scene.log.is_empty());
}

/// DR-02
#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_the_mode_that_the_real_call_gets() {
    for (held, admin, asked, expected) in [
        (0, false, Mode::Raw, Mode::Summary),
        (0, true, Mode::Raw, Mode::Raw),
        (600, true, Mode::Raw, Mode::Table),
        // The gate of the admin comes first: raw is a summary, not a table.
        (600, false, Mode::Raw, Mode::Summary),
        (900, false, Mode::Table, Mode::Summary),
        (980, true, Mode::Raw, Mode::HandleOnly),
        (0, false, Mode::HandleOnly, Mode::HandleOnly),
    ] {
        let scene = Setup::good().budget(1_000, 10).build();
        let _held = scene.budget.as_ref().unwrap().reserve(held).unwrap();
        let ask = || if admin { scene.as_admin() } else { scene.invocation() }.mode(asked);
        assert_eq!(scene.kernel.dry_run(&ask()).unwrap().mode, expected, "{held} {asked}");
        assert_eq!(scene.kernel.invoke(ask()).await.unwrap().mode, expected);
        assert_eq!(scene.record().await.mode, Some(expected));
    }
}

/// DR-03
#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_driver_operation_cost_and_what_is_left() {
    for (name, safety, cost) in [
        ("x.read", Safety::Read, CostClass::Low),
        ("x.write", Safety::Write, CostClass::Medium),
        ("x.drop", Safety::Destructive, CostClass::High),
    ] {
        let named = CapabilityId::new(name).unwrap();
        let capability = Capability::new(named.clone(), safety, "Does something.");
        let setup = Setup::good().route(&["nobody", "a"]).capability(capability);
        let scene = setup.budget(1_000, 10).build();
        let token = scene.authority.issue(Grant::new(&ann(), &named)).unwrap();
        let dry = scene.kernel.dry_run(&Invocation::new(token, ann())).unwrap();
        assert_eq!((&*dry.driver_id, &*dry.operation), ("nobody", name));
        assert_eq!((dry.cost, dry.remaining), (cost, Some(1_000)));
    }
    let scene = Setup::good().build();
    let args = json!({"operation": "list_all"}).as_object().unwrap().clone();
    let dry = scene.kernel.dry_run(&scene.invocation().args(args)).unwrap();
    assert_eq!((&*dry.operation, dry.remaining), ("list_all", None));
    assert_eq!(dry.capability, id());
}
