//! Every sequence of facts up to a length, against what the run machine promises.
//!
//! The machine is pure, so that all of it can be tried. A fact that is refused leaves the state as
//! it was, which is checked; a sequence with such a fact is then the one without it. And a state
//! that was reached before leads where it led before: what is left to walk is small enough.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use executus_core::digest::Digest;
use executus_core::machine::{Digester, Verdict, replay};
use executus_core::record::Gate;
use executus_core::transcript::CallOutcome;
use executus_core::{Fact, Key, Next, Phase, Record, Run, RunId, RunSpec, RunStatus};
use executus_testkit::sample;

use super::letters::{Letter, Policy, alphabet, waits};
use super::{Asked, Report};

/// What a walk met.
#[derive(Debug, Default)]
pub struct Walked {
    /// Kinds of facts that were tried in every state.
    pub letters: usize,
    /// Walks: each from another state of another run.
    pub walks: usize,
    /// Different states.
    pub states: u64,
    /// Facts that were taken in or refused.
    pub facts: u64,
    /// What broke a promise.
    pub violations: Vec<String>,
}

/// Walks all sequences of so many facts, from the start of runs with every choice of ports and from
/// the middle of one with all of them.
#[must_use]
pub fn walk(depth: u32) -> Walked {
    let mut walked = walk_some(&Vec::from_iter(0..64), depth);
    for ports in [0, 63] {
        start(&mut walked, ports, true, depth);
    }
    middle(&mut walked, depth);
    walked
}

/// Walks all sequences of so many facts from the start of runs with these choices of ports: bits, in
/// the order of the fields of a port set.
#[must_use]
pub fn walk_some(ports: &[u8], depth: u32) -> Walked {
    let mut walked = Walked { letters: alphabet().len(), ..Walked::default() };
    for ports in ports {
        start(&mut walked, *ports, false, depth);
    }
    walked
}

pub(super) fn soak(asked: Asked) -> Report {
    let depth = u32::try_from(asked.count).unwrap_or(u32::MAX);
    let walked = walk(depth);
    let Walked { letters, walks, states, facts, violations } = walked;
    let done = format!(
        "all sequences of {depth} facts out of {letters} kinds, from {walks} beginnings: {states} \
         states, {facts} facts tried"
    );
    Report { done, violations }
}

fn start(walked: &mut Walked, ports: u8, dry_run: bool, depth: u32) {
    let mut walk = Walk::new(walked, spec(ports, dry_run));
    walk.explore(depth);
}

/// From every state of a plain life of a run with all ports: one call, an answer, settling.
fn middle(walked: &mut Walked, depth: u32) {
    let mut life = Walk::new(walked, spec(63, false));
    while let Some((at, fact)) = Policy::OneCall.answer(&life.run) {
        if let Err(misuse) = life.take(at, fact) {
            life.say(misuse);
            return;
        }
        life.walked.walks += 1;
        life.explore(depth);
    }
}

/// A run with the ports of these bits, in the order of the fields of a port set.
fn spec(ports: u8, dry_run: bool) -> Arc<RunSpec> {
    let run = RunId::random();
    let mut spec = sample::spec(&run);
    let has = |bit: u8| ports & (1 << bit) != 0;
    spec.ports.audit = has(0);
    spec.ports.budget = has(1);
    spec.ports.critic = has(2);
    spec.ports.checkpoint = has(3);
    spec.ports.palette = has(4);
    spec.ports.delivery = has(5);
    spec.limits.max_steps = 2;
    spec.limits.max_tokens = 100;
    spec.dry_run = dry_run;
    Arc::new(spec)
}

struct Walk<'a> {
    walked: &'a mut Walked,
    letters: Vec<Letter>,
    run: Run,
    digester: Digester,
    /// The facts so far.
    log: Vec<Record>,
    /// The phases that were settled, since the last life of a run that had not ended for good.
    settled: Vec<Phase>,
    /// States that were walked from, with the greatest length that was left.
    seen: HashMap<Digest, u32>,
}

