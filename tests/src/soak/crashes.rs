//! Crashes between any two phases of settling, then a boot.

use std::time::Duration;

use executus_core::RunId;
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::Say;

use super::polls::after_boot;
use super::stage::{Death, Stage, failing, good, paused};

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
    for (name, script, last) in
        [("good", good(), Site::Complete), ("failing", failing(), Site::Fail)]
    {
        let sites = SETTLING
            .into_iter()
            .filter(|site| !matches!(site, Site::Complete | Site::Fail) || *site == last);
        let sites: Vec<_> = sites.collect();
        let places = sites.iter().flat_map(|site| PLACES.map(|place| (*site, place)));
        let places: Vec<_> = places.collect();
        let seconds: Vec<Option<(Site, Fault)>> =
            if again { places.iter().copied().map(Some).collect() } else { vec![None] };
        for death in Death::ALL {
            for &first in &places {
                for &second in &seconds {
                    let broken = paused(crash(script.clone(), death, first, second));
                    crashed.runs += 1;
                    let broken = broken.into_iter().map(|what| {
                        format!("{name}, {death:?} at {first:?}, then {second:?}: {what}")
                    });
                    crashed.violations.extend(broken);
                }
            }
        }
    }
    crashed
}

async fn crash(
    script: Vec<Say>,
    death: Death,
    first: (Site, Fault),
    second: Option<(Site, Fault)>,
) -> Vec<String> {
    let (stage, id) = (Stage::saying(script), RunId::random());
    let plan = Plan::new().with(first.0, 1, first.1);
    let (_handle, mut task) = match stage.prepare(&plan, &id) {
        Ok(prepared) => prepared,
        Err(error) => return vec![error],
    };
    // Shorter than any phase waits.
    if tokio::time::timeout(Duration::from_secs(1), &mut task).await.is_ok() {
        return vec!["the life did not hang where it should".into()];
    }
    death.of(task);
    let mut broken = Vec::new();
    let over = matches!(first, (Site::Complete | Site::Fail, Fault::Stuck));
    if stage.checkpointer.kept().is_empty() != over {
        broken.push("what is kept after the crash is not what should be".into());
    }
    if let Some(second) = second {
        crash_again(&stage, &id, death, second).await;
    }
    let was_kept = !stage.checkpointer.kept().is_empty();
    let last = stage.boot().await.pop();
    broken.extend(stage.judge(&id, last.as_ref()));
    broken.extend(after_boot(&stage, &id, was_kept, last.as_ref()));
    if stage.trail(&id).closed.len() != 1 {
        broken.push("not closed".into());
    }
    if stage.delivery.parcels().is_empty() {
        broken.push("not delivered".into());
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
