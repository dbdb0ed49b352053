//! The sender, a process: it hands results to an outbox and sends from it, until it is killed or has
//! done everything.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use executus_core::port::Delivery as _;
use executus_core::secret::Secret;
use executus_core::{RunId, RunStatus};
use executus_deliver::{Backoff, Outbox, OutboxConfig, Routes, SigningKey, Webhook, When};
use executus_http::Client;
use executus_testkit::sample;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{ACKNOWLEDGED, DONE, KEY};

/// What a process is called that is one.
pub const NAME: &str = "outbox-sender";

/// How many are handed over at once.
const AT_ONCE: usize = 16;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Lives until everything is sent.
#[must_use]
pub fn run(args: &[String]) -> ExitCode {
    let [folder, numbers @ ..] = args else { return ExitCode::from(2) };
    let numbers: Vec<u64> = numbers.iter().filter_map(|text| text.parse().ok()).collect();
    let [port, count, seed, _] = numbers[..] else { return ExitCode::from(2) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime
        .map_err(Failed::from)
        .and_then(|runtime| runtime.block_on(perform(Path::new(folder), port, count, seed)));
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn open(folder: &Path, port: u64) -> Result<Outbox, Failed> {
    let mut config = OutboxConfig::new(folder.join("outbox.db"));
    config.attempt = Duration::from_secs(1);
    config.margin = Duration::from_millis(500);
    config.poll = Duration::from_millis(100);
    config.per_target = 32;
    config.backoff = Backoff {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(200),
        // A receiver that is away is no reason to give up.
        attempts: 10_000,
    };
    let url = Secret::new(format!("http://127.0.0.1:{port}/results"));
    let hook = Webhook::new(Client::builder().build()?, &url)?;
    let hook = hook.key(SigningKey::new(&Secret::new(KEY))?);
    Ok(Outbox::open(config, Routes::new().to("receiver", When::Always, hook)?)?)
}

async fn perform(folder: &Path, port: u64, count: u64, seed: u64) -> Result<(), Failed> {
    let outbox = open(folder, port)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = outbox.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { worker.run(async { drop(stopped.await) }).await });
    hand_over(folder, &outbox, count, seed).await?;
    let counts = loop {
        let counts = outbox.counts().await?;
        if counts.waiting == 0 {
            break counts;
        }
        sleep(Duration::from_millis(20)).await;
    };
    // Whoever is dropped says the same.
    drop(stop);
    tasks.join_all().await;
    outbox.close().await;
    fs::write(folder.join(DONE), format!("{} waiting, {} dead", counts.waiting, counts.dead))?;
    Ok(())
}

/// Hands over what no life before has had acknowledged.
async fn hand_over(folder: &Path, outbox: &Outbox, count: u64, seed: u64) -> Result<(), Failed> {
    let path = folder.join(ACKNOWLEDGED);
    let known = fs::read_to_string(&path).unwrap_or_default();
    let known: BTreeSet<&str> = known.lines().collect();
    let ledger = Arc::new(OpenOptions::new().create(true).append(true).open(&path)?);
    let mut handing = JoinSet::new();
    for number in 0..count {
        let key = format!("out-{seed}-{number}");
        if known.contains(key.as_str()) {
            continue;
        }
        if handing.len() >= AT_ONCE
            && let Some(done) = handing.join_next().await
        {
            done??;
        }
        let (outbox, ledger) = (outbox.clone(), Arc::clone(&ledger));
        handing.spawn(async move {
            let status = if number % 5 == 0 { RunStatus::Error } else { RunStatus::Ok };
            let parcel = sample::parcel(&RunId::new(key.as_str())?, status);
            outbox.deliver(&parcel).await?;
            // One write: a line is there or not.
            (&*ledger).write_all(format!("{key}\n").as_bytes())?;
            Ok::<(), Failed>(())
        });
    }
    while let Some(done) = handing.join_next().await {
        done??;
    }
    Ok(())
}
