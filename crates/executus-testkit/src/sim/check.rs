//! The general rules, asked of a world.

use std::collections::HashSet;

use executus_core::machine::replay;
use executus_core::memory::Trail;
use executus_core::{Effect, Executor, Fact, Phase, Record, Run, RunId, RunStatus, Tool};

use super::world::{Life, World, parked};
use crate::faulty::{Plan, Site};

const SETTLING: [Site; 3] = [Site::Reserve, Site::Settle, Site::Release];
const RECORDING: [Site; 5] =
    [Site::AuditStart, Site::AuditRecord, Site::AuditFlush, Site::AuditClose, Site::AuditSuspend];

/// What must hold when a process has come to rest: nothing is left behind.
pub(super) fn at_rest(world: &mut World, plan: &Plan, executor: &Executor) {
    let mut broken = Vec::new();
    if executor.counts().active > 0 {
        broken.push("runs are still registered after they settled".to_owned());
    }
    for site in Site::ALL {
        if plan.alive(site) > 0 {
            broken.push(format!("a future of {site} is still alive"));
        }
    }
    if !plan.breaks(&SETTLING) {
        let failed = |life: &Life| {
            let settled = life.settled.as_ref();
            settled.is_none_or(|settled| has_failed(&settled.failures, Phase::SettleBudget))
        };
        for hold in world.budget.holds() {
            let lives = world.lives.get(&hold.id.run);
            let last = lives.and_then(|lives| lives.last());
            if last.is_some_and(|life| !failed(life)) {
                broken.push(format!("{} is still held", hold.id));
            }
        }
    }
    world.violations.append(&mut broken);
}

fn has_failed(failures: &[(Phase, String)], phase: Phase) -> bool {
    failures.iter().any(|(failed, _)| *failed == phase)
}

/// What must hold in the end.
pub(super) fn check(world: &mut World) {
    let mut broken = std::mem::take(&mut world.violations);
    for (id, lives) in &world.lives {
        let mut run = OneRun { world, id, lives, broken: Vec::new() };
        run.check();
        broken.extend(run.broken.into_iter().map(|what| format!("{id}: {what}")));
    }
    once_tools(world, &mut broken);
    approved_tools(world, &mut broken);
    if !world.budget.holds().is_empty() {
        broken.push("something is held after the end of the world".into());
    }
    let account = world.budget.account("caller");
    if account.limits.iter().any(|one| account.spent.tokens > one.limit.amounts.tokens)
        && account.overrun.tokens == 0
    {
        broken.push(format!("overspent and not told: {account:?}"));
    }
    let kept = world.checkpointer.kept();
    if !kept.is_empty() {
        broken.push(format!("kept after a healthy boot: {kept:?}"));
    }
    world.violations = broken;
}

/// A call that counts is made at most once, over all lives.
fn once_tools(world: &World, broken: &mut Vec<String>) {
    for tool in world.tools.iter().filter(|tool| tool.spec().effect == Effect::Once) {
        let mut keys = HashSet::new();
        for key in tool.keys() {
            if !keys.insert(key.clone()) {
                broken.push(format!("{} was performed twice: {key}", tool.spec().name));
            }
        }
    }
}

/// A call that needs an approval is made only when somebody gave it in time.
fn approved_tools(world: &World, broken: &mut Vec<String>) {
    for tool in world.tools.iter().filter(|tool| tool.spec().approval.is_some()) {
        for key in tool.keys().iter().filter(|key| !world.approved.contains(*key)) {
            broken.push(format!("{} was performed, and nobody approved: {key}", tool.spec().name));
        }
    }
}

struct OneRun<'a> {
    world: &'a World,
    id: &'a RunId,
    lives: &'a [Life],
    broken: Vec<String>,
}

