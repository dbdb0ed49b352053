//! A process that reserves, works a little, and settles, many times at once.
//!
//! It says what it will have spent on a hold before it settles (`I run caller tokens`), and when it
//! has (`D run`): whoever kills it knows what to settle for it.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use executus_budget_redis::RedisBudget;
use executus_core::port::{Accounts, Amounts, Budget, BudgetError};
use executus_core::{HoldId, RunId};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{ALL, CALLERS, config, text};

/// The argument that makes the program a worker; then an address, how many reservers, a seed.
pub const WORKER: &str = "--budget-worker";

pub(super) fn main(args: &[String]) -> ExitCode {
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("E {error}"));
            ExitCode::FAILURE
        }
    }
}

fn work(args: &[String]) -> Result<(), String> {
    let [url, reservers, seed] = args else { return Err("arguments".into()) };
    let reservers: u64 = reservers.parse().map_err(text)?;
    let seed: u64 = seed.parse().map_err(text)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        // The end of the input is the sign to stop.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    runtime.block_on(async {
        let mut config = config(url)?;
        config.server = config.server.with_deadline(Duration::from_millis(800));
        let budget = RedisBudget::open(&config);
        let budget = budget.with_accounts(Accounts::caller().and_always(ALL));
        let mut tasks = JoinSet::new();
        for n in 0..reservers {
            let dice = Rng::with_seed(seed.wrapping_mul(1000).wrapping_add(n));
            tasks.spawn(reserve(budget.clone(), dice, Arc::clone(&over)));
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(text)?;
        }
        // What could not be told is told now, while somebody waits for it.
        while !budget.close().await {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    })
}

async fn reserve(budget: RedisBudget, mut dice: Rng, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let hold = HoldId { run: RunId::random(), attempt: 1 };
        let caller: Arc<str> = CALLERS[dice.usize(..CALLERS.len())].into();
        let ask = dice.u64(100..1000);
        let asked = Amounts { runs: 1, ..tokens(ask) };
        match budget.reserve(&hold, &caller, asked).await {
            Ok(()) => spend(&budget, &hold, &caller, ask, &mut dice).await,
            Err(BudgetError::Unavailable { .. }) => {
                // It may be held: given back until that is certain.
                while let Err(BudgetError::Unavailable { .. }) = budget.release(&hold).await {}
            }
            Err(_) => sleep(Duration::from_millis(dice.u64(50..300))).await,
        }
    }
}

async fn spend(budget: &RedisBudget, hold: &HoldId, caller: &str, ask: u64, dice: &mut Rng) {
    let spent = match dice.u8(..100) {
        0 => ask + dice.u64(..50),
        1..5 => ask,
        _ => dice.u64(..ask / 20),
    };
    say(&format!("I {} {caller} {spent}", hold.run));
    sleep(Duration::from_millis(dice.u64(10..100))).await;
    // A charge that is refused or lost is settled all the same.
    let _ = budget.charge(hold, &hold.run, tokens(spent / 2)).await;
    sleep(Duration::from_millis(dice.u64(10..100))).await;
    while let Err(error) = budget.settle(hold, tokens(spent)).await {
        if !matches!(error, BudgetError::Unavailable { .. }) {
            say(&format!("E {}: {error}", hold.run));
            return;
        }
    }
    say(&format!("D {}", hold.run));
}

const fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, runtime_ms: 0, cost_micros: 0, runs: 0 }
}

/// Says a line, before anything that follows it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
