//! Whatever way an invocation ends, it is settled and recorded once.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::budget::{CountError, Shown, TokenCounter};
use executus_capability::driver::DriverError;
use executus_capability::firewall::FirewallError;
use executus_capability::handle::HandleError;
use executus_capability::kernel::{CANCELLED, InvokeError, Stage, StageError};
use executus_capability::record::{ActionKind, ActionQuery};
use executus_capability::{Kernel, Mode};
use executus_core::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::support::{Act, Fault, Scene, Scripted, Setup, rows};

async fn failed_after_the_driver(site: &'static str, fault: Fault) -> InvokeError {
    let setup = Setup::new([Scripted::failing("a", "no"), Scripted::new("b", Act::Give(rows(1)))]);
    let scene = setup.budget(1_000, 100).build();
    scene.faults.set(site, fault);
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    let record = scene.record().await;
    let found = record.error.unwrap();
    assert_eq!((record.driver_id.as_str(), found.code.as_str()), ("b", error.code()));
    assert!(found.message.contains(&error.to_string()), "{found:?}");
    assert_eq!(scene.stats().invocations_failed, 1);
    scene.assert_settled(1_000);
    error
}

/// CI-08
#[tokio::test(start_paused = true)]
async fn a_failing_handle_store_is_the_error_and_is_recorded() {
    let error = failed_after_the_driver("store", Fault::Error).await;
    assert_eq!(error, InvokeError::Handle(HandleError::Store { message: "planned".into() }));
    let stage = Stage::Handle;
    let error = failed_after_the_driver("store", Fault::Panic).await;
    assert!(
        matches!(&error, InvokeError::Stage(StageError::Panicked { stage: at, .. }) if *at == stage)
    );
    let error = failed_after_the_driver("store", Fault::Hang).await;
    assert!(
        matches!(&error, InvokeError::Stage(StageError::Late { stage: at, .. }) if *at == stage)
    );
}

/// CI-09
#[tokio::test(start_paused = true)]
async fn a_failing_firewall_is_the_error_and_is_recorded() {
    let error = failed_after_the_driver("screen", Fault::Error).await;
    assert_eq!(error, InvokeError::Firewall(FirewallError::failed("planned")));
    let error = failed_after_the_driver("screen", Fault::Panic).await;
    assert_eq!(error.code(), "panicked");
}

/// CI-10
#[tokio::test(start_paused = true)]
async fn a_failing_counter_is_the_error_and_is_recorded() {
    let error = failed_after_the_driver("count", Fault::Error).await;
    assert_eq!(error, InvokeError::Count(CountError::failed("planned")));
    let error = failed_after_the_driver("count", Fault::Panic).await;
    assert_eq!(error.code(), "panicked");
}

/// CI-11
#[tokio::test(start_paused = true)]
async fn a_drivers_error_after_the_driver_is_recorded_all_the_same() {
    struct AsksADriver;
    impl TokenCounter for AsksADriver {
        fn count(&self, _: Shown<'_>) -> Result<u64, CountError> {
            Err(CountError::Driver(DriverError::failed("the tokenizer is gone")))
        }
    }
    let setup = Setup::good().budget(1_000, 100);
    let scene = setup.with(|builder| builder.counter(Arc::new(AsksADriver))).build();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert!(matches!(error, InvokeError::Count(CountError::Driver(_))), "{error:?}");
    let record = scene.record().await;
    assert_eq!(record.driver_id, "a");
    assert!(record.error.unwrap().message.contains("the tokenizer is gone"));
    scene.assert_settled(1_000);
}

fn flying(second: Act) -> Scene {
    let drivers = [Scripted::failing("a", "no"), Scripted::new("b", second)];
    Setup::new(drivers).budget(1_000, 100).build()
}

async fn assert_cancelled(scene: &Scene) {
    let record = scene.record().await;
    let error = record.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("cancelled", CANCELLED));
    assert_eq!(record.driver_id, "b");
    assert_eq!(record.mode, Some(Mode::Summary));
    assert_eq!((scene.driver("b").alive(), scene.stats().invocations_cancelled), (0, 1));
    scene.assert_settled(1_000);
}