impl<'a> Walk<'a> {
    fn new(walked: &'a mut Walked, spec: Arc<RunSpec>) -> Self {
        walked.walks += 1;
        let run = Run::new(Arc::clone(&spec));
        let mut digester = Digester::new();
        let opened = Record {
            seq: 1,
            at: spec.started_at,
            key: Key::step(0),
            state: digester.digest(&run),
            fact: Fact::Opened(spec),
        };
        let (letters, log) = (alphabet(), vec![opened]);
        Self { walked, letters, run, digester, log, settled: Vec::new(), seen: HashMap::new() }
    }

    fn say(&mut self, what: impl Into<String>) {
        if self.walked.violations.len() < 20 {
            let facts = self.log.iter().map(|record| match &record.fact {
                Fact::Settled { phase, .. } => format!("settled {phase}"),
                Fact::Admitted(gate) => format!("admitted {gate:?}"),
                fact => fact.kind().to_owned(),
            });
            let facts: Vec<_> = facts.collect();
            self.walked.violations.push(format!("{}; after {}", what.into(), facts.join(", ")));
        }
    }

    /// Takes a fact in and keeps the log.
    fn take(&mut self, at: executus_core::Timestamp, fact: Fact) -> Result<(), String> {
        self.run.apply(at, &fact).map_err(|misuse| misuse.to_string())?;
        let state = self.digester.digest(&self.run);
        match &fact {
            Fact::Settled { phase, .. } => self.settled.push(*phase),
            Fact::Resumed { .. } if self.run.end().is_none() => self.settled.clear(),
            _ => {}
        }
        let seq = self.log.len() as u64 + 1;
        self.log.push(Record { seq, at, key: Key::step(self.run.step()), fact, state });
        Ok(())
    }

    /// Tries every letter here, and whatever follows those that fit.
    fn explore(&mut self, left: u32) {
        let here = self.digester.clone().digest(&self.run);
        match self.seen.insert(here, left) {
            Some(known) if known >= left => {
                self.seen.insert(here, known);
                return;
            }
            Some(_) => {}
            None => {
                self.walked.states += 1;
                self.check_state();
            }
        }
        if left == 0 {
            return;
        }
        for letter in self.letters.clone() {
            let (at, fact) = letter.fact(&self.run);
            self.walked.facts += 1;
            let fits = self.may_follow(&fact);
            let (run, digester) = (self.run.clone(), self.digester.clone());
            let settled = self.settled.clone();
            match self.take(at, fact.clone()) {
                Err(misuse) => {
                    if fits {
                        self.say(format!("refused what was planned: {misuse}"));
                    }
                    if self.digester.digest(&self.run) != here {
                        self.say(format!("a refused {} changed the state", fact.kind()));
                        self.run = run;
                    }
                    continue;
                }
                Ok(()) if !fits => self.say(format!("took in {}", fact.kind())),
                Ok(()) => {}
            }
            self.check_step(&run, &settled, &fact);
            self.explore(left - 1);
            self.log.pop();
            (self.run, self.digester, self.settled) = (run, digester, settled);
        }
    }

