//! The budget in memory against a naive model of it, over random sequences of calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::MemoryBudget;
use executus_core::port::{Amounts, Budget, BudgetError};
use executus_core::{HoldId, RunId};
use proptest::prelude::*;

const LIMIT: u64 = 100;
const LEASE: u64 = 10;

/// One call, on one of four holds of one of two callers.
#[derive(Debug, Clone, Copy)]
enum Op {
    Reserve { hold: u8, ask: u64 },
    Charge { hold: u8, line: u8, total: u64 },
    Settle { hold: u8, spent: u64 },
    Release { hold: u8 },
    Wait { seconds: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let amount = || 0..70_u64;
    prop_oneof![
        4 => (0..4_u8, amount()).prop_map(|(hold, ask)| Op::Reserve { hold, ask }),
        4 => (0..4_u8, 0..3_u8, amount())
            .prop_map(|(hold, line, total)| Op::Charge { hold, line, total }),
        2 => (0..4_u8, 0..130_u64).prop_map(|(hold, spent)| Op::Settle { hold, spent }),
        1 => (0..4_u8).prop_map(|hold| Op::Release { hold }),
        1 => (1..LEASE + 2).prop_map(|seconds| Op::Wait { seconds }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open { held: u64, until: u64 },
    Lapsed,
    Closed,
}

/// Everything there is, in the plainest form: nothing is kept that can be counted.
#[derive(Debug, Default)]
struct Naive {
    now: u64,
    holds: BTreeMap<u8, State>,
    lines: BTreeMap<(u8, u8), u64>,
    closed_with: BTreeMap<u8, u64>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Fine,
    Exceeded,
    Closed,
    Unknown,
}

/// Even holds are of one caller, odd ones of the other.
const fn caller(hold: u8) -> u8 {
    hold % 2
}

impl Naive {
    fn charged(&self, hold: u8) -> u64 {
        self.lines.iter().filter(|((of, _), _)| *of == hold).map(|(_, total)| total).sum()
    }

    fn held(&self, of: u8) -> u64 {
        let holds = self.holds.iter().filter(|(hold, _)| caller(**hold) == of);
        holds.map(|(_, state)| if let State::Open { held, .. } = state { *held } else { 0 }).sum()
    }

    fn spent(&self, of: u8) -> u64 {
        let holds = self.holds.iter().filter(|(hold, _)| caller(**hold) == of);
        holds
            .map(|(hold, state)| match state {
                State::Open { .. } => 0,
                State::Lapsed => self.charged(*hold),
                State::Closed => self.closed_with.get(hold).copied().unwrap_or(0),
            })
            .sum()
    }

    fn left(&self, of: u8) -> u64 {
        LIMIT.saturating_sub(self.held(of)).saturating_sub(self.spent(of))
    }

    fn apply(&mut self, op: Op) -> Answer {
        let until = self.now + LEASE;
        match op {
            Op::Wait { seconds } => {
                self.now += seconds;
                for state in self.holds.values_mut() {
                    if matches!(state, State::Open { until, .. } if *until <= self.now) {
                        *state = State::Lapsed;
                    }
                }
            }
            Op::Reserve { hold, ask } => match self.holds.get(&hold).copied() {
                Some(State::Open { held, .. }) => {
                    self.holds.insert(hold, State::Open { held, until });
                }
                Some(State::Closed) => return Answer::Closed,
                Some(State::Lapsed) | None => {
                    let held = ask.max(self.charged(hold));
                    if held - self.charged(hold) > self.left(caller(hold)) {
                        return Answer::Exceeded;
                    }
                    self.holds.insert(hold, State::Open { held, until });
                }
            },
            Op::Charge { hold, line, total } => {
                let Some(State::Open { held, .. }) = self.holds.get(&hold).copied() else {
                    let closed = self.holds.get(&hold) == Some(&State::Closed);
                    return if closed { Answer::Closed } else { Answer::Unknown };
                };
                let before = self.lines.get(&(hold, line)).copied();
                self.lines.insert((hold, line), before.unwrap_or(0).max(total));
                let wanted = self.charged(hold).max(held);
                if wanted - held > self.left(caller(hold)) {
                    match before {
                        Some(before) => self.lines.insert((hold, line), before),
                        None => self.lines.remove(&(hold, line)),
                    };
                    return Answer::Exceeded;
                }
                self.holds.insert(hold, State::Open { held: wanted, until });
            }
            Op::Settle { hold, spent } => match self.holds.get(&hold) {
                None => return Answer::Unknown,
                Some(State::Closed) => {}
                Some(State::Open { .. } | State::Lapsed) => {
                    let own = self.lines.entry((hold, 0)).or_default();
                    *own = spent.max(*own);
                    self.closed_with.insert(hold, self.charged(hold));
                    self.holds.insert(hold, State::Closed);
                }
            },
            Op::Release { hold } => {
                if self.holds.get(&hold) != Some(&State::Closed) {
                    self.closed_with.insert(hold, self.charged(hold));
                    self.holds.insert(hold, State::Closed);
                }
            }
        }
        Answer::Fine
    }
}

/// The real one, called as the model is.
struct Real {
    budget: MemoryBudget,
    holds: Vec<HoldId>,
    lines: Vec<RunId>,
}

fn name(caller: u8) -> Arc<str> {
    format!("caller {caller}").into()
}

const fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, runtime_ms: 0, cost_micros: 0, runs: 0 }
}

impl Real {
    fn new() -> Self {
        let budget = MemoryBudget::new(tokens(LIMIT)).with_lease(Duration::from_secs(LEASE));
        let holds = (0..4).map(|_| HoldId { run: RunId::random(), attempt: 1 }).collect();
        let lines = (0..3).map(|_| RunId::random()).collect();
        Self { budget, holds, lines }
    }

