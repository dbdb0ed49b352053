//! The run machine by tables: no runtime, no ports.

use std::sync::Arc;
use std::time::Duration;

use executus_core::digest::Digest;
use executus_core::machine::{Digester, FoldError, Misuse};
use executus_core::record::{Attempt, Decided, Gate, Stop};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{
    Effect, Entry, ErrorKind, Fact, Key, Next, Phase, Record, Reply, Run, RunError, RunId, RunSpec,
    RunStatus, ToolError, ToolOutput, Usage,
};
use executus_testkit::sample;
use serde_json::json;

const TICK: Duration = Duration::from_millis(1);

fn spec() -> RunSpec {
    let mut spec = sample::spec(&RunId::new("tables").unwrap());
    spec.ports.audit = true;
    spec.ports.budget = true;
    spec
}

fn digest(run: &Run) -> Digest {
    Digester::new().digest(run)
}

/// Takes facts in, a tick apart.
fn feed(run: &mut Run, facts: impl IntoIterator<Item = Fact>) {
    for fact in facts {
        let at = run.last_at().after(TICK);
        run.apply(at, &fact).unwrap();
    }
}

fn admitted() -> Run {
    let mut run = Run::new(Arc::new(spec()));
    feed(&mut run, [Gate::Record, Gate::Reserve].map(Fact::Admitted));
    run
}

fn decided(step: u32, calls: usize) -> Fact {
    let mut reply = Reply::default().using(Usage { output_tokens: 5, ..Usage::default() });
    for n in 0..calls {
        reply = reply.and_call("look", json!({"n": n}));
    }
    Fact::Decided(Decided { step, reply: Arc::new(reply), effects: vec![Effect::Once; calls] })
}

fn acted(step: u32, call: u32, outcome: CallOutcome) -> Fact {
    let (id, name) = ("".into(), "look".into());
    Fact::Acted(Arc::new(Acted { step, call, id, name, outcome, duration_ms: 3 }))
}

fn found(step: u32, call: u32) -> Fact {
    acted(step, call, CallOutcome::Output(ToolOutput::text(format!("page {call}"))))
}

fn denial() -> CallOutcome {
    let (code, message) = ("no".into(), "not this".into());
    CallOutcome::Failed(ToolError::Denied { code, message, ends_run: true })
}

fn stopped(status: RunStatus) -> Fact {
    let error = Some(RunError::new(ErrorKind::Interrupted, "so it was asked"));
    Fact::Stopped(Stop { status, error })
}

fn resumed(run: &Run, from_seq: u64) -> Fact {
    let deadline = run.last_at().after(Duration::from_secs(60));
    Fact::Resumed { from_seq, attempt: run.attempt() + 1, deadline }
}

/// Which fact the plan leads to, from the first gate to the end.
#[test]
fn a_life_by_its_plan() {
    let settle = |phase| (Next::Settle(phase), Fact::Settled { phase, error: None });
    let table = [
        (Next::Admit(Gate::Record), Fact::Admitted(Gate::Record)),
        (Next::Admit(Gate::Reserve), Fact::Admitted(Gate::Reserve)),
        (Next::Decide { step: 1 }, decided(1, 2)),
        (Next::Act { step: 1 }, Fact::Started { step: 1, call: 1 }),
        (Next::Act { step: 1 }, found(1, 1)),
        (Next::Act { step: 1 }, found(1, 0)),
        (Next::Decide { step: 2 }, decided(2, 0)),
        settle(Phase::Finishing),
        settle(Phase::CleanUp),
        settle(Phase::Children),
        settle(Phase::SettleBudget),
        settle(Phase::Persist),
        settle(Phase::CloseAudit),
        settle(Phase::Finished),
    ];
    let mut run = Run::new(Arc::new(spec()));
    for (plan, fact) in table {
        assert_eq!(run.plan(), plan);
        feed(&mut run, [fact]);
    }
    assert_eq!(run.plan(), Next::Done);
    assert_eq!(run.end().unwrap().stop.status, RunStatus::Ok);
    assert_eq!(run.hold(), None);
}

