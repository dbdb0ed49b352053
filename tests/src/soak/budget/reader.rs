//! Somebody who looks at the server by himself, as fast as he can: no script, no budget, only the
//! numbers that stand there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use executus_redis::redis::aio::MultiplexedConnection;
use executus_redis::redis::{self, AsyncConnectionConfig, Client};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{ALL, AT_ONCE, CALLERS};

pub(super) struct Reader {
    over: Arc<AtomicBool>,
    task: JoinHandle<(u64, Vec<String>)>,
}

impl Reader {
    pub(super) fn start(url: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        #[expect(clippy::disallowed_methods, reason = "waited for by stop")]
        let task = tokio::spawn(read(url.to_owned(), Arc::clone(&over)));
        Self { over, task }
    }

    /// How often it looked, and what it saw that must not be.
    pub(super) async fn stop(self) -> (u64, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        match self.task.await {
            Ok(seen) => seen,
            Err(error) => (0, vec![format!("the reader ended: {error}")]),
        }
    }
}

async fn read(url: String, over: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut samples, mut above) = (0, Vec::new());
    let Ok(client) = Client::open(url) else { return (0, vec!["no client".into()]) };
    while !over.load(Ordering::Relaxed) {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(1)));
        let Ok(mut link) = client.get_multiplexed_async_connection_with_config(&config).await
        else {
            // The server is down for a moment.
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        while !over.load(Ordering::Relaxed) {
            match look(&mut link).await {
                Some(seen) => above.extend(seen),
                None => break,
            }
            samples += CALLERS.len() as u64 + 1;
            sleep(Duration::from_millis(1)).await;
        }
    }
    (samples, above)
}

/// What is above a limit in this instant: each account is one read, so one instant.
async fn look(link: &mut MultiplexedConnection) -> Option<Vec<String>> {
    let mut above = Vec::new();
    for account in CALLERS.into_iter().chain([ALL]) {
        let key = format!("{{soak}}:budget:a:{account}");
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(key).arg("sums").arg("limits");
        let (sums, limits): (Option<Vec<u8>>, Option<String>) = cmd.query_async(link).await.ok()?;
        let (Some(sums), Some(limits)) = (sums, limits) else { continue };
        let sum = |at: usize| {
            let bytes = sums.get(at * 8..at * 8 + 8)?;
            Some(f64::from_le_bytes(bytes.try_into().ok()?) as u64)
        };
        // Held (4), spent (3), overrun (3); the first dimension is tokens, the fourth runs.
        let (held, runs, spent, overrun) = (sum(0)?, sum(3)?, sum(4)?, sum(7)?);
        let most = limits.strip_prefix("total,")?.split(',').next()?.parse::<u64>().ok()?;
        if held + spent > most + overrun {
            above.push(format!("{account}: {held} held, {spent} spent, {overrun} over, of {most}"));
        }
        if account == ALL && runs > AT_ONCE {
            above.push(format!("{runs} runs at once of {AT_ONCE}"));
        }
    }
    Some(above)
}
