//! Handles dropped, and tasks that die, at the n-th poll of a run's task, for every n.
//!
//! The scheduler is the test itself: it polls the task by hand, under a paused clock. Every port,
//! the model and the tool answer late, so that each await of the run is a poll of its own.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use executus_core::executor::RunTask;
use executus_core::{HoldId, RunHandle, RunId, RunStatus, Settled};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::Say;

use super::stage::{Death, Stage, failing, good, paused};

/// Everything answers, but late.
fn late() -> Plan {
    let late = Fault::Late(Duration::from_millis(3));
    let sites = Site::ALL.into_iter().filter(|site| site.waits());
    sites.fold(Plan::new(), |plan, site| plan.always(site, late))
}

/// What a walk over all polls met.
#[derive(Debug, Default)]
pub struct Polled {
    /// Runs, each disturbed at another poll.
    pub runs: u64,
    /// Runs that a boot went on with.
    pub resumed: u64,
    /// What broke a rule.
    pub violations: Vec<String>,
}

fn scripts() -> [(&'static str, Vec<Say>); 2] {
    [("good", good()), ("failing", failing())]
}

/// Polls a task; before its `n`-th poll, from 0, `disturb` is called. Returns whether it came so far.
async fn drive(task: &mut RunTask, n: u64, disturb: impl FnOnce()) -> bool {
    let mut disturb = Some(disturb);
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        if polls == n
            && let Some(disturb) = disturb.take()
        {
            disturb();
        }
        polls += 1;
        Pin::new(&mut *task).poll(cx)
    })
    .await;
    disturb.is_none()
}

/// Polls a task so often and no more. Returns whether it is still under way.
async fn drive_to(task: &mut RunTask, polls: u64) -> bool {
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(true);
        }
        left -= 1;
        match Pin::new(&mut *task).poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            // The next poll comes when the run is woken, even if it is the one that is not made.
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops the caller's handle at every poll of the run's task.
#[must_use]
pub fn dropped_handles() -> Polled {
    let mut polled = Polled::default();
    for (name, script) in scripts() {
        for n in 0.. {
            let (reached, broken) = paused(dropped_handle(script.clone(), n));
            polled.runs += 1;
            let broken = broken.into_iter().map(|what| format!("{name}, poll {n}: {what}"));
            polled.violations.extend(broken);
            if !reached {
                break;
            }
        }
    }
    polled
}

async fn dropped_handle(script: Vec<Say>, n: u64) -> (bool, Vec<String>) {
    let (stage, plan, id) = (Stage::saying(script), late(), RunId::random());
    let (handle, mut task) = match stage.prepare(&plan, &id) {
        Ok(prepared) => prepared,
        Err(error) => return (false, vec![error]),
    };
    let observer = handle.observe();
    let mut handle: Option<RunHandle> = Some(handle);
    let reached = drive(&mut task, n, || drop(handle.take())).await;
    let settled = observer.settled().await;
    let mut broken = stage.judge_whole(&plan, &id, &settled);
    let status = settled.outcome.status;
    let own = if stage.script.len() == good().len() && settled.outcome.error.is_none() {
        RunStatus::Ok
    } else {
        RunStatus::Error
    };
    if status != RunStatus::Cancelled && status != own {
        broken.push(format!("it ended {status}"));
    }
    if n == 0 && status != RunStatus::Cancelled {
        broken.push(format!("dropped before it began, it ended {status}"));
    }
    (reached, broken)
}

/// Lets the run's task die at every poll, then boots.
#[must_use]
pub fn dead_tasks() -> Polled {
    let mut polled = Polled::default();
    for (name, script) in scripts() {
        for death in Death::ALL {
            for n in 0.. {
                let (reached, resumed, broken) = paused(dead_task(script.clone(), death, n));
                polled.runs += 1;
                polled.resumed += u64::from(resumed);
                let broken =
                    broken.into_iter().map(|what| format!("{name}, {death:?} at {n}: {what}"));
                polled.violations.extend(broken);
                if !reached {
                    break;
                }
            }
        }
    }
    polled
}

async fn dead_task(script: Vec<Say>, death: Death, n: u64) -> (bool, bool, Vec<String>) {
    let (stage, plan, id) = (Stage::saying(script), late(), RunId::random());
    let (handle, mut task) = match stage.prepare(&plan, &id) {
        Ok(prepared) => prepared,
        Err(error) => return (false, false, vec![error]),
    };
    let observer = handle.observe();
    let reached = drive_to(&mut task, n).await;
    death.of(task);
    drop(handle);
    let own = observer.try_settled().filter(|_| !reached);
    let was_kept = !stage.checkpointer.kept().is_empty();
    let lives = stage.boot().await;
    let last = lives.last().or(own.as_ref());
    let mut broken = stage.judge(&id, last);
    broken.extend(after_boot(&stage, &id, was_kept, last));
    (reached, !lives.is_empty(), broken)
}

/// What holds after a boot: a run whose facts were kept is closed; one that was lost did nothing.
pub(super) fn after_boot(
    stage: &Stage,
    id: &RunId,
    was_kept: bool,
    last: Option<&Settled>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let first = HoldId { run: id.clone(), attempt: 1 };
    if was_kept && stage.budget.settled(&first).is_none() {
        broken.push(format!("the hold {first} of the dead life was never settled"));
    }
    let trail = stage.trail(id);
    let did = stage.write.calls().len() + stage.delivery.parcels().len();
    match (was_kept, last) {
        (true, None) => broken.push("kept and not resumed".into()),
        (_, Some(last)) => {
            if !last.outcome.status.is_terminal() {
                broken.push(format!("it ended {}", last.outcome.status));
            }
            if trail.closed.len() != 1 {
                broken.push(format!("closed {} times", trail.closed.len()));
            }
            if stage.delivery.parcels().is_empty() {
                broken.push("ended and never delivered".into());
            }
        }
        (false, None) => {
            let over = trail.closed.len() == 1 && !stage.delivery.parcels().is_empty();
            if !over && did > 0 {
                broken.push("lost, though it had changed something".into());
            }
        }
    }
    broken
}
