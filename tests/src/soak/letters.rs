//! The alphabet of facts that the walk over the run machine tries.

use std::sync::Arc;
use std::time::Duration;

use executus_core::machine::{Approval, Verdict};
use executus_core::record::{Answer, Attempt, Decided, Gate, Stop};
use executus_core::transcript::{Acted, CallOutcome, Steer};
use executus_core::{
    Effect, ErrorKind, Fact, Next, Phase, Reply, Run, RunError, RunStatus, Timestamp, ToolError,
    ToolOutput, Usage,
};
use serde_json::json;

use super::machine::TICK;

/// A kind of fact. What it says depends on the state that it meets alone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Letter {
    Admit(Gate),
    Refuse {
        gate: Gate,
        unknown: bool,
    },
    /// A decision with so many calls; none is the final answer.
    Decide {
        calls: u32,
        late: bool,
    },
    /// A final answer that passes the token limit.
    Costly,
    /// A decision of a step that was decided, or of calls that do not match.
    Stale,
    Misfit,
    Undecided,
    /// An attempt that failed and used something.
    Attempted,
    /// A call that awaits approval.
    Ask {
        call: u32,
    },
    /// What is said to it; late, it denies.
    Say {
        call: u32,
        approved: bool,
        late: bool,
    },
    Start {
        call: u32,
    },
    Answer {
        call: u32,
        late: bool,
    },
    /// An answer of a step that was not decided.
    Foreign,
    Steer,
    Stop(RunStatus),
    Settle(Phase),
    Resume,
    /// A life that has been lived.
    Relive,
}

pub(super) fn alphabet() -> Vec<Letter> {
    let mut letters = Vec::new();
    letters.extend(Gate::ALL.map(Letter::Admit));
    letters.extend(Gate::ALL.map(|gate| Letter::Refuse { gate, unknown: false }));
    letters.push(Letter::Refuse { gate: Gate::Reserve, unknown: true });
    for calls in [0, 1, 3] {
        letters.push(Letter::Decide { calls, late: false });
    }
    letters.push(Letter::Decide { calls: 1, late: true });
    letters.extend([Letter::Costly, Letter::Stale, Letter::Misfit, Letter::Undecided]);
    letters.push(Letter::Attempted);
    letters.extend((0..2).map(|call| Letter::Ask { call }));
    for (call, approved, late) in [(0, true, false), (0, false, false), (1, true, true)] {
        letters.push(Letter::Say { call, approved, late });
    }
    letters.extend((0..3).map(|call| Letter::Start { call }));
    letters.extend((0..3).map(|call| Letter::Answer { call, late: false }));
    letters.extend([Letter::Answer { call: 0, late: true }, Letter::Foreign, Letter::Steer]);
    letters.extend([RunStatus::Cancelled, RunStatus::Interrupted].map(Letter::Stop));
    letters.extend(Phase::ALL.map(Letter::Settle));
    letters.extend([Letter::Resume, Letter::Relive]);
    letters
}

impl Letter {
    /// The fact, and when it happens.
    pub(super) fn fact(self, run: &Run) -> (Timestamp, Fact) {
        let late =
            matches!(self, Self::Decide { late: true, .. } | Self::Answer { late: true, .. });
        let at = if late { run.deadline().max(run.last_at()) } else { run.last_at() };
        (at.after(TICK), self.said(run))
    }

    fn said(self, run: &Run) -> Fact {
        let next = run.step() + 1;
        match self {
            Self::Admit(gate) => Fact::Admitted(gate),
            Self::Refuse { gate, unknown } => {
                let stop = stop(RunStatus::Error, ErrorKind::Budget);
                Fact::Refused { gate, stop, unknown }
            }
            Self::Decide { calls, .. } => decided(next, calls, 1),
            Self::Costly => decided(next, 0, 1000),
            Self::Stale => decided(run.step(), 1, 1),
            Self::Misfit => {
                let reply = Arc::new(Reply::call("look", json!({})));
                Fact::Decided(Decided { step: next, reply, effects: Vec::new() })
            }
            Self::Undecided => {
                let error = RunError::new(ErrorKind::Model, "none");
                Fact::Undecided { step: next, error }
            }
            Self::Attempted => Fact::Attempted(Arc::new(Attempt {
                step: next,
                model: "other".into(),
                error: "away".into(),
                usage: Usage { input_tokens: 1, ..Usage::default() },
            })),
            Self::Ask { call } => {
                Fact::Asked { step: run.step(), call, until: run.last_at().after(HOUR) }
            }
            Self::Say { call, approved, late } => said(run, call, approved, late),
            Self::Start { call } => Fact::Started { step: run.step(), call },
            Self::Answer { call, .. } => Self::answer(run, call),
            Self::Foreign => acted(next, 0, CallOutcome::Unknown),
            Self::Steer => {
                Fact::Steered(Arc::new(Steer { source: "critic".into(), text: "left".into() }))
            }
            Self::Stop(status) => Fact::Stopped(stop(status, ErrorKind::Cancelled)),
            Self::Settle(phase) => Fact::Settled { phase, error: None },
            Self::Resume => resumed(run, run.attempt() + 1),
            Self::Relive => resumed(run, run.attempt()),
        }
    }

