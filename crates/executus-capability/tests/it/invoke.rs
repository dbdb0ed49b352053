//! Performing a capability: drivers and fallback.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::kernel::{BuildError, Invocation, InvokeError, KernelLimits};
use executus_capability::policy::{RateLimiter, RateLimits};
use executus_capability::record::Counts;
use executus_capability::route::{RouteError, Router};
use executus_capability::token::{Grant, TokenAuthority};
use executus_capability::{
    CapabilityId, Constraints, DriverError, DriverRequest, Kernel, Mode, Registry,
};
use serde_json::json;

use crate::support::{Act, Scene, Scripted, Setup, admin, ann, id, rows};

/// CI-01
#[tokio::test(start_paused = true)]
async fn the_next_driver_runs_when_the_first_one_fails() {
    let give = Scripted::new("b", Act::Give(rows(2)));
    let scene = Setup::new([Scripted::failing("a", "gone"), give]).build();
    let frame = scene.kernel.invoke(scene.invocation()).await.unwrap();
    assert_eq!(frame.handle.unwrap().row_count, 2);
    let calls = |id| scene.driver(id).calls().len();
    assert_eq!((calls("a"), calls("b")), (1, 1));
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("b", 1));
    assert_eq!(scene.stats().fallbacks, 1);
}

/// CI-02
#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt() {
    for act in [Act::Panic("in the driver"), Act::PanicInDrop] {
        let give = Scripted::new("b", Act::Give(rows(2)));
        let scene = Setup::new([Scripted::new("a", act), give]).build();
        scene.kernel.invoke(scene.invocation()).await.unwrap();
        let record = scene.record().await;
        assert_eq!((record.driver_id.as_str(), record.error), ("b", None));
    }
}

/// CI-03, CI-04
#[tokio::test(start_paused = true)]
async fn when_all_fail_the_error_is_that_of_the_last_one() {
    let drivers = [
        Scripted::failing("a", "first reason"),
        Scripted::new("b", Act::Panic("second reason")),
        Scripted::failing("c", "third reason, password=hunter2hunter2"),
    ];
    let scene = Setup::new(drivers).budget(1_000, 100).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    let InvokeError::Driver { capability, driver_id, .. } = &error else { panic!("{error:?}") };
    assert_eq!((capability, driver_id.as_str(), error.code()), (&id(), "c", "driver"));
    let text = error.to_string();
    assert!(text.contains("tickets.list") && text.contains("third reason"), "{text}");
    assert!(!text.contains("first") && !text.contains("second") && !text.contains("hunter2"));
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("c", 2));
    assert_eq!(record.error.unwrap().message, text);
    assert_eq!(scene.stats().invocations_failed, 1);
    scene.assert_settled(1_000);
}

/// CI-05
#[tokio::test(start_paused = true)]
async fn a_plan_without_a_registered_driver_fails_as_a_driver() {
    let scene = Setup::good().route(&["x", "y"]).budget(1_000, 100).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::Driver { error: DriverError::NoDriver { .. }, .. }),
        "{error:?}"
    );
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("", 0));
    assert_eq!(scene.stats().fallbacks, 0);
    scene.assert_settled(1_000);
}

/// CI-06
#[tokio::test(start_paused = true)]
async fn a_driver_that_is_not_registered_is_passed_over() {
    let scene = Setup::good().route(&["x", "a"]).build();
    scene.kernel.invoke(scene.invocation()).await.unwrap();
    let record = scene.record().await;
    assert_eq!((record.driver_id.as_str(), record.counts.fallback_count), ("a", 0));
    assert_eq!(scene.stats().fallbacks, 0);
}

/// CI-07
#[tokio::test(start_paused = true)]
async fn a_fallback_counts_when_another_driver_is_tried() {
    let scene = Setup::new([Scripted::failing("a", "no")]).build();
    scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert_eq!((scene.stats().fallbacks, scene.record().await.counts.fallback_count), (0, 0));
    let scene = Setup::new([Scripted::failing("a", "no")]).route(&["a", "x"]).build();
    scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert_eq!(scene.stats().fallbacks, 0);
}