    /// Whether a fact answers the plan, in the words of the plan.
    fn may_follow(&self, fact: &Fact) -> bool {
        let (run, plan) = (&self.run, self.run.plan());
        let unanswered = |call: u32| {
            run.open().get(call as usize).filter(|open| open.answer.is_none()).is_some()
        };
        match fact {
            Fact::Admitted(gate) | Fact::Refused { gate, .. } => plan == Next::Admit(*gate),
            Fact::Decided(decided) => {
                let whole = decided.effects.len() == decided.reply.calls.len();
                plan == Next::Decide { step: decided.step } && whole
            }
            Fact::Undecided { step, .. } => plan == Next::Decide { step: *step },
            Fact::Attempted(attempt) => plan == Next::Decide { step: attempt.step },
            Fact::Asked { step, call, .. } => {
                let begun = run.open().get(*call as usize).is_some_and(|open| open.started);
                let fresh = run.approval(*call).is_none() && unanswered(*call) && !begun;
                plan == Next::Act { step: *step } && fresh
            }
            Fact::Answered(answer) => {
                let acts = matches!(plan, Next::Act { .. } | Next::Wait { .. });
                acts && answer.step == run.step() && waits(run, answer.call)
            }
            Fact::Started { step, call } => {
                let begun = run.open().get(*call as usize).is_some_and(|open| open.started);
                let free = unanswered(*call) && !begun && self.is_free(*call);
                plan == Next::Act { step: *step } && free
            }
            Fact::Acted(acted) => {
                let failed = matches!(acted.outcome, CallOutcome::Failed(_));
                let fits = acted.step == run.step() && unanswered(acted.call);
                let said = !waits(run, acted.call) && (failed || self.is_free(acted.call));
                self.settled.is_empty() && fits && said
            }
            Fact::Steered(_) => matches!(plan, Next::Decide { .. }),
            Fact::Stopped(_) => self.settled.is_empty(),
            Fact::Settled { phase, .. } => plan == Next::Settle(*phase),
            Fact::Resumed { attempt, .. } => {
                *attempt > run.attempt() && !(plan == Next::Done && ended_for_good(run))
            }
            _ => false,
        }
    }

    /// Whether nobody has to approve a call any more.
    fn is_free(&self, call: u32) -> bool {
        let asked = self.run.approval(call);
        asked.is_none_or(|approval| approval.verdict() == Some(Verdict::Approved))
    }

    /// A run waits when, and only when, nothing of its step can be done without an answer; and
    /// nothing that was not approved has begun.
    fn check_waiting(&mut self) {
        let run = &self.run;
        let plan = run.plan();
        let open = (0_u32..).zip(run.open()).filter(|(_, open)| open.answer.is_none());
        let (mut doable, mut waiting) = (0, 0);
        let mut begun = false;
        for (call, open) in open {
            *if waits(run, call) { &mut waiting } else { &mut doable } += 1;
            begun |= open.started && !self.is_free(call);
        }
        let all_wait = doable == 0 && waiting > 0;
        let over = matches!(plan, Next::Settle(_) | Next::Done | Next::Admit(_));
        if !over && all_wait != matches!(plan, Next::Wait { .. }) {
            self.say(format!(
                "planned {plan:?} with {waiting} calls that wait, {doable} that do not"
            ));
        }
        if begun {
            self.say("a call began that nobody approved");
        }
    }

    /// What holds in every state.
    fn check_state(&mut self) {
        let (plan, again) = (self.run.plan(), self.run.plan());
        if plan != again {
            self.say(format!("planned {plan:?}, then {again:?}, without a fact"));
        }
        let over = matches!(plan, Next::Settle(_) | Next::Done);
        if over != self.run.end().is_some() {
            self.say(format!("planned {plan:?} with the end {:?}", self.run.end()));
        }
        if let Next::Settle(phase) = plan
            && self.settled.last().is_some_and(|last| *last >= phase)
        {
            self.say(format!("planned to settle {phase} again or too late"));
        }
        if let Some(end) = self.run.end() {
            let good = matches!(end.stop.status, RunStatus::Ok | RunStatus::DryRun);
            if good == end.stop.error.is_some() {
                self.say(format!("ended so: {:?}", end.stop));
            }
        }
        if plan == Next::Done {
            self.check_done();
        }
        self.check_waiting();
        if let (Next::Decide { .. }, Some(reply)) = (plan, self.run.reply()) {
            let (calls, results) =
                (reply.calls.len(), self.run.transcript().last_results().count());
            if calls == 0 || calls != results {
                self.say(format!("asks the model again with {results} answers to {calls} calls"));
            }
        }
        match replay(&self.log) {
            Ok(folded) => {
                let reached = Digester::new().digest(&folded);
                if reached != self.digester.clone().digest(&self.run) {
                    self.say("the fold of the log is another state");
                }
            }
            Err(error) => self.say(format!("the log does not replay: {error:?}")),
        }
        for policy in Policy::ALL {
            self.check_end(policy);
        }
        self.check_orders();
    }

