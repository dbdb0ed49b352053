//! Crashes between any two phases of settling, then a boot.

use std::time::Duration;

use executus_core::{Limits, RunId, RunStatus};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::Say;

use super::polls::after_boot;
use super::stage::{Death, Stage, failing, good, paused, slow};

/// What all crashes met.
#[derive(Debug, Default)]
pub struct Crashed {
    /// Runs that crashed.
    pub runs: u64,
    /// What broke a rule.
    pub violations: Vec<String>,
}

/// The calls of settling, in order. The phases between them wait for nothing and keep nothing: a
/// crash there leaves what a crash in the next call does before its effect.
const SETTLING: [Site; 6] =
    [Site::WatcherStop, Site::Settle, Site::AuditClose, Site::Deliver, Site::Complete, Site::Fail];

/// Before and after the effect of a call.
const PLACES: [Fault; 2] = [Fault::Hang, Fault::Stuck];

/// Crashes in every call of settling, before its effect and after it, in each way; the next life
/// crashes `again` in the same ways, or is left to itself.
#[must_use]
pub fn between_phases(again: bool) -> Crashed {
    let mut crashed = Crashed::default();
    for course in COURSES {
        let reached = |site: &Site| match site {
            Site::Complete => course.status == RunStatus::Ok,
            Site::Fail => course.status != RunStatus::Ok,
            _ => true,
        };
        let sites = SETTLING.into_iter().filter(reached);
        let places: Vec<_> = sites.flat_map(|site| PLACES.map(|place| (site, place))).collect();
        let seconds: Vec<_> =
            if again { places.iter().copied().map(Some).collect() } else { vec![None] };
        for death in Death::ALL {
            for &first in &places {
                for &second in &seconds {
                    let broken = paused(crash(&course, death, first, second));
                    crashed.runs += 1;
                    let broken = broken.into_iter().map(|what| {
                        let ended = course.status;
                        format!("{ended}, {death:?} at {first:?}, then {second:?}: {what}")
                    });
                    crashed.violations.extend(broken);
                }
            }
        }
    }
    crashed
}

/// How a life comes to its end.
struct Course {
    script: fn() -> Vec<Say>,
    cancelled: bool,
    status: RunStatus,
}

fn waiting() -> Vec<Say> {
    slow(Duration::from_secs(30))
}

/// A life that only settles does not depend on what its model would say: some would go on.
const COURSES: [Course; 4] = [
    Course { script: good, cancelled: false, status: RunStatus::Ok },
    Course { script: failing, cancelled: false, status: RunStatus::Error },
    Course { script: waiting, cancelled: true, status: RunStatus::Cancelled },
    Course { script: waiting, cancelled: false, status: RunStatus::Timeout },
];

async fn crash(
    course: &Course,
    death: Death,
    first: (Site, Fault),
    second: Option<(Site, Fault)>,
) -> Vec<String> {
    let (stage, id) = (Stage::saying((course.script)()), RunId::random());
    let plan = Plan::new().with(first.0, 1, first.1);
    let hard_timeout = match course.status {
        RunStatus::Timeout => Duration::from_millis(300),
        _ => Duration::from_secs(600),
    };
    let limits = Limits { hard_timeout, ..Limits::default() };
    let request = stage.request(&plan, &id).limits(limits);
    let (handle, mut task) = match stage.executor(&plan).prepare(request) {
        Ok(prepared) => prepared,
        Err(error) => return vec![error.to_string()],
    };
    let observer = handle.observe();
    let caller = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if course.cancelled {
            handle.cancel();
        }
        std::future::pending::<()>().await;
    };
    // Shorter than any phase waits.
    let over = tokio::time::timeout(Duration::from_secs(1), async {
        tokio::select! {
            () = &mut task => {}
            () = caller => {}
        }
    });
    if over.await.is_ok() {
        return vec!["the life did not hang where it should".into()];
    }
    death.of(task);
    let mut broken = Vec::new();
    if let Some(settled) = observer.try_settled().filter(|_| death == Death::Killed) {
        broken.push(format!("settled before it was: {settled:?}"));
    }
    let put_away = matches!(first, (Site::Complete | Site::Fail, Fault::Stuck));
    if stage.checkpointer.kept().is_empty() != put_away {
        broken.push("what is kept after the crash is not what should be".into());
    }
    if let Some(second) = second {
        crash_again(&stage, &id, death, second).await;
    }
    let was_kept = !stage.checkpointer.kept().is_empty();
    let last = stage.boot().await.pop();
    broken.extend(stage.judge(&id, last.as_ref()));
    broken.extend(after_boot(&stage, &id, was_kept, last.as_ref()));
    let closed = stage.trail(&id).closed;
    if closed.len() != 1 || closed[0].status != course.status {
        broken.push(format!("closed {closed:?}"));
    }
    if stage.delivery.parcels().is_empty() {
        broken.push("not delivered".into());
    }
    if stage.booted.count(Site::Decide) + stage.booted.count(Site::ToolCall) > 0 {
        broken.push("a run that had ended went on".into());
    }
    broken
}

/// Another life, which may be over before it comes to the place.
async fn crash_again(stage: &Stage, id: &RunId, death: Death, place: (Site, Fault)) {
    tokio::time::sleep(Duration::from_secs(121)).await;
    let plan = Plan::new().with(place.0, 1, place.1);
    let executor = stage.executor(&plan);
    let Ok((_handle, mut task)) = executor.prepare_resume(id, |_| stage.request(&plan, id)).await
    else {
        return;
    };
    if tokio::time::timeout(Duration::from_secs(1), &mut task).await.is_err() {
        death.of(task);
    }
}
