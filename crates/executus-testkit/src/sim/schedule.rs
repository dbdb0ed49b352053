//! What a seed decides.

use std::time::Duration;

use executus_core::{ApprovalLimit, Call, Effect, Limits, ModelError, Reply, Usage};
use fastrand::Rng;
use serde_json::json;

use crate::faulty::{Fault, Plan, Site};
use crate::scripted::{Do, Say};

/// Who stops a run, or its process, and when.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stroke {
    /// The caller cancels after a while.
    Cancel(Duration),
    /// The caller drops its handle after a while.
    Drop(Duration),
    /// The caller steers after a while.
    Steer(Duration),
    /// The critic stops the run after a while.
    Critic(Duration),
    /// The critic moves the deadline near after a while.
    Deadline(Duration),
}

/// How a process ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProcessEnd {
    /// When all its runs have.
    AtRest,
    /// It is shut down with this grace.
    Shutdown { after: Duration, grace: Duration },
    /// The tasks of its runs are dropped at this poll.
    Dropped { at_poll: u32 },
    /// The tasks of its runs stop being polled at this poll, and nothing of them is dropped.
    Killed { at_poll: u32 },
}

/// One life of the process: what goes wrong in it and how it ends.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) plan: Plan,
    pub(super) end: ProcessEnd,
}

/// One run.
#[derive(Debug)]
pub(super) struct RunPlan {
    pub(super) script: Vec<Say>,
    pub(super) strokes: Vec<Stroke>,
    pub(super) limits: Limits,
    pub(super) dry: bool,
    pub(super) delegates: bool,
}

/// One tool.
#[derive(Debug)]
pub(super) struct ToolPlan {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    pub(super) act: Do,
    /// How long one call may take.
    pub(super) limit: Option<Duration>,
    /// Within which time somebody has to approve each call.
    pub(super) approval: Option<ApprovalLimit>,
}

/// What is said to a call that awaits approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Yes,
    No,
    /// A yes that comes too late.
    Late,
    /// Nothing, at this boot.
    Nothing,
}

/// Everything that a seed decides.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) ports: [bool; 6],
    pub(super) tools: Vec<ToolPlan>,
    pub(super) runs: Vec<RunPlan>,
    pub(super) processes: Vec<Process>,
    pub(super) limit_tokens: u64,
    /// What is said to calls that await approval, in turn.
    pub(super) words: Vec<Word>,
}

impl Schedule {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ports = std::array::from_fn(|_| rng.u8(..5) > 0);
        let mut tools: Vec<_> = ["read", "put", "once", "odd"]
            .into_iter()
            .zip([Effect::ReadOnly, Effect::Idempotent, Effect::Once, any_effect(&mut rng)])
            .map(|(name, effect)| {
                let limit = (rng.u8(..4) == 0).then(|| millis(&mut rng, 300));
                let act = act(&mut rng, name == "odd");
                ToolPlan { name, effect, act, limit, approval: None }
            })
            .collect();
        let runs = (0..rng.usize(1..=3)).map(|_| run(&mut rng)).collect();
        let lives = rng.usize(1..=3);
        let mut processes: Vec<_> = (0..lives).map(|_| process(&mut rng)).collect();
        // The last process is healthy: what can be finished, must be.
        processes.push(Process { plan: Plan::new(), end: ProcessEnd::AtRest });
        let limit_tokens = if rng.u8(..4) == 0 { 1_500 } else { 1_000_000 };
        let words = words(&mut rng, &mut tools);
        Self { ports, tools, runs, processes, limit_tokens, words }
    }
}

fn millis(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_millis(rng.u64(1..=most))
}

/// In half of the worlds some tools need an approval, for a long time or a short one. Drawn last:
/// what a seed decides beside it stays as it was.
fn words(rng: &mut Rng, tools: &mut [ToolPlan]) -> Vec<Word> {
    if rng.bool() {
        for tool in tools {
            tool.approval = match rng.u8(..4) {
                0 => Some(ApprovalLimit::default()),
                1 => Some(ApprovalLimit::new(Duration::from_secs(1))),
                _ => None,
            };
        }
    }
    let word =
        |rng: &mut Rng| [Word::Yes, Word::Yes, Word::No, Word::Late, Word::Nothing][rng.usize(..5)];
    (0..8).map(|_| word(rng)).collect()
}

