//! The reference host: runs files under control, and shows what runs did.

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::Fault;

mod amounts;
mod asks;
mod budget;
mod capabilities;
mod cli;
mod commands;
mod config;
mod critic;
mod deliver;
mod exit;
mod fault;
mod guard;
mod host;
mod json;
mod logging;
mod models;
mod output;
mod palette;
mod presence;
mod progress;
mod recorded;
mod signals;
mod speech;
mod store;
mod time;
mod tools;
mod watch;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions are such errors too; clap knows where each goes.
            let _unread = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    logging::start();
    perform(cli)
        .unwrap_or_else(|fault| {
            output::note(&fault.to_string());
            fault.exit()
        })
        .into()
}

fn perform(mut cli: Cli) -> Result<Exit, Fault> {
    let config = Config::find(cli.config.as_deref())?;
    if let Some(store) = cli.command.store_mut() {
        // From here on the working folder may change.
        let named = store.db.take().or(config.db.clone());
        store.db = named.map(|db| std::path::absolute(&db).unwrap_or(db));
        store.keeping = config.keeping();
    }
    match &cli.command {
        Command::Run(args) => perform_run(commands::run::run(args, &config)),
        Command::Resume(args) => perform_run(commands::resume::run(args, &config)),
        Command::Approve(args) => perform_run(commands::approve::run(args, true, &config)),
        Command::Deny(args) => perform_run(commands::approve::run(args, false, &config)),
        Command::Cancel(args) => perform_run(commands::cancel::run(args, &config)),
        Command::Budget(command) => {
            runtime()?.block_on(commands::budget::run(command, &config.budget))
        }
        Command::Doctor(args) => perform_run(commands::doctor::run(args, &config)),
        Command::Outbox(command) => runtime()?.block_on(commands::outbox::run(command, &config)),
        Command::Tail(args) => runtime()?.block_on(commands::tail::run(args)),
        Command::Search(args) => runtime()?.block_on(commands::search::run(args)),
        Command::Audit(command) => runtime()?.block_on(commands::audit::run(command)),
        Command::Erase(args) => runtime()?.block_on(commands::audit::erase(args)),
        Command::Runs(args) => commands::runs::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Replay(args) => commands::replay::run(args),
    }
}

fn perform_run(performed: impl Future<Output = Result<Exit, Fault>>) -> Result<Exit, Fault> {
    let runtime = runtime()?;
    let done = runtime.block_on(performed);
    // Everything that was to be settled is; what still blocks a thread is not waited for.
    runtime.shutdown_background();
    done
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_multi_thread()
        // Two at least: a tool that is busy must not delay a deadline.
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)))
        .thread_name(logging::WORKER)
        .enable_all()
        .build()
        .map_err(|error| Fault::error(format!("cannot start: {error}")))
}