/// A fact that does not fit is refused by name, and changes nothing.
#[test]
fn what_does_not_fit_changes_nothing() {
    let mut act = admitted();
    feed(&mut act, [decided(1, 2), Fact::Started { step: 1, call: 0 }, found(1, 1)]);
    let mut settling = admitted();
    let finishing = Fact::Settled { phase: Phase::Finishing, error: None };
    feed(&mut settling, [decided(1, 0), finishing.clone()]);
    let table = [
        (admitted(), Fact::Opened(Arc::new(spec())), "opened"),
        (admitted(), Fact::Admitted(Gate::Watch), "admitted"),
        (admitted(), decided(2, 0), "decided"),
        (admitted(), found(0, 0), "acted"),
        (admitted(), finishing.clone(), "settled"),
        (act.clone(), decided(2, 0), "decided"),
        (act.clone(), Fact::Started { step: 1, call: 0 }, "started"),
        (act.clone(), Fact::Started { step: 1, call: 2 }, "started"),
        (act.clone(), found(1, 1), "acted"),
        (act, found(2, 0), "acted"),
        (settling.clone(), stopped(RunStatus::Cancelled), "stopped"),
        (settling, finishing, "settled"),
    ];
    for (mut run, fact, kind) in table {
        let (before, next) = (digest(&run), run.plan());
        let misuse = run.apply(run.last_at().after(TICK), &fact).unwrap_err();
        assert_eq!(misuse, Misuse { fact: kind, next });
        assert_eq!(digest(&run), before, "{misuse}");
    }
}

/// The answers of a step commute, whatever they are and whatever was begun before.
#[test]
fn answers_commute() {
    let answers = [found(1, 0), acted(1, 1, denial()), acted(1, 2, CallOutcome::Unknown)];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let reached = orders.map(|order| {
        let mut run = admitted();
        feed(&mut run, [decided(1, 3)]);
        feed(&mut run, order.map(|call| Fact::Started { step: 1, call }));
        feed(&mut run, order.map(|call| answers[call as usize].clone()));
        assert_eq!(run.end().unwrap().stop.status, RunStatus::Error);
        digest(&run)
    });
    assert!(reached.iter().all(|state| *state == reached[0]), "{reached:?}");
}

/// An interruption takes no end back that the step had decided: the next life only settles.
#[test]
fn a_decided_end_outlives_an_interruption() {
    let final_answer = vec![decided(1, 0)];
    let denied = vec![decided(1, 1), acted(1, 0, denial())];
    let mut spec = spec();
    let mut narrow = spec.clone();
    spec.limits.max_steps = 1;
    narrow.limits.max_history_bytes = 3;
    let cases = [
        (admitted(), final_answer, RunStatus::Ok, None),
        (admitted(), denied, RunStatus::Error, Some(ErrorKind::Denied)),
        (
            {
                let mut run = Run::new(Arc::new(spec));
                feed(&mut run, [Gate::Record, Gate::Reserve].map(Fact::Admitted));
                run
            },
            vec![decided(1, 1)],
            RunStatus::Error,
            Some(ErrorKind::StepLimit),
        ),
        (
            {
                let mut run = Run::new(Arc::new(narrow));
                feed(&mut run, [Gate::Record, Gate::Reserve].map(Fact::Admitted));
                run
            },
            vec![decided(1, 1), found(1, 0)],
            RunStatus::Error,
            Some(ErrorKind::ContextOverflow),
        ),
    ];
    for (mut run, facts, status, kind) in cases {
        feed(&mut run, facts);
        feed(&mut run, [stopped(RunStatus::Interrupted)]);
        assert_eq!(run.end().unwrap().stop.status, RunStatus::Interrupted);
        let next = resumed(&run, 99);
        feed(&mut run, [next]);
        let end = run.end().expect("the end that was decided");
        assert_eq!((end.stop.status, end.stop.error.as_ref().map(|it| it.kind)), (status, kind));
        assert_eq!(run.plan(), Next::Settle(Phase::Finishing));
    }
}

