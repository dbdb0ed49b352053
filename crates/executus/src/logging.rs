//! Logs and panics, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::output;

/// The name of the runtime's threads.
pub(crate) const WORKER: &str = "executus-worker";

/// The variable that says what is logged: `warn` without it.
const FILTER: &str = "EXECUTUS_LOG";

/// Starts logging, and takes panics out of the standard library's hands.
pub(crate) fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var(FILTER)
        .from_env_lossy();
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
