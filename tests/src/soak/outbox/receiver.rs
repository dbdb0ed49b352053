//! The receiver, a process: it keeps what it takes in a ledger, and does its part badly.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use executus_core::secret::Secret;
use executus_deliver::SigningKey;
use fastrand::Rng;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{KEY, LEDGER, REQUESTS};

/// What a process is called that is one.
pub const NAME: &str = "outbox-receiver";

struct Desk {
    ledger: File,
    requests: File,
    key: SigningKey,
    seed: u64,
    count: AtomicU64,
}

/// Lives until it is killed, or dies of itself.
#[must_use]
pub fn run(args: &[String]) -> ExitCode {
    let [folder, numbers @ ..] = args else { return ExitCode::from(2) };
    let numbers: Vec<u64> = numbers.iter().filter_map(|text| text.parse().ok()).collect();
    let [port, _, seed, life] = numbers[..] else { return ExitCode::from(2) };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let Some(desk) = open(Path::new(folder), seed ^ life << 32) else { return ExitCode::FAILURE };
    runtime.block_on(async {
        let address = ("127.0.0.1", u16::try_from(port).unwrap_or_default());
        let Ok(listener) = TcpListener::bind(address).await else { return ExitCode::FAILURE };
        let desk = Arc::new(desk);
        let mut connections = JoinSet::new();
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&desk)));
            }
        }
    })
}

fn open(folder: &Path, seed: u64) -> Option<Desk> {
    let append = |name| OpenOptions::new().create(true).append(true).open(folder.join(name)).ok();
    Some(Desk {
        ledger: append(LEDGER)?,
        requests: append(REQUESTS)?,
        key: SigningKey::new(&Secret::new(KEY)).ok()?,
        seed,
        count: AtomicU64::new(0),
    })
}

async fn serve(mut stream: TcpStream, desk: Arc<Desk>) -> Option<()> {
    let mut unread = Vec::new();
    loop {
        let (head, body) = read(&mut stream, &mut unread).await?;
        (&desk.requests).write_all(b".").ok()?;
        let number = desk.count.fetch_add(1, Ordering::Relaxed);
        let mut random = Rng::with_seed(desk.seed.wrapping_mul(0x9e37_79b9).wrapping_add(number));
        let status = match random.u32(0..1000) {
            0..60 => return None,
            60..140 => 500,
            140..180 => 503,
            // It takes the message and does not say so.
            180..230 => {
                desk.keep(&head, &body)?;
                return None;
            }
            230..280 => {
                sleep(Duration::from_millis(random.u64(20..120))).await;
                desk.keep(&head, &body)?
            }
            // Longer than anybody waits, and then it takes it all the same.
            280..283 => {
                sleep(Duration::from_millis(1_500)).await;
                desk.keep(&head, &body)?
            }
            283..285 => {
                desk.keep(&head, &body)?;
                std::process::abort();
            }
            _ => desk.keep(&head, &body)?,
        };
        let fields = if status == 503 { "retry-after: 0\r\n" } else { "" };
        let answer = format!("HTTP/1.1 {status} x\r\n{fields}content-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

impl Desk {
    /// Writes it down, with what is wrong with it.
    fn keep(&self, head: &str, body: &[u8]) -> Option<u32> {
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let key = field("idempotency-key").unwrap_or("none");
        let at = field("webhook-timestamp").and_then(|text| text.parse().ok()).unwrap_or_default();
        let signature = field("webhook-signature").unwrap_or_default();
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_well = self.key.verify(key, at, body, signature)
            && field("webhook-id") == Some(key)
            && message["data"]["key"] == key;
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let end = if is_well { "well" } else { "with a wrong key or signature" };
        let line = format!("{key} {:016x} {end}\n", hasher.finish());
        (&self.ledger).write_all(line.as_bytes()).ok()?;
        Some(200)
    }
}

async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        match unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            Some(end) => break end,
            None if stream.read_buf(unread).await.ok()? == 0 => return None,
            None => {}
        }
    };
    let head = String::from_utf8(unread.drain(..end + 4).collect()).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length?.parse().ok()?;
    while unread.len() < length {
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, unread.drain(..length).collect()))
}
