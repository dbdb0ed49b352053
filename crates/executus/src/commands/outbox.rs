//! `executus outbox`: results on their way.

use executus_deliver::{Entry, Outbox, OutboxError, Routes, State};
use serde_json::json;

use crate::cli::{ListArgs, OutboxCommand, SendArgs, StoreArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::signals::Signals;
use crate::time::rfc3339;
use crate::{deliver, output, store};

/// Does what was asked for.
///
/// # Errors
/// When there is no outbox, or it cannot be read or written.
pub(crate) async fn run(command: &OutboxCommand, config: &Config) -> Result<Exit, Fault> {
    match command {
        OutboxCommand::List(args) => list(args, config).await,
        OutboxCommand::Retry(args) => {
            let Some(outbox) = there(&args.store, config)? else { return Ok(none()) };
            let count = outbox.retry(args.pick()).await.map_err(|error| failed(&error))?;
            outbox.close().await;
            output::note(&match count {
                0 => "there is nothing that was given up".to_owned(),
                count => {
                    format!("{count} are sent again by `executus outbox run`, or the next run")
                }
            });
            Ok(Exit::Ok)
        }
        OutboxCommand::Discard(args) => {
            let Some(outbox) = there(&args.store, config)? else { return Ok(none()) };
            let count = outbox.discard(args.pick()).await.map_err(|error| failed(&error))?;
            outbox.close().await;
            output::note(&format!("{count} removed"));
            Ok(Exit::Ok)
        }
        OutboxCommand::Run(args) => send(args, config).await,
    }
}

/// The outbox, if there is one. Targets are not needed to look at it.
fn there(args: &StoreArgs, config: &Config) -> Result<Option<Outbox>, Fault> {
    let db = store::path(args)?;
    if !deliver::path(config, &db).exists() {
        return Ok(None);
    }
    deliver::open(config, &db, Routes::new()).map(Some)
}

fn none() -> Exit {
    output::note("no outbox yet: [[deliver]] in executus.toml makes one");
    Exit::Ok
}

async fn list(args: &ListArgs, config: &Config) -> Result<Exit, Fault> {
    let Some(outbox) = there(&args.store, config)? else { return Ok(none()) };
    let mut entries = Vec::new();
    for state in [State::Waiting, State::Dead, State::Sent] {
        let is_asked = args.state.map_or(state != State::Sent, |asked| asked == state);
        if is_asked {
            let found = outbox.list(Some(state), args.limit).await;
            entries.extend(found.map_err(|error| failed(&error))?);
        }
    }
    outbox.close().await;
    entries.sort_by_key(|entry| entry.id);
    for entry in &entries {
        output::line(&if args.json { in_json(entry) } else { text(entry) })?;
    }
    if entries.is_empty() && !args.json {
        output::note("nothing is on its way");
    }
    Ok(Exit::Ok)
}

fn text(entry: &Entry) -> String {
    let when = match (entry.state, entry.ended_at) {
        (State::Waiting, _) if entry.held => "is being sent".to_owned(),
        (State::Waiting, _) => format!("due {}", rfc3339(entry.due)),
        (_, Some(at)) => format!("since {}", rfc3339(at)),
        (_, None) => String::new(),
    };
    let mut text = format!(
        "{:>6}  {:7}  {}  {}  {} attempts  {when}",
        entry.id,
        entry.state.as_str(),
        entry.key,
        entry.target,
        entry.attempts
    );
    if let Some(error) = &entry.error {
        text.push_str(&format!("\n        {}", error.replace('\n', " ")));
    }
    text
}

fn in_json(entry: &Entry) -> String {
    json!({
        "entry": entry.id,
        "run_id": entry.key,
        "target": entry.target,
        "state": entry.state.as_str(),
        "attempts": entry.attempts,
        "kept_at": rfc3339(entry.kept_at),
        "due": rfc3339(entry.due),
        "held": entry.held,
        "ended_at": entry.ended_at.map(rfc3339),
        "error": entry.error,
    })
    .to_string()
}

/// Sends until somebody stops it, or once.
async fn send(args: &SendArgs, config: &Config) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    let db = store::path(&args.store)?;
    if config.deliver.is_empty() {
        return Err(Fault::usage("the configuration has no target to send to")
            .help("add a [[deliver]] table to executus.toml"));
    }
    let outbox = deliver::open(config, &db, deliver::routes(config)?)?;
    if args.once {
        let stop = async {
            signals.next().await;
        };
        outbox.flush_until(stop).await.map_err(|error| failed(&error))?;
    } else {
        output::note("sending; Ctrl-C ends it");
        outbox
            .run(async {
                signals.next().await;
            })
            .await;
    }
    let counts = outbox.counts().await.map_err(|error| failed(&error))?;
    outbox.close().await;
    output::note(&format!("{} wait, {} were given up", counts.waiting, counts.dead));
    Ok(Exit::Ok)
}

fn failed(error: &OutboxError) -> Fault {
    Fault::error(chain(error))
}
