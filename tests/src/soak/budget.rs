//! Many processes on one budget in Redis, killed, stopped and cut off: never granted above a limit
//! at any instant, nothing held when it is over, and everything that was reported counted once.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use executus_budget_redis::{Config, Namespace, RedisBudget};
use executus_core::port::{Amounts, Budget, Limit, Window};
use executus_core::{HoldId, RunId};
use executus_testkit::redis::{RedisServer, Settings};
use tokio::time::sleep;

use super::{Asked, Report};

mod chaos;
mod fleet;
mod reader;
mod worker;

use chaos::Chaos;
use fleet::Fleet;

pub use worker::WORKER;

/// A hold lasts this long without its process.
const LEASE: Duration = Duration::from_millis(1500);
/// Who asks.
const CALLERS: [&str; 4] = ["anna", "bert", "cleo", "dora"];
/// The account that every hold takes from too.
const ALL: &str = "everybody";
/// Holds of all at once.
const AT_ONCE: u64 = 300;

/// How large a soak is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Processes.
    pub processes: usize,
    /// Reservers in each.
    pub reservers: usize,
    /// For how long they reserve.
    pub seconds: u64,
}

/// What a soak counted.
#[derive(Debug, Default)]
pub struct Figures {
    /// Holds that spent something.
    pub holds: usize,
    /// Tokens that were reported as spent.
    pub reported: u64,
    /// The part of them that no hold covered.
    pub overrun: u64,
    /// How often held and spent were compared with a limit.
    pub samples: u64,
    /// Workers killed with signal 9.
    pub killed: u64,
    /// Workers stopped, some for longer than a lease.
    pub stopped: u64,
    /// Cuts and silences of a network.
    pub cut: u64,
    /// Servers paused, or killed and started again.
    pub servers: u64,
    /// Holds of the killed, settled for them.
    pub settled_for_others: usize,
}

/// As a soak: 8 processes of 125 reservers; the count is in seconds.
pub(super) fn soak(asked: Asked) -> Report {
    let size = Size { processes: 8, reservers: 125, seconds: asked.count };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed(error.to_string()),
    };
    match run(&program, asked.seed, size) {
        Ok((figures, violations)) => Report { done: format!("{figures:?}"), violations },
        Err(error) => failed(error),
    }
}

fn failed(error: String) -> Report {
    Report { done: "not done".into(), violations: vec![error] }
}

/// A worker, when the program was started as one.
pub fn work(args: &[String]) -> ExitCode {
    worker::main(args)
}

/// Runs workers (this program, started with [`WORKER`]) against a server of their own, and what
/// goes wrong with all of them. Returns what was done, and what broke a promise.
///
/// # Errors
/// What could not be set up.
pub fn run(program: &Path, seed: u64, size: Size) -> Result<(Figures, Vec<String>), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(text)?;
    runtime.block_on(perform(program, seed, size))
}

async fn perform(program: &Path, seed: u64, size: Size) -> Result<(Figures, Vec<String>), String> {
    let settings = Settings { append_only: true, ..Settings::default() };
    let mut server = RedisServer::start(settings).await?;
    let budget =
        RedisBudget::connect(&config(&server.url())?.seed_if_empty()).await.map_err(text)?;
    let mut most = 200_000;
    limit(&budget, most).await?;
    let reader = reader::Reader::start(&server.url());
    let mut fleet = Fleet::start(program, &server, seed, size).await?;
    let mut chaos = Chaos::new(seed);
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(size.seconds) {
        chaos.strike(&mut fleet, &mut server).await?;
        // What is spent would end the soak: the limits grow with it, and stay in reach.
        most += 20_000;
        limit(&budget, most).await?;
    }
    chaos.calm(&mut fleet, &mut server).await?;
    let mut figures = chaos.figures;
    let reports = fleet.end().await?;

    // Whose process died in the middle reports all the same: as one that was stopped past its lease.
    for (run, report) in reports.iter().filter(|(_, report)| !report.done) {
        let hold = HoldId { run: RunId::new(run.as_str()).map_err(text)?, attempt: 1 };
        let spent = Amounts { tokens: report.tokens, ..Amounts::default() };
        budget.settle(&hold, spent).await.map_err(|error| format!("{run}: {error}"))?;
        figures.settled_for_others += 1;
    }
    sleep(LEASE + Duration::from_secs(1)).await;

    let mut violations = Vec::new();
    let mut sum = 0;
    for account in CALLERS.into_iter().chain([ALL]) {
        let stands = budget.account(account).await.map_err(text)?;
        if stands.held != Amounts::default() {
            violations.push(format!("{account} holds {:?} when all is over", stands.held));
        }
        let of_account = |caller: &str| account == ALL || caller == account;
        let reported: u64 =
            reports.values().filter(|r| of_account(&r.caller)).map(|r| r.tokens).sum();
        if stands.spent.tokens != reported {
            violations
                .push(format!("{account}: {reported} reported, {} counted", stands.spent.tokens));
        }
        if account == ALL {
            (figures.overrun, sum) = (stands.overrun.tokens, reported);
        }
    }
    (figures.reported, figures.holds) = (sum, reports.len());
    let (samples, above) = reader.stop().await;
    figures.samples = samples;
    violations.extend(above);
    Ok((figures, violations))
}

fn config(url: &str) -> Result<Config, String> {
    let mut config = Config::new(url).map_err(text)?.lease(LEASE);
    config.namespace = Namespace::new("soak").map_err(text)?;
    Ok(config)
}

/// Every caller may spend a third of what all may.
async fn limit(budget: &RedisBudget, most: u64) -> Result<(), String> {
    let tokens = |tokens| Amounts { tokens, ..Amounts::UNLIMITED };
    let flow = Limit::new(Window::rolling(Duration::from_secs(2)), tokens(150_000));
    let all = Limit::total(Amounts { runs: AT_ONCE, ..tokens(most) });
    budget.set_limits(ALL, &[all, flow]).await.map_err(text)?;
    for caller in CALLERS {
        let limits = [Limit::total(tokens(most / 3))];
        budget.set_limits(caller, &limits).await.map_err(text)?;
    }
    Ok(())
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