/// CI-13, CI-14
#[tokio::test(start_paused = true)]
async fn a_dropped_future_gives_back_at_once_and_is_recorded() {
    for act in [Act::Hang, Act::PanicInDrop] {
        let scene = flying(act);
        let invoke = scene.kernel.invoke(scene.invocation());
        let cut = tokio::time::timeout(Duration::from_secs(1), invoke).await;
        assert!(cut.is_err());
        assert_eq!(scene.remaining(), 1_000, "before anything else has run");
        assert_cancelled(&scene).await;
    }
}

/// CI-13, CI-14
#[tokio::test(start_paused = true)]
async fn a_cancelled_invocation_ends_as_cancelled() {
    let scene = flying(Act::Hang);
    let token = CancellationToken::new();
    let invoke = scene.kernel.invoke(scene.invocation().cancellation(token.clone()));
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        token.cancel();
    };
    let (ended, ()) = tokio::join!(invoke, cancel);
    assert_eq!(ended, Err(InvokeError::Cancelled));
    assert_eq!(ended.unwrap_err().to_string(), CANCELLED);
    assert_cancelled(&scene).await;
}

/// CI-13: a future that was never polled has begun nothing.
#[tokio::test(start_paused = true)]
async fn a_future_that_is_never_polled_is_no_invocation() {
    let scene = flying(Act::Hang);
    drop(scene.kernel.invoke(scene.invocation()));
    assert!(scene.records(ActionKind::Invoke).await.is_empty());
    scene.assert_settled(1_000);
}

/// AR-01: the record of a served invocation is written although nobody waits for it any more.
#[tokio::test(start_paused = true)]
async fn a_future_dropped_while_the_record_is_written_leaves_one_record() {
    let scene = Setup::good().budget(1_000, 100).build();
    scene.faults.set("record", Fault::Late(Duration::from_secs(2)));
    let invoke = scene.kernel.invoke(scene.invocation());
    assert!(tokio::time::timeout(Duration::from_secs(1), invoke).await.is_err());
    assert!(scene.log.is_empty());
    scene.kernel.close(Duration::from_secs(5)).await;
    let record = scene.record().await;
    assert_eq!((record.error, scene.faults.count("record")), (None, 1));
    assert_eq!(scene.budget.as_ref().unwrap().state().settled, 1);
}

/// AR-01: a closed kernel refuses, gives up what does not end, and waits for the records.
#[tokio::test(start_paused = true)]
async fn closing_waits_gives_up_and_records() {
    let scene = flying(Act::Hang);
    let (kernel, invocation) = (scene.kernel.clone(), scene.invocation());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { kernel.invoke(invocation).await });
    tokio::task::yield_now().await;
    let began = scene.kernel.clock().now();
    let closed = scene.kernel.close(Duration::from_secs(3)).await;
    assert_eq!((closed.cancelled, closed.left), (1, 0));
    assert_eq!(scene.kernel.clock().now().since(began), Duration::from_secs(3));
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Err(InvokeError::Cancelled));
    assert_cancelled(&scene).await;

    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert_eq!(error, InvokeError::Closed);
    let records = scene.log_of(&scene.kernel).await;
    assert_eq!(records, [Some("cancelled".to_owned()), Some("closed".to_owned())]);
    assert_eq!(scene.stats().invocations_refused, 1);
}

/// AR-01: a closed kernel without anything under way is closed at once, more than once.
#[tokio::test(start_paused = true)]
async fn closing_an_idle_kernel_takes_no_time() {
    let scene = Setup::good().build();
    scene.kernel.invoke(scene.invocation()).await.unwrap();
    let began = scene.kernel.clock().now();
    for _ in 0..2 {
        let closed = scene.kernel.close(Duration::from_secs(3)).await;
        assert_eq!((closed.cancelled, closed.left), (0, 0));
    }
    assert_eq!(scene.kernel.clock().now(), began);
}

impl Scene {
    /// The codes of all records, by time.
    async fn log_of(&self, kernel: &Kernel) -> Vec<Option<String>> {
        let query = ActionQuery { since: Some(Timestamp::default()), ..ActionQuery::default() };
        let records = kernel.actions(&query).await.unwrap();
        records.into_iter().map(|record| record.error.map(|error| error.code)).collect()
    }
}