    /// How a call ends: each in another way, one that was not approved as it must.
    pub(super) fn answer(run: &Run, call: u32) -> Fact {
        let verdict = run.approval(call).and_then(Approval::verdict);
        let outcome = match call {
            _ if matches!(verdict, Some(Verdict::Denied | Verdict::Expired)) => {
                CallOutcome::Failed(ToolError::failed("not approved"))
            }
            0 => CallOutcome::Output(ToolOutput::text("found")),
            1 => CallOutcome::Failed(ToolError::failed("nothing there")),
            _ => CallOutcome::Failed(ToolError::Denied {
                code: "no".into(),
                message: "not this one".into(),
                ends_run: true,
            }),
        };
        acted(run.step(), call, outcome)
    }
}

fn decided(step: u32, calls: u32, tokens: u64) -> Fact {
    const EFFECTS: [Effect; 3] = [Effect::Once, Effect::ReadOnly, Effect::Idempotent];
    let mut reply = Reply { text: format!("step {step}"), ..Reply::default() };
    for n in 0..calls {
        reply = reply.and_call("look", json!({"n": n}));
    }
    let reply = Arc::new(reply.using(Usage { output_tokens: tokens, ..Usage::default() }));
    Fact::Decided(Decided { step, reply, effects: EFFECTS[..calls as usize].to_vec() })
}

fn acted(step: u32, call: u32, outcome: CallOutcome) -> Fact {
    let (id, name) = ("".into(), "look".into());
    Fact::Acted(Arc::new(Acted { step, call, id, name, outcome, duration_ms: 1 }))
}

const HOUR: Duration = Duration::from_secs(3600);

fn said(run: &Run, call: u32, approved: bool, late: bool) -> Fact {
    let until = run.approval(call).map_or(run.last_at(), |approval| approval.until);
    let at = if late { until.after(TICK) } else { until };
    let by = if late { "" } else { "ann" };
    let answer = Answer { approved, ..Answer::yes(run.step(), call, by) };
    Fact::Answered(Arc::new(answer.at(at)))
}

fn stop(status: RunStatus, kind: ErrorKind) -> Stop {
    Stop { status, error: Some(RunError::new(kind, "so it was asked")) }
}

fn resumed(run: &Run, attempt: u32) -> Fact {
    // The log of a walk is numbered without gaps; nothing in it is void.
    let deadline = run.last_at().after(Duration::from_secs(60));
    Fact::Resumed { from_seq: u64::MAX, attempt, deadline }
}

/// One way to answer whatever a run plans.
#[derive(Debug, Clone, Copy)]
pub(super) enum Policy {
    /// All is well, and the first decision is final.
    Well,
    /// One call, then the final answer.
    OneCall,
    /// The model asks for calls for ever.
    Busy,
    /// Every call has to be approved, and is or is not.
    Asking,
    /// Whatever can be refused is.
    Badly,
}

impl Policy {
    pub(super) const ALL: [Self; 5] =
        [Self::Well, Self::OneCall, Self::Busy, Self::Asking, Self::Badly];

    /// The answer to the plan; `None` when the run is over.
    pub(super) fn answer(self, run: &Run) -> Option<(Timestamp, Fact)> {
        let letter = match run.plan() {
            Next::Admit(gate) if matches!(self, Self::Badly) => {
                Letter::Refuse { gate, unknown: true }
            }
            Next::Admit(gate) => Letter::Admit(gate),
            Next::Decide { step } => match self {
                Self::Well => Letter::Decide { calls: 0, late: false },
                Self::OneCall => Letter::Decide { calls: u32::from(step == 1), late: false },
                Self::Busy | Self::Asking => Letter::Decide { calls: 2, late: false },
                Self::Badly => Letter::Undecided,
            },
            Next::Act { .. } => {
                let mut calls = (0_u32..).zip(run.open()).filter(|(_, open)| open.answer.is_none());
                let to_ask = calls.clone().find(|(call, open)| {
                    matches!(self, Self::Asking) && !open.started && run.approval(*call).is_none()
                });
                match to_ask {
                    Some((call, _)) => Letter::Ask { call },
                    None => {
                        let (call, _) = calls.find(|(call, _)| !waits(run, *call))?;
                        Letter::Answer { call, late: false }
                    }
                }
            }
            Next::Wait { .. } => {
                let waiting = run.approvals().iter().find(|approval| waits(run, approval.call))?;
                let call = waiting.call;
                let approved = call == 0 && !matches!(self, Self::Badly);
                Letter::Say { call, approved, late: matches!(self, Self::OneCall) }
            }
            Next::Settle(phase) => Letter::Settle(phase),
            Next::Done => return None,
        };
        Some(letter.fact(run))
    }
}

/// Whether a call awaits approval.
pub(super) fn waits(run: &Run, call: u32) -> bool {
    run.approval(call).is_some_and(|approval| approval.answer.is_none())
}