impl OneRun<'_> {
    fn say(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    fn check(&mut self) {
        for life in self.lives {
            self.check_life(life);
        }
        let trail = self.world.audit.trail(self.id);
        if let Some(trail) = &trail {
            self.check_trail(trail);
        }
        self.check_delivery(trail.as_ref());
    }

    fn check_life(&mut self, life: &Life) {
        let Some(settled) = &life.settled else {
            if !life.crashed {
                self.say("never settled");
            }
            return;
        };
        let status = settled.outcome.status;
        let unrecorded = has_failed(&settled.failures, Phase::CloseAudit);
        if let Some(told) = life.told
            && told != status
            && !unrecorded
        {
            self.say(format!("the caller was told {told}, it settled as {status}"));
        }
        let postponed = life.resumed && unrecorded;
        let left = life.shutdown || life.crashed || postponed || parked(life);
        if status == RunStatus::Interrupted && !left {
            self.say("interrupted without a shutdown");
        }
        let error = settled.outcome.error.is_some();
        if error == matches!(status, RunStatus::Ok | RunStatus::DryRun) {
            self.say(format!("{status} with error {:?}", settled.outcome.error));
        }
        self.check_order(life);
        if unrecorded && !life.plan.breaks(&RECORDING) && !life.shutdown && !life.crashed {
            self.say(format!("not recorded, without a fault: {:?}", settled.failures));
        }
    }

    /// The phases of settling, as the ports saw them.
    fn check_order(&mut self, life: &Life) {
        const ORDER: [&[Site]; 5] = [
            &[Site::WatcherStop],
            &[Site::Settle, Site::Release],
            &[Site::AuditClose, Site::AuditSuspend],
            &[Site::Deliver],
            &[Site::Complete, Site::Fail],
        ];
        let sites = life.plan.sites(self.id);
        // What a resumption settles of a dead life comes before this one.
        let own = sites.iter().position(|site| *site == Site::Settle).filter(|_| life.resumed);
        let mut reached = 0;
        for (at, site) in sites.iter().enumerate() {
            let Some(place) = ORDER.iter().position(|sites| sites.contains(site)) else { continue };
            if own == Some(at) && place == 1 && reached == 0 {
                continue;
            }
            if place < reached {
                self.say(format!("settled out of order: {site} came too late in {sites:?}"));
                return;
            }
            reached = place;
        }
        let called = |site: Site| sites.iter().filter(|called| **called == site).count();
        if called(Site::WatcherStop) > called(Site::Monitor) {
            self.say("the critic was stopped more than once");
        }
    }

    fn check_trail(&mut self, trail: &Trail) {
        if trail.closed.len() > 1 {
            self.say(format!("closed {} times", trail.closed.len()));
        }
        if let Err(error) = replay(&trail.records)
            && !trail.records.is_empty()
        {
            let facts = trail.records.iter().map(|record| {
                let Record { seq, fact, .. } = record;
                match fact {
                    Fact::Settled { phase, .. } => format!("{seq} settled {phase}"),
                    Fact::Resumed { from_seq, .. } => format!("{seq} resumed from {from_seq}"),
                    fact => format!("{seq} {}", fact.kind()),
                }
            });
            let facts: Vec<_> = facts.collect();
            self.say(format!("does not replay: {error:?}; facts: {}", facts.join(", ")));
        }
        for life in self.lives.iter().filter(|life| !life.crashed) {
            let Some(settled) = &life.settled else { continue };
            let outcome = &settled.outcome;
            let recorded = !has_failed(&settled.failures, Phase::CloseAudit);
            if !outcome.status.is_terminal() || !recorded {
                continue;
            }
            match trail.closed.first() {
                None => self.say(format!("ended {} and was not closed", outcome.status)),
                Some(closed) if closed.status != outcome.status => {
                    let closed = closed.status;
                    self.say(format!("closed as {closed}, settled as {}", outcome.status));
                }
                Some(_) => {}
            }
            let faultless = self.lives.iter().all(|life| !life.plan.breaks(&RECORDING));
            if faultless && let Ok(run) = Run::fold(&trail.records) {
                let end = run.end().map(|end| end.stop.status);
                if end != Some(outcome.status) {
                    self.say(format!("the facts end as {end:?}, the run as {}", outcome.status));
                }
            }
        }
    }

    fn check_delivery(&mut self, trail: Option<&Trail>) {
        let arrivals = self.world.delivery.arrivals(self.id);
        let entered = self.lives.iter().any(|life| {
            let sites = life.plan.sites(self.id);
            sites.contains(&Site::Decide) || life.resumed
        });
        if arrivals == 0 {
            return;
        }
        let repeating = [Site::Deliver, Site::Complete, Site::Fail];
        let repeated = self.lives.iter().any(|life| life.crashed || life.plan.breaks(&repeating));
        if arrivals > 1 && !repeated {
            self.say(format!("delivered {arrivals} times without a crash or a fault"));
        }
        let Some(parcel) = self.world.delivery.parcel(self.id) else { return };
        let status = parcel.outcome.status;
        if !status.is_terminal() {
            self.say(format!("delivered as {status}"));
        }
        if let Some(closed) = trail.and_then(|trail| trail.closed.first())
            && closed.status != status
        {
            let unclosed = self.lives.iter().any(|life| life.plan.breaks(&RECORDING));
            if !unclosed {
                self.say(format!("closed as {}, delivered as {status}", closed.status));
            }
        }
        if !entered && !self.lives.iter().any(|life| life.told == Some(RunStatus::Timeout)) {
            let early = self.lives.iter().all(|life| life.plan.count(Site::Decide) == 0);
            if early && trail.is_some_and(refused) {
                self.say("delivered though it was refused");
            }
        }
    }
}

fn refused(trail: &Trail) -> bool {
    trail.records.iter().any(|record| record.fact.kind() == "refused")
}