/// CI-16, AR-04
#[tokio::test(start_paused = true)]
async fn the_frame_is_final_and_its_record_holds_counts_alone() {
    let canary = json!([{"id": 1, "note": "a canary of the driver's"}]);
    let scene = Setup::new([Scripted::new("a", Act::Give(canary))]).budget(10_000, 100).build();
    for mode in [Mode::Summary, Mode::Table, Mode::HandleOnly, Mode::Raw] {
        let frame = scene.kernel.invoke(scene.as_admin().mode(mode)).await.unwrap();
        assert!(frame.is_final && frame.mode == mode);
        assert_eq!(frame.handle.is_some(), mode != Mode::Raw);
        let record = scene.kernel.explain(&frame.action_id).await.unwrap().unwrap();
        assert_eq!((record.action_id.as_str(), &record.error), (frame.action_id.as_str(), &None));
        let expected = Counts {
            fact_count: frame.facts.len() as u64,
            row_count: frame.rows.len() as u64,
            warning_count: frame.warnings.len() as u64,
            has_handle: frame.handle.is_some(),
            frame_count: 1,
            fallback_count: 0,
            cost_tokens: record.counts.cost_tokens,
            overrun_tokens: 0,
        };
        assert_eq!((record.counts, record.mode), (expected, Some(mode)));
        assert!(!serde_json::to_string(&record).unwrap().contains("canary"));
    }
    assert_eq!(scene.stats().invocations_ok, 4);
}

/// Makes an invocation whose token does not verify.
type Faulty = fn(&Scene) -> Invocation;

/// CI-17, AR-01
#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_verify_stops_everything_and_is_recorded() {
    let faults: [(&str, Faulty); 5] = [
        ("token_expired", |scene| {
            let (id, ann) = (id(), ann());
            let grant = Grant::new(&ann, &id).lifetime(Duration::ZERO);
            let token = scene.authority.issue(grant).unwrap();
            Invocation::new(token, ann)
        }),
        ("token_signature", |scene| {
            let mut invocation = scene.invocation();
            let mut token = invocation.token.as_ref().clone();
            token.expires_at = token.expires_at.after(Duration::from_secs(1));
            invocation.token = Arc::new(token);
            invocation
        }),
        ("token_revoked", |scene| {
            let invocation = scene.invocation();
            assert!(scene.authority.revoke(&invocation.token.token_id));
            invocation
        }),
        ("token_principal", |scene| {
            let mut invocation = scene.invocation();
            invocation.principal = admin();
            invocation
        }),
        ("token_capability", |scene| {
            let other = CapabilityId::new("tickets.close").unwrap();
            scene.invocation().capability(other)
        }),
    ];
    for (code, invocation) in faults {
        let scene = Setup::good().budget(1_000, 100).build();
        let error = scene.kernel.invoke(invocation(&scene)).await.unwrap_err();
        assert!(matches!(error, InvokeError::Token(_)) && error.code() == code, "{error:?}");
        assert!(scene.driver("a").calls().is_empty());
        assert_eq!(scene.budget.as_ref().unwrap().state().reservations, 0);
        let record = scene.record().await;
        assert_eq!((record.error.unwrap().code.as_str(), record.mode), (code, None));
        assert_eq!(scene.stats().invocations_refused, 1);
    }
}

