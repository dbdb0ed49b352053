//! The reference host: runs files under control, and shows what runs did.

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::Fault;

mod capabilities;
mod cli;
mod commands;
mod config;
mod exit;
mod fault;
mod json;
mod logging;
mod models;
mod output;
mod presence;
mod progress;
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
    let store = cli.command.store_mut();
    store.db = store.db.take().or(config.db);
    match &cli.command {
        Command::Run(args) => {
            let runtime = runtime()?;
            let done = runtime.block_on(commands::run::run(args, &config.http));
            // Everything that was to be settled is; what still blocks a thread is not waited for.
            runtime.shutdown_background();
            done
        }
        Command::Runs(args) => commands::runs::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Replay(args) => commands::replay::run(args),
    }
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
