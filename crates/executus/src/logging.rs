//! Logs and panics, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::output;

/// The name of the runtime's threads.
pub(crate) const WORKER: &str = "executus-worker";

/// The variable that says what is logged: `warn` without it.
const FILTER: &str = "EXECUTUS_LOG";

/// What logs the messages of servers of the Model Context Protocol, secrets and all.
const MESSAGES: &str = "rmcp";

/// Starts logging, and takes panics out of the standard library's hands.
pub(crate) fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var(FILTER)
        .from_env_lossy();
    let filter = without_messages(filter);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .finish();
    // It fails when there is one already, which then stays.
    let _already = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let at =
            panic.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
        if std::thread::current().name().is_some_and(|name| name == WORKER) {
            // A panic there becomes the error of the run or the call that it ended, with its
            // text; the text is not told again, since it may quote what a run keeps secret.
            tracing::debug!(at, "caught a panic");
        } else {
            output::note(&format!("error: executus failed at {at}; please report it"));
        }
    }));
}

/// Only who names them gets the messages of servers.
fn without_messages(filter: EnvFilter) -> EnvFilter {
    let logs_more = filter.max_level_hint().is_none_or(|most| most > LevelFilter::WARN);
    let names_them = filter.to_string().contains(MESSAGES);
    match format!("{MESSAGES}=warn").parse() {
        Ok(directive) if logs_more && !names_them => filter.add_directive(directive),
        _ => filter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_servers_are_logged_for_who_names_them() {
        for (asked, told) in [
            ("debug", "rmcp=warn,debug"),
            ("info,executus=trace", "rmcp=warn,executus=trace,info"),
            ("rmcp=debug,warn", "rmcp=debug,warn"),
            ("warn", "warn"),
            ("error", "error"),
        ] {
            let filter = without_messages(EnvFilter::new(asked)).to_string();
            let mut parts: Vec<_> = filter.split(',').collect();
            parts.sort_unstable();
            let mut expected: Vec<_> = told.split(',').collect();
            expected.sort_unstable();
            assert_eq!(parts, expected, "{asked}");
        }
    }
}
