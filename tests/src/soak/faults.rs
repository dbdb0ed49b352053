//! Panics at every call of every port, model and tool, in lives of every kind.

use std::collections::HashSet;
use std::time::Duration;

use executus_core::{Executor, RunId, RunStatus, Settled};
use executus_testkit::faulty::{Fault, Faulty, Plan, Site};
use executus_testkit::scripted::Say;

use super::stage::{Stage, failing, good, paused, slow};

/// How a life goes, beside its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// To its end.
    Good,
    /// Its model fails in the end.
    Failing,
    /// The answer to the reservation is lost.
    Lost,
    /// Cancelled while the model thinks about its last answer.
    Cancelled,
    /// Shut down then, and resumed.
    Interrupted,
}

const COURSES: [Course; 5] =
    [Course::Good, Course::Failing, Course::Lost, Course::Cancelled, Course::Interrupted];

/// What all lives met.
#[derive(Debug, Default)]
pub struct Panicked {
    /// Lives.
    pub runs: u64,
    /// Calls that panicked, and those of them that were cut while they hung.
    pub fired: u64,
    /// Where something panicked.
    pub sites: HashSet<Site>,
    /// What broke a rule.
    pub violations: Vec<String>,
}

/// Lets every call panic in these ways: the first `nths` calls at each site, in lives of every
/// course; each also when it hangs before, so that its future is dropped in the middle.
#[must_use]
pub fn panics(faults: &[Fault], nths: u64) -> Panicked {
    let mut panicked = Panicked::default();
    for course in COURSES {
        for site in Site::ALL {
            for nth in 1..=nths {
                for (fault, hangs) in
                    faults.iter().flat_map(|fault| [(*fault, false), (*fault, true)])
                {
                    // Only a future that is dropped in the middle can panic there after it hung.
                    if hangs && (fault != Fault::PanicInDrop || !site.waits()) {
                        continue;
                    }
                    let life = Life { course, site, nth, fault, hangs };
                    let (fired, broken) = paused(life.live());
                    panicked.runs += 1;
                    if fired {
                        panicked.fired += 1;
                        panicked.sites.insert(site);
                    }
                    let broken = broken.into_iter().map(|what| format!("{life:?}: {what}"));
                    panicked.violations.extend(broken);
                }
            }
        }
    }
    panicked
}

#[derive(Debug, Clone, Copy)]
struct Life {
    course: Course,
    site: Site,
    nth: u64,
    fault: Fault,
    hangs: bool,
}

impl Life {
    fn script(self) -> Vec<Say> {
        match self.course {
            Course::Good | Course::Lost => good(),
            Course::Failing => failing(),
            Course::Cancelled | Course::Interrupted => slow(Duration::from_secs(30)),
        }
    }

    /// Whether the fault fired, and what broke a rule.
    async fn live(self) -> (bool, Vec<String>) {
        let stage = Stage::saying(self.script());
        // The inner one hangs, the outer one panics in the drop of what hangs.
        let (inner, outer) = (Plan::new(), Plan::new().with(self.site, self.nth, self.fault));
        let inner = if self.hangs { inner.with(self.site, self.nth, Fault::Hang) } else { inner };
        let inner = match self.course {
            Course::Lost => inner.with(Site::Reserve, 1, Fault::Lost),
            _ => inner,
        };
        let id = RunId::random();
        let executor = layered(&stage, &inner, &outer);
        let mut settled = match executor.start(request(&stage, &inner, &outer, &id)) {
            Ok(run) => {
                tokio::time::sleep(Duration::from_secs(12)).await;
                match self.course {
                    Course::Cancelled => run.cancel(),
                    Course::Interrupted => {
                        executor.shutdown(Duration::from_secs(20)).await;
                    }
                    Course::Good | Course::Failing | Course::Lost => {}
                }
                tokio::time::timeout(Duration::from_secs(700), run.settled()).await.ok()
            }
            Err(error) => return (false, vec![error.to_string()]),
        };
        if self.course == Course::Interrupted {
            let next = layered(&stage, &inner, &outer);
            if next.resumable().await.is_ok()
                && let Ok(run) = next.resume(&id, |_| request(&stage, &inner, &outer, &id)).await
            {
                settled = Some(run.settled().await);
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let alive = Site::ALL.iter().find(|site| outer.alive(**site) + inner.alive(**site) > 0);
        let alive = alive.map(|site| format!("a future of {site} is alive"));
        let active = (executor.counts().active > 0).then(|| "it is still registered".to_owned());
        let last = stage.boot().await.pop().or(settled);
        let mut broken = stage.judge(&id, last.as_ref());
        broken.extend(alive.into_iter().chain(active));
        match &last {
            Some(last) => broken.extend(self.judge(&stage, &id, last)),
            None => broken.push("it never settled".into()),
        }
        let fired = outer.log().iter().any(|called| called.fault == Some(self.fault));
        (fired, broken)
    }

    /// One close, one settlement, whatever panicked; but an audit that never begins or ends a record
    /// has none.
    fn judge(self, stage: &Stage, id: &RunId, last: &Settled) -> Vec<String> {
        let mut broken = Vec::new();
        let silent = matches!(self.site, Site::AuditStart | Site::AuditClose)
            && (self.hangs || self.fault != Fault::PanicInDrop);
        let closes = stage.trail(id).closed.len();
        if closes != 1 && !silent {
            broken.push(format!("closed {closes} times"));
        }
        if !last.outcome.status.is_terminal() {
            broken.push(format!("it ended {}", last.outcome.status));
        }
        let parcels = stage.delivery.parcels().len();
        // Facts that could not be put away are settled by the next life, under the same key.
        let repeated = matches!(self.site, Site::Deliver | Site::Complete | Site::Fail);
        if parcels > 1 && !repeated {
            broken.push(format!("delivered {parcels} times"));
        }
        let harmless = self.fault == Fault::PanicInDrop && !self.hangs;
        let expected = match self.course {
            Course::Good | Course::Interrupted => RunStatus::Ok,
            Course::Failing | Course::Lost => RunStatus::Error,
            Course::Cancelled => RunStatus::Cancelled,
        };
        if harmless && self.site.waits() && last.outcome.status != expected {
            broken.push(format!("a drop changed its end: {:?}", last.outcome));
        }
        broken
    }
}

fn layered(stage: &Stage, inner: &Plan, outer: &Plan) -> Executor {
    let mut ports = stage.ports(inner);
    ports.audit = ports.audit.map(|port| Faulty::new(port, outer) as _);
    ports.budget = ports.budget.map(|port| Faulty::new(port, outer) as _);
    ports.critic = ports.critic.map(|port| Faulty::new(port, outer) as _);
    ports.checkpointer = ports.checkpointer.map(|port| Faulty::new(port, outer) as _);
    ports.palette = ports.palette.map(|port| Faulty::new(port, outer) as _);
    ports.delivery = ports.delivery.map(|port| Faulty::new(port, outer) as _);
    Executor::new(ports)
}

fn request(stage: &Stage, inner: &Plan, outer: &Plan, id: &RunId) -> executus_core::RunRequest {
    stage.request_through(&[inner, outer], id)
}
