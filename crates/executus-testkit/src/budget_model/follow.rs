//! Makes the calls on a budget and on the model, and compares.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::port::{Accounts, Amounts, Budget, Limit, Window};
use executus_core::{HoldId, RunId, Timestamp};

use super::command::{ACCOUNTS, Command, HOLDS, LINES};
use super::reference::{Answer, Call, Reference};
use crate::conformance::BudgetProbe;

/// How many states the model may be in at once before a sequence says nothing any more.
const STATES: usize = 2048;

/// Where a budget and its model part.
#[derive(Debug, Clone)]
pub struct Disagreement {
    /// The place of the command in its sequence, from 0.
    pub at: usize,
    /// The command.
    pub command: Command,
    /// What the budget did and what the model expected.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}, {:?}: {}", self.at, self.command, self.what)
    }
}

impl std::error::Error for Disagreement {}

/// Makes the calls of a sequence on a budget, on accounts and holds that nobody used before, and
/// compares each answer and what stands in the accounts with the model's.
///
/// Every hold that was granted is [abandoned](BudgetProbe::abandon): its lease runs out.
///
/// # Errors
/// The first [`Disagreement`].
pub async fn follow(probe: &dyn BudgetProbe, commands: &[Command]) -> Result<(), Disagreement> {
    let real = Real::new(probe).await;
    let mut states = vec![Reference::new(probe.lease().map(whole_ms))];
    for account in 0..ACCOUNTS {
        let command = Command::Limits { account, limits: account + 1 };
        let begun = real.call_both(command, &mut states).await;
        begun.map_err(|what| Disagreement { at: 0, command, what })?;
    }
    let mut last = None;
    for (at, command) in commands.iter().enumerate() {
        let command = match command {
            Command::Again => last.unwrap_or(Command::Release { hold: 0 }),
            other => *other,
        };
        last = Some(command);
        let stepped = real.step(command, &mut states).await;
        stepped.map_err(|what| Disagreement { at, command, what })?;
    }
    Ok(())
}

/// The budget that is called, and the names of what the commands number.
struct Real<'a> {
    probe: &'a dyn BudgetProbe,
    alone: Arc<dyn Budget>,
    shared: Arc<dyn Budget>,
    accounts: Vec<Arc<str>>,
    holds: Vec<HoldId>,
    lines: Vec<RunId>,
}

const fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis() as u64)
}

/// The store's time in whole milliseconds, as windows and leases count it.
async fn now(probe: &dyn BudgetProbe) -> Timestamp {
    Timestamp::from_millis(probe.now().await.as_millis())
}

/// Amounts in every dimension from one measure.
fn amounts(measure: u8, place: bool) -> Amounts {
    let tokens = u64::from(measure);
    Amounts { tokens, runtime_ms: tokens / 2, cost_micros: tokens * 3, runs: u64::from(place) }
}

fn limits(number: u8, length: Duration) -> Vec<Limit> {
    let most = |tokens| Amounts { tokens, runtime_ms: 55, cost_micros: 320, runs: 2 };
    match number {
        0 => vec![Limit::total(most(400))],
        1 => vec![Limit::new(Window::fixed(length), most(100))],
        2 => vec![
            Limit::new(Window::rolling(length), most(100)),
            Limit::total(Amounts { tokens: 500, ..Amounts::UNLIMITED }),
        ],
        3 => vec![
            Limit::new(Window::fixed(length), most(90)),
            Limit::new(Window::rolling(length * 2), most(120)),
        ],
        _ => Vec::new(),
    }
}

impl<'a> Real<'a> {
    async fn new(probe: &'a dyn BudgetProbe) -> Self {
        let fresh = || Arc::<str>::from(RunId::random().as_str());
        let accounts: Vec<_> = (0..ACCOUNTS).map(|_| fresh()).collect();
        let both = Accounts::caller().and_always(Arc::clone(&accounts[2]));
        Self {
            probe,
            alone: probe.with_accounts(Accounts::caller()).await,
            shared: probe.with_accounts(both).await,
            accounts,
            holds: (0..HOLDS).map(|_| HoldId { run: RunId::random(), attempt: 1 }).collect(),
            lines: (0..LINES).map(|_| RunId::random()).collect(),
        }
    }

    async fn step(&self, command: Command, states: &mut Vec<Reference>) -> Result<(), String> {
        self.call_both(command, states).await?;
        if let Command::Wait { eighths, lease } = command {
            let unit = self.probe.lease().filter(|_| lease).unwrap_or_else(|| self.probe.window());
            self.probe.advance(whole_ms(unit * u32::from(eighths) / 8)).await;
        }
        self.look(states).await
    }