    /// A run that is over has settled everything that it has.
    fn check_done(&mut self) {
        if let Some((hold, _)) = self.run.hold() {
            let what = format!("{hold} is held after the end");
            self.say(what);
        }
        let spec = Arc::clone(self.run.spec());
        let for_good = ended_for_good(&self.run) && !spec.dry_run;
        let kept = self.run.entered() || self.run.attempt() > 1;
        let due = [
            (Phase::CloseAudit, spec.ports.audit),
            (Phase::Deliver, spec.ports.delivery && for_good && self.run.entered()),
            (Phase::Checkpoint, spec.ports.checkpoint && for_good && kept),
        ];
        for (phase, due) in due {
            if due != self.settled.contains(&phase) {
                self.say(format!("{phase} is due: {due}, settled were {:?}", self.settled));
            }
        }
    }

    /// Given what it plans, every run comes to its end.
    fn check_end(&mut self, policy: Policy) {
        let mut run = self.run.clone();
        let mut settled = self.settled.clone();
        // Four gates, two steps of three calls with what was asked, said and begun, ten phases, and
        // some air.
        for _ in 0..60 {
            let Some((at, fact)) = policy.answer(&run) else { return };
            if let Err(misuse) = run.apply(at, &fact) {
                self.say(format!("{policy:?}: refused what was planned: {misuse}"));
                return;
            }
            if let Fact::Settled { phase, .. } = fact {
                if settled.contains(&phase) {
                    self.say(format!("{policy:?}: settled {phase} twice"));
                }
                settled.push(phase);
            }
        }
        self.say(format!("{policy:?}: did not come to an end: {:?}", run.plan()));
    }

    /// The answers of one step commute.
    fn check_orders(&mut self) {
        let Next::Act { .. } = self.run.plan() else { return };
        let open = self.run.open().iter().zip(0_u32..);
        let open: Vec<u32> = open
            .filter(|(open, call)| open.answer.is_none() && !waits(&self.run, *call))
            .map(|(_, call)| call)
            .collect();
        if open.len() < 2 {
            return;
        }
        for late in [false, true] {
            let mut reached = HashSet::new();
            for order in permutations(&open) {
                let mut run = self.run.clone();
                let mut at = run.last_at();
                for (place, call) in order.iter().enumerate() {
                    let past = late && place + 1 == order.len();
                    at = if past { run.deadline().after(TICK) } else { at.after(TICK) };
                    let fact = Letter::answer(&run, *call);
                    if let Err(misuse) = run.apply(at, &fact) {
                        self.say(format!("answers in the order {order:?}: {misuse}"));
                        return;
                    }
                }
                reached.insert(Digester::new().digest(&run));
            }
            if reached.len() != 1 {
                self.say(format!("{} states after the answers {open:?}", reached.len()));
            }
        }
    }

    /// What holds for every fact that was taken in.
    fn check_step(&mut self, before: &Run, settled: &[Phase], fact: &Fact) {
        if !settled.is_empty()
            && !matches!(fact, Fact::Resumed { .. })
            && before.end() != self.run.end()
        {
            self.say("another end after settling began");
        }
        if before.end().is_some()
            && self.run.end().is_none()
            && !matches!(fact, Fact::Resumed { .. })
        {
            self.say("the end was taken back");
        }
        if before.entered() && !self.run.entered() {
            self.say("the loop was left and never entered");
        }
        if self.run.step() > self.run.spec().limits.max_steps {
            self.say("more steps than allowed");
        }
        if let Fact::Refused { gate: Gate::Reserve, unknown, .. } = fact
            && *unknown != self.run.hold().is_some()
        {
            self.say("a hold that may be granted must be released, a refused one not");
        }
    }
}

pub(super) const TICK: Duration = Duration::from_millis(1);

fn ended_for_good(run: &Run) -> bool {
    run.end().is_some_and(|end| end.stop.status.is_terminal())
}

fn permutations(items: &[u32]) -> Vec<Vec<u32>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for at in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(at, *first);
            all.push(longer);
        }
    }
    all
}