fn any_effect(rng: &mut Rng) -> Effect {
    [Effect::ReadOnly, Effect::Idempotent, Effect::Once][rng.usize(..3)]
}

fn act(rng: &mut Rng, odd: bool) -> Do {
    match rng.u8(..if odd { 8 } else { 4 }) {
        0..=1 => Do::Echo,
        2..=3 => Do::Slow(millis(rng, 200)),
        4 => Do::Fail(executus_core::ToolError::failed("simulated")),
        5 => Do::Panic,
        6 => Do::PanicInDrop,
        _ => Do::Hang,
    }
}

fn run(rng: &mut Rng) -> RunPlan {
    let steps = rng.usize(0..=4);
    let mut script: Vec<_> = (0..steps).map(|_| step(rng)).collect();
    let last = match rng.u8(..10) {
        0 => Say::Fail(ModelError::Unavailable { message: "simulated".into() }),
        1 => Say::Panic,
        2 => Say::Hang,
        3 => Say::Slowly(millis(rng, 400), answer(rng)),
        _ => Say::Reply(answer(rng)),
    };
    script.push(stumbling(rng, last));
    let strokes = (0..rng.usize(0..=2)).map(|_| {
        let after = millis(rng, 600);
        match rng.u8(..6) {
            0 => Stroke::Cancel(after),
            1 => Stroke::Drop(after),
            2 | 3 => Stroke::Steer(after),
            4 => Stroke::Critic(after),
            _ => Stroke::Deadline(after),
        }
    });
    let strokes = strokes.collect();
    let limits = Limits {
        hard_timeout: Duration::from_millis(rng.u64(50..3_000)),
        max_steps: rng.u32(1..=6),
        max_tokens: 1_000,
        concurrency: rng.u32(1..=3),
        max_calls_per_step: 4,
        ..Limits::default()
    };
    RunPlan { script, strokes, limits, dry: rng.u8(..20) == 0, delegates: rng.bool() }
}

fn answer(rng: &mut Rng) -> Reply {
    Reply::text("done").using(usage(rng))
}

fn usage(rng: &mut Rng) -> Usage {
    Usage { input_tokens: rng.u64(..200), output_tokens: rng.u64(..100), ..Usage::default() }
}

/// The same, now and then after attempts that failed.
fn stumbling(rng: &mut Rng, say: Say) -> Say {
    match rng.u8(..6) {
        0 => {
            let used = if rng.bool() { usage(rng) } else { Usage::default() };
            Say::Stumble(rng.u32(1..=3), used, Box::new(say))
        }
        _ => say,
    }
}

fn step(rng: &mut Rng) -> Say {
    const NAMES: [&str; 7] = ["read", "put", "once", "once", "odd", "agent__child", "missing"];
    let mut reply = Reply::default().using(usage(rng));
    for n in 0..rng.usize(1..=5) {
        let name = NAMES[rng.usize(..NAMES.len())];
        reply = reply.and_call(name, json!({"n": n}));
        if let (0, Some(Call { broken, .. })) = (rng.u8(..20), reply.calls.last_mut()) {
            *broken = Some("simulated".into());
        }
    }
    let say =
        if rng.u8(..4) == 0 { Say::Slowly(millis(rng, 200), reply) } else { Say::Reply(reply) };
    stumbling(rng, say)
}

fn process(rng: &mut Rng) -> Process {
    let faults = rng.usize(0..=3);
    let mut plan = Plan::new();
    for _ in 0..faults {
        let site = Site::ALL[rng.usize(..Site::ALL.len())];
        let fault = match rng.usize(..Fault::ALL.len()) {
            7 => Fault::Late(millis(rng, 400)),
            at => Fault::ALL[at],
        };
        let nth = if site == Site::AuditRecord { rng.u64(1..=12) } else { rng.u64(1..=3) };
        plan = if rng.u8(..4) == 0 {
            plan.from(site, nth, fault)
        } else {
            plan.with(site, nth, fault)
        };
    }
    let end = match rng.u8(..8) {
        0..=2 => ProcessEnd::AtRest,
        3..=4 => ProcessEnd::Shutdown { after: millis(rng, 500), grace: millis(rng, 3_000) },
        5 => ProcessEnd::Dropped { at_poll: rng.u32(1..=40) },
        _ => ProcessEnd::Killed { at_poll: rng.u32(1..=40) },
    };
    Process { plan, end }
}
