//! `executus approve` and `executus deny`: an answer for calls that wait, and the next life of their
//! run.

use std::time::Duration;

use executus_core::executor::ResumeError;
use executus_core::record::Answer;
use tokio::time::{Instant, sleep};

use super::resume::{self, not_resumed};
use super::run;
use crate::cli::AnswerArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::host::Host;
use crate::signals::Signals;
use crate::store;
use crate::watch::Watch;

/// How long a run that asked, and still works, is waited for.
const LATEST: Duration = Duration::from_secs(10);
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// Answers, goes on with the run, and prints its result.
///
/// # Errors
/// When no such call waits, or the run cannot go on.
pub(crate) async fn run(args: &AnswerArgs, approved: bool, config: &Config) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    let host = resume::open(&args.life, config).await?;
    if let Some(stored) = host.store.ended(&args.run).await? {
        return run::again(Watch::start(args.life.json, None, None), stored, &mut signals).await;
    }
    wait_for(&host, args).await?;
    let by = args.by.clone().or_else(user).unwrap_or_else(|| "cli".to_owned());
    let answers = args.calls.iter().map(|(step, call)| {
        let by = by.as_str();
        let answer =
            if approved { Answer::yes(*step, *call, by) } else { Answer::no(*step, *call, by) };
        match &args.reason {
            Some(reason) => answer.because(reason),
            None => answer,
        }
    });
    resume::one(host, &args.run, answers.collect(), &args.life, config, &mut signals).await
}

/// Checks that the calls wait, and waits until nobody performs the run any more: the other calls of
/// its step may not be done yet.
async fn wait_for(host: &Host, args: &AnswerArgs) -> Result<(), Fault> {
    let run = &args.run;
    let began = Instant::now();
    loop {
        let awaited = match host.executor.awaited(run).await {
            Err(ResumeError::Unknown { .. }) => Vec::new(),
            awaited => awaited.map_err(|error| not_resumed(run, &error))?,
        };
        let waits = |(step, call): &(u32, u32)| {
            awaited.iter().any(|it| (it.step, it.call) == (*step, *call))
        };
        if let Some((step, call)) = args.calls.iter().find(|call| !waits(call)) {
            let places = awaited.iter().map(|it| format!("{}.{}", it.step, it.call));
            let places: Vec<_> = places.collect();
            let fault = Fault::usage(format!(
                "call {step}.{call} of run {} does not await approval",
                store::quoted(run)
            ));
            return Err(match places.as_slice() {
                [] => fault.help("no call of it does"),
                places => fault.help(format!("these do: {}", places.join(", "))),
            });
        }
        let free = host.executor.resumable().await;
        if free.map_err(|error| Fault::error(chain(&error)))?.contains(run) {
            return Ok(());
        }
        if began.elapsed() > LATEST {
            return Err(Fault::usage(format!(
                "run {} is under way in another process",
                store::quoted(run)
            ))
            .help("answer again when it waits"));
        }
        sleep(LOOK).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the host reads the environment")]
fn user() -> Option<String> {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|it| !it.is_empty())
}