    /// Makes the call of a command, if it is one, on the budget and on the model.
    async fn call_both(&self, command: Command, states: &mut Vec<Reference>) -> Result<(), String> {
        let Some(call) = self.call(command) else { return Ok(()) };
        let before = now(self.probe).await;
        let answer = self.make(&call).await;
        let after = now(self.probe).await;
        settle_states(states, &call, before, after, &answer)
    }

    fn call(&self, command: Command) -> Option<Call> {
        Some(match command {
            Command::Reserve { hold, ask, place } => {
                let shared = (hold >= HOLDS / 2).then_some(2);
                let accounts = [hold % 2].into_iter().chain(shared).collect();
                Call::Reserve { hold, accounts, ask: amounts(ask, place) }
            }
            Command::Charge { hold, line, total } => {
                Call::Charge { hold, line, total: amounts(total, false) }
            }
            Command::Settle { hold, spent } => Call::Settle { hold, spent: amounts(spent, true) },
            Command::Release { hold } => Call::Release { hold },
            Command::Limits { account, limits: number } => {
                Call::Limits { account, limits: limits(number, self.probe.window()) }
            }
            Command::Again | Command::Wait { .. } => return None,
        })
    }

    async fn make(&self, call: &Call) -> Answer {
        let id = |hold: u8| &self.holds[usize::from(hold)];
        let budget = |hold| if hold >= HOLDS / 2 { &self.shared } else { &self.alone };
        let said = match call {
            Call::Reserve { hold, ask, .. } => {
                let caller = &self.accounts[usize::from(hold % 2)];
                let said = budget(*hold).reserve(id(*hold), caller, *ask).await;
                self.probe.abandon(id(*hold)).await;
                said
            }
            Call::Charge { hold, line, total } => {
                let own = (*line == 0).then_some(&id(*hold).run);
                let line = own.unwrap_or_else(|| &self.lines[usize::from(*line)]);
                budget(*hold).charge(id(*hold), line, *total).await
            }
            Call::Settle { hold, spent } => budget(*hold).settle(id(*hold), *spent).await,
            Call::Release { hold } => budget(*hold).release(id(*hold)).await,
            Call::Limits { account, limits } => {
                self.probe.set_limits(&self.accounts[usize::from(*account)], limits).await;
                Ok(())
            }
        };
        Answer::of(said, |key| {
            let at = self.accounts.iter().position(|account| **account == *key);
            at.and_then(|at| u8::try_from(at).ok())
        })
    }

    /// Compares what stands in the accounts.
    async fn look(&self, states: &mut Vec<Reference>) -> Result<(), String> {
        for (number, key) in (0..ACCOUNTS).zip(&self.accounts) {
            let before = now(self.probe).await;
            let seen = self.probe.account(key).await;
            let after = now(self.probe).await;
            let (mut next, mut expected) = (Vec::new(), Vec::new());
            for state in states.iter() {
                for at in moments(state, before, after, false) {
                    let mut state = state.clone();
                    state.lapse(at);
                    let account = state.account(number, at);
                    if account == seen {
                        keep(&mut next, state);
                    } else {
                        expected.push(account);
                    }
                }
            }
            if next.is_empty() {
                let expected = expected.first();
                return Err(format!("account {number} has {seen:#?}\nexpected {expected:#?}"));
            }
            *states = next;
        }
        Ok(())
    }
}

/// The moments at which a call may have been made, as far as they differ.
fn moments(state: &Reference, before: Timestamp, after: Timestamp, renews: bool) -> Vec<Timestamp> {
    let mut moments = state.changes(before, after);
    moments.push(before);
    if renews {
        moments.push(after);
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}

fn keep(states: &mut Vec<Reference>, state: Reference) {
    if states.len() < STATES && !states.contains(&state) {
        states.push(state);
    }
}

/// The states that can be after a call that was answered like this.
fn settle_states(
    states: &mut Vec<Reference>,
    call: &Call,
    before: Timestamp,
    after: Timestamp,
    answer: &Answer,
) -> Result<(), String> {
    let (mut next, mut expected) = (Vec::new(), Vec::new());
    for state in states.iter() {
        if matches!(answer, Answer::Silence(_)) {
            // Perhaps it was never made.
            keep(&mut next, state.clone());
        }
        for at in moments(state, before, after, call.renews()) {
            let mut state = state.clone();
            let said = state.apply(call, at);
            if said == *answer || matches!(answer, Answer::Silence(_)) {
                keep(&mut next, state);
            } else {
                expected.push(said);
            }
        }
    }
    if next.is_empty() {
        return Err(format!("answered {answer:?}, expected {:?}", expected.first()));
    }
    *states = next;
    Ok(())
}