    async fn apply(&self, op: Op) -> Answer {
        let id = |hold: u8| &self.holds[usize::from(hold)];
        let answer = match op {
            Op::Wait { seconds } => {
                tokio::time::advance(Duration::from_secs(seconds)).await;
                Ok(())
            }
            Op::Reserve { hold, ask } => {
                self.budget.reserve(id(hold), &name(caller(hold)), tokens(ask)).await
            }
            Op::Charge { hold, line, total } => {
                // Line 0 is the hold's own run.
                let own = (line == 0).then(|| id(hold).run.clone());
                let line = own.unwrap_or_else(|| self.lines[usize::from(line)].clone());
                self.budget.charge(id(hold), &line, tokens(total)).await
            }
            Op::Settle { hold, spent } => self.budget.settle(id(hold), tokens(spent)).await,
            Op::Release { hold } => self.budget.release(id(hold)).await,
        };
        match answer {
            Ok(()) => Answer::Fine,
            Err(BudgetError::Exceeded { .. }) => Answer::Exceeded,
            Err(BudgetError::Closed { .. }) => Answer::Closed,
            Err(BudgetError::Unknown { .. }) => Answer::Unknown,
            Err(error) => panic!("{error}"),
        }
    }
}

/// B1 B2 B3 B4 B5 B6 B7: after every call of a random sequence, answer and accounts are the model's.
#[test]
fn the_budget_is_its_model() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let sequences = proptest::collection::vec(op(), 1..60);
    let check = runner.run(&sequences, |ops| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut naive, real) = (Naive::default(), Real::new());
            for (at, op) in ops.iter().enumerate() {
                let (expected, answer) = (naive.apply(*op), real.apply(*op).await);
                prop_assert_eq!(answer, expected, "call {}: {:?}", at, op);
                for of in 0..2 {
                    let account = real.budget.account(&name(of));
                    prop_assert_eq!(account.held.tokens, naive.held(of), "held, {:?}", op);
                    prop_assert_eq!(account.spent.tokens, naive.spent(of), "spent, {:?}", op);
                }
            }
            Ok(())
        })
    });
    if let Err(error) = check {
        panic!("{error}");
    }
}
