//! `executus cancel`: the end of a run, wherever it is.

use std::time::Duration;

use executus_core::executor::ResumeError;
use executus_core::{Outcome, RunId, RunStatus};
use tokio::time::{Instant, sleep};

use super::resume::not_resumed;
use crate::cli::CancelArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::host::Host;
use crate::output;
use crate::signals::Signals;
use crate::store::{self, Store};

/// How often the run is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// Ends a run, and says how it ended.
///
/// # Errors
/// When there is no such run, or it did not end in time.
pub(crate) async fn run(args: &CancelArgs, config: &Config) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    // It is there, or it is a mistake.
    store::find(&args.store, args.run.as_str())?;
    let host =
        Host::of(Store::create(&args.store).await?, &args.store.keeping, config, None).await?;
    let ended = tokio::select! {
        ended = end(&host, &args.run, args.wait) => ended,
        _ = signals.next() => Err(Fault::error("interrupted; what was asked for stays asked for")),
    };
    host.close().await;
    let status = ended?.status;
    output::line(&format!("run {}: {status}", store::quoted(&args.run)))?;
    Ok(if status == RunStatus::Cancelled { Exit::Ok } else { Exit::Error })
}

/// Asks whoever performs the run, and ends it here when nobody does.
async fn end(host: &Host, run: &RunId, wait: Duration) -> Result<Outcome, Fault> {
    let (asks, began) = (host.asks(), Instant::now());
    let mut is_asked = false;
    loop {
        if let Some(ended) = host.store.ended(run).await? {
            asks.done(run);
            return Ok(ended);
        }
        let why = match host.end_kept(run).await {
            Ok(outcome) if outcome.status.is_terminal() => {
                asks.done(run);
                return Ok(outcome);
            }
            Ok(_) | Err(ResumeError::Claimed { .. }) => "it is under way in another process",
            // It may have been kept no more since it was looked up, or not yet.
            Err(ResumeError::Unknown { .. } | ResumeError::NoCheckpointer) => {
                if host.store.is_interrupted(run).await? {
                    asks.done(run);
                    let run = store::quoted(run);
                    let what = format!("run {run} was interrupted, and nothing is kept of it");
                    return Err(
                        Fault::error(what).help("it does not go on: there is nothing to end")
                    );
                }
                "it is under way in another process"
            }
            Err(error) => return Err(not_resumed(run, &error)),
        };
        if !is_asked {
            asks.cancel(run)?;
            is_asked = true;
        }
        if began.elapsed() > wait {
            let run = store::quoted(run);
            return Err(Fault::error(format!("run {run} has not ended in {wait:?}: {why}"))
                .help("it stays asked to end"));
        }
        sleep(LOOK).await;
    }
}
