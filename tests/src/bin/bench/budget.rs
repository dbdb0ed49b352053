//! What a decision on Redis costs: reserve and settle against bare scripts of the same commands
//! through the same client, and with more and more live holds beside.

use std::sync::Arc;
use std::time::Duration;

use executus_budget_redis::{Config, Namespace, RedisBudget};
use executus_core::port::{Amounts, Budget, Limit};
use executus_core::{HoldId, RunId};
use executus_redis::redis;
use tokio::task::JoinSet;

use super::kernel::now;
use super::{Figure, Report, figure};

mod bare;
mod server;

use bare::Bare;
use server::Server;

/// Who asks at once.
const ASKERS: usize = 32;
/// Reservations of one asker in one measurement.
const EACH: usize = 150;
/// Measured pairs, after those that warm up.
const PAIRS: usize = 9;
const WARM: usize = 2;
/// Live holds beside.
const CROWDS: [usize; 3] = [1, 1_000, 100_000];

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(text)?;
    if report.wants("budget.reserve_settle") || report.wants("budget.round_trips") {
        runtime.block_on(against_bare(report))?;
    }
    if report.wants("budget.live_holds") {
        runtime.block_on(among_holds(report))?;
    }
    Ok(())
}

/// Something that reserves and settles.
pub(super) trait Asked: Clone + Send + Sync + 'static {
    /// Reserves under an id, then settles.
    fn once(&self, id: u64) -> impl Future<Output = Result<(), String>> + Send;
}

#[derive(Clone)]
struct Ours {
    budget: RedisBudget,
    caller: Arc<str>,
}

impl Asked for Ours {
    async fn once(&self, id: u64) -> Result<(), String> {
        let hold = hold(id)?;
        self.budget.reserve(&hold, &self.caller, tokens(100)).await.map_err(text)?;
        self.budget.settle(&hold, tokens(1)).await.map_err(text)
    }
}

/// The times of one measurement: of the whole, and of each reservation with its settling.
struct Times {
    whole: Duration,
    each: Vec<Duration>,
}

impl Times {
    fn p99(&self) -> f64 {
        let mut each = self.each.clone();
        each.sort_unstable();
        each.get(each.len() * 99 / 100).map_or(f64::NAN, Duration::as_secs_f64)
    }
}

async fn timed(asked: &impl Asked, from: &mut u64) -> Result<Times, String> {
    let began = now();
    let mut tasks = JoinSet::new();
    for _ in 0..ASKERS {
        let (asked, first) = (asked.clone(), *from);
        *from += EACH as u64;
        tasks.spawn(async move {
            let mut each = Vec::with_capacity(EACH);
            for id in first..first + EACH as u64 {
                let began = now();
                asked.once(id).await?;
                each.push(began.elapsed());
            }
            Ok::<_, String>(each)
        });
    }
    let mut each = Vec::with_capacity(ASKERS * EACH);
    while let Some(done) = tasks.join_next().await {
        each.extend(done.map_err(text)??);
    }
    Ok(Times { whole: began.elapsed(), each })
}

async fn against_bare(report: &mut Report<'_>) -> Result<(), String> {
    let server = Server::start().await?;
    let ours = open(&server, "ours").await?;
    let bare = Bare::open(&server.url()).await?;
    let (mut rates, mut p99s, mut id) = (Vec::new(), Vec::new(), 0);
    let mut per_second = Vec::new();
    for pair in 0..WARM + PAIRS {
        // Either goes first as often: what the machine does beside does not favour one.
        let (us, it) = if pair % 2 == 0 {
            let us = timed(&ours, &mut id).await?;
            (us, timed(&bare, &mut id).await?)
        } else {
            let it = timed(&bare, &mut id).await?;
            (timed(&ours, &mut id).await?, it)
        };
        if pair >= WARM {
            rates.push(it.whole.as_secs_f64() / us.whole.as_secs_f64());
            p99s.push(us.p99() / it.p99());
            per_second.push((ASKERS * EACH) as f64 / us.whole.as_secs_f64());
        }
    }
    let name = "budget.reserve_settle_over_bare_scripts";
    report.add(&Figure::at_least(name, figure::median(rates), 0.8));
    report.add(&Figure::at_most("budget.reserve_settle_p99_over_bare", figure::median(p99s), 1.5));
    report.add(&Figure::told("budget.reserve_settle_per_second", figure::median(per_second)));

    let before = calls(&bare).await?;
    timed(&ours, &mut id).await?;
    let trips = (calls(&bare).await? - before) as f64 / (2 * ASKERS * EACH) as f64;
    report.add(&Figure::at_most("budget.round_trips_per_call", trips, 1.0));
    Ok(())
}

/// The same work beside few and many live holds.
async fn among_holds(report: &mut Report<'_>) -> Result<(), String> {
    let server = Server::start().await?;
    let mut crowded = Vec::new();
    let mut id = 0;
    for crowd in CROWDS {
        let ours = open(&server, &format!("beside-{crowd}")).await?;
        fill(&ours, crowd, &mut id).await?;
        crowded.push(ours);
    }
    let mut ratios = [const { Vec::new() }; 2];
    for round in 0..WARM + PAIRS {
        let mut times = Vec::new();
        for ours in &crowded {
            times.push(timed(ours, &mut id).await?.whole.as_secs_f64());
        }
        if round >= WARM {
            ratios[0].push(times[1] / times[0]);
            ratios[1].push(times[2] / times[0]);
        }
    }
    let [thousand, many] = ratios.map(figure::median);
    report.add(&Figure::at_most("budget.live_holds_1k_over_1", thousand, 1.25));
    report.add(&Figure::at_most("budget.live_holds_100k_over_1", many, 1.25));
    Ok(())
}

async fn fill(ours: &Ours, crowd: usize, id: &mut u64) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    let each = crowd.div_ceil(ASKERS);
    for from in (0..crowd).step_by(each) {
        let (ours, first) = (ours.clone(), *id);
        let count = each.min(crowd - from) as u64;
        *id += count;
        tasks.spawn(async move {
            for id in first..first + count {
                let hold = hold(id)?;
                ours.budget.reserve(&hold, &ours.caller, tokens(1)).await.map_err(text)?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(text)??;
    }
    Ok(())
}

async fn open(server: &Server, namespace: &str) -> Result<Ours, String> {
    let namespace = Namespace::new(namespace).map_err(text)?;
    // No renewal falls into a measurement.
    let lease = Duration::from_secs(3600);
    let config = Config::new(&server.url()).map_err(text)?.namespace(namespace).lease(lease);
    let budget = RedisBudget::connect(&config.seed_if_empty()).await.map_err(text)?;
    let limit = Limit::total(Amounts { tokens: 1 << 50, ..Amounts::UNLIMITED });
    budget.set_limits("anna", &[limit]).await.map_err(text)?;
    Ok(Ours { budget, caller: "anna".into() })
}

/// How many scripts the server was asked to run.
async fn calls(bare: &Bare) -> Result<u64, String> {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut bare.connection())
        .await
        .map_err(text)?;
    let of = |name: &str| {
        let line =
            info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    Ok(of("evalsha") + of("eval"))
}

fn hold(id: u64) -> Result<HoldId, String> {
    let run = RunId::new(format!("0197b2c4-0000-7000-8000-{id:012}")).map_err(text)?;
    Ok(HoldId { run, attempt: 1 })
}

const fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, runtime_ms: 0, cost_micros: 0, runs: 0 }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