/// CI-18
#[tokio::test(start_paused = true)]
async fn an_argument_named_operation_is_the_operation() {
    for (args, operation) in [
        (json!({"operation": "list_open"}), "list_open"),
        (json!({"operation": 7}), "tickets.list"),
        (json!({}), "tickets.list"),
    ] {
        let scene = Setup::good().build();
        let args = args.as_object().unwrap().clone();
        scene.kernel.invoke(scene.invocation().args(args.clone())).await.unwrap();
        let DriverRequest { operation: asked, args: given, .. } =
            scene.driver("a").calls().remove(0);
        assert_eq!((&*asked, &*given), (operation, &args));
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_learns_who_asks_for_what_under_which_key() {
    let drivers = [Scripted::failing("a", "no"), Scripted::new("b", Act::Give(rows(1)))];
    let scene = Setup::new(drivers).build();
    let constraints = Constraints::default().with("tenant", "x");
    let invocation = scene.constrained(constraints.clone()).action_id("run/1/0");
    let frame = scene.kernel.invoke(invocation).await.unwrap();
    let (a, b) = (scene.driver("a").calls().remove(0), scene.driver("b").calls().remove(0));
    assert_eq!((&*a.idempotency_key, &*b.idempotency_key), ("run/1/0", "run/1/0"));
    assert_eq!(
        (&*b.constraints, &b.principal.id, &b.capability.id),
        (&constraints, &ann().id, &id())
    );
    assert_eq!(frame.action_id, "run/1/0");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_or_not_routed_is_refused_and_recorded() {
    let scene = Setup::good().build();
    let other = CapabilityId::new("tickets.close").unwrap();
    let token = scene.authority.issue(Grant::new(&ann(), &other)).unwrap();
    let invocation = Invocation::new(token, ann());
    let error = scene.kernel.invoke(invocation).await.unwrap_err();
    assert_eq!(error, InvokeError::UnknownCapability(other));
    assert_eq!(scene.record().await.error.unwrap().code, "unknown_capability");

    let scene = Setup::good().with(|builder| builder.router(Router::new())).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert_eq!(error, InvokeError::NoRoute(id()));
    assert_eq!(scene.record().await.error.unwrap().code, "no_route");
}

#[tokio::test(start_paused = true)]
async fn what_is_invoked_too_often_is_refused_and_recorded() {
    let limits = RateLimits { read: 2, ..RateLimits::default() };
    let rate = RateLimiter::new(limits).unwrap();
    let scene = Setup::good().with(|builder| builder.rate(rate)).build();
    for expected in [true, true, false] {
        let ended = scene.kernel.invoke(scene.invocation()).await;
        assert_eq!(ended.is_ok(), expected, "{ended:?}");
    }
    assert_eq!(scene.driver("a").calls().len(), 2);
    tokio::time::sleep(limits.window).await;
    scene.kernel.invoke(scene.invocation()).await.unwrap();
    let stats = scene.stats();
    assert_eq!((stats.invocations_ok, stats.invocations_refused), (3, 1));
}

#[test]
fn routes_and_kernels_are_checked() {
    let none: [&str; 0] = [];
    assert!(matches!(Router::new().route(id(), none), Err(RouteError::Empty { .. })));
    assert!(matches!(Router::new().route(id(), ["a", "b", "a"]), Err(RouteError::Twice { .. })));
    assert_eq!(Router::new().otherwise("z").plan(&id()).unwrap().first().unwrap().as_ref(), "z");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();
    let clock = executus_core::Clock::system();
    let builder = || {
        let authority = Arc::new(TokenAuthority::random(clock).unwrap());
        Kernel::builder(Registry::default(), authority)
    };
    let driver = || Arc::new(Scripted::new("a", Act::Hang));
    let twice = builder().driver(driver()).driver(driver()).build().unwrap_err();
    assert_eq!(twice, BuildError::DuplicateDriver { driver: "a".into() });
    let limits = KernelLimits { log: Duration::ZERO, ..KernelLimits::default() };
    let zero = builder().limits(limits).build().unwrap_err();
    assert_eq!(zero, BuildError::ZeroLimit { field: "log" });
}

/// FW-01: the gate of the kernel. Raw is for an admin, who gets no handle; others get a summary with
/// one, and are told so.
#[tokio::test(start_paused = true)]
async fn raw_is_for_an_admin_and_others_get_a_summary_and_a_handle() {
    let scene = Setup::good().build();
    let frame = scene.kernel.invoke(scene.as_admin().mode(Mode::Raw)).await.unwrap();
    assert!(frame.mode == Mode::Raw && frame.raw.is_some() && frame.handle.is_none());
    let frame = scene.kernel.invoke(scene.invocation().mode(Mode::Raw)).await.unwrap();
    assert!(frame.mode == Mode::Summary && frame.raw.is_none() && frame.handle.is_some());
    assert!(frame.warnings.iter().any(|warning| warning.contains("`raw`")), "{frame:?}");
}