/// A failed attempt counts and ends nothing, however late: what it led to comes next.
#[test]
fn a_late_attempt_counts_and_leaves_the_end_to_what_follows() {
    let attempted = |step, tokens| {
        let usage = Usage { input_tokens: tokens, ..Usage::default() };
        let (model, error) = ("other".into(), "away".into());
        Fact::Attempted(Arc::new(Attempt { step, model, error, usage }))
    };
    for (last, output) in [(decided(1, 0), 5), (stopped(RunStatus::Timeout), 0)] {
        let mut run = admitted();
        let late = run.deadline().after(TICK);
        for tokens in [3, 4] {
            run.apply(late, &attempted(1, tokens)).unwrap();
            assert_eq!(run.plan(), Next::Decide { step: 1 });
        }
        run.apply(late, &last).unwrap();
        assert_eq!(run.end().unwrap().stop.status, RunStatus::Timeout);
        assert_eq!((run.tally().input_tokens, run.tally().output_tokens), (7, output));
        let (reached, misuse) = (digest(&run), run.apply(late, &attempted(1, 1)));
        assert!(misuse.is_err(), "it is over");
        assert_eq!(digest(&run), reached);
    }
    assert!(admitted().apply(spec().started_at.after(TICK), &attempted(2, 1)).is_err());
}

/// The model reads of every call that it asked for, even of those that nobody performs any more.
#[test]
fn a_cut_step_is_closed_when_the_run_goes_on() {
    let mut run = admitted();
    feed(&mut run, [decided(1, 2), found(1, 1), stopped(RunStatus::Cancelled)]);
    feed(&mut run, [stopped(RunStatus::Interrupted)]);
    let next = resumed(&run, 99);
    feed(&mut run, [next, Fact::Admitted(Gate::Record), Fact::Admitted(Gate::Reserve)]);
    assert_eq!(run.plan(), Next::Decide { step: 2 });
    let results = run.transcript().entries().iter().filter_map(|entry| match entry {
        Entry::Result(acted) => Some((acted.call, acted.outcome == CallOutcome::Unknown)),
        Entry::Reply(_) | Entry::Steer(_) => None,
    });
    assert_eq!(results.collect::<Vec<_>>(), [(1, false), (0, true)]);
}

/// What a life did after the facts that the next one knew of is void.
#[test]
fn a_resumption_makes_void_what_it_did_not_know() {
    let facts = [
        Fact::Admitted(Gate::Record),
        Fact::Admitted(Gate::Reserve),
        decided(1, 1),
        found(1, 0),
        decided(2, 0),
    ];
    let spec = Arc::new(spec());
    let record = |seq, fact| sample::at(&spec.run_id, seq, Key::step(0), fact);
    let mut log = vec![record(1, Fact::Opened(Arc::clone(&spec)))];
    log.extend((2..).zip(facts).map(|(seq, fact)| record(seq, fact)));
    for known in 1..=log.len() {
        let mut expected = Run::fold(&log[..known]).unwrap();
        let next = record(log.len() as u64 + 1, resumed(&expected, known as u64));
        expected.apply(next.at, &next.fact).unwrap();
        let whole: Vec<Record> = log.iter().cloned().chain([next]).collect();
        assert_eq!(digest(&Run::fold(&whole).unwrap()), digest(&expected), "{known} known");
    }
    let gap = [log[0].clone(), log[2].clone()];
    assert_eq!(Run::fold(&gap).unwrap_err(), FoldError::Gap { after: 1, found: 3 });
    assert_eq!(Run::fold(&log[1..]).unwrap_err(), FoldError::NotOpened);
}
