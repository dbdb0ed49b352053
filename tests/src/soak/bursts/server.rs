//! A server in a process of its own, told what to do by its standard input.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// What the program is called with to be this process.
pub const NAME: &str = "--bursts-server";
/// Connections that nobody has taken yet.
const BACKLOG: u32 = 4096;
/// An answer of the process takes no longer.
const ANSWER: Duration = Duration::from_secs(30);

/// Sets the limit of descriptors as high as it may be, and says what it is.
pub(super) fn raise_descriptors() -> Result<u64, String> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    let raised = Rlimit { current: Some(most), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| error.to_string())?;
    Ok(most)
}

/// How many descriptors this process has open.
pub(super) fn open_descriptors() -> Result<usize, String> {
    let folder = std::fs::read_dir("/proc/self/fd").map_err(|error| error.to_string())?;
    Ok(folder.count())
}

/// The process, as its parent has it.
pub(super) struct Server {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Server {
    pub(super) async fn start(program: &Path) -> Result<Self, String> {
        let mut child = Command::new(program)
            .arg(NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (Some(orders), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".to_owned());
        };
        let mut server = Self { child, orders, answers: BufReader::new(stdout).lines(), port: 0 };
        server.port = server.answer().await?.parse().map_err(|_| "no port".to_owned())?;
        Ok(server)
    }

    pub(super) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    async fn answer(&mut self) -> Result<String, String> {
        let line = timeout(ANSWER, self.answers.next_line()).await;
        let line = line.map_err(|_| "the server does not answer".to_owned())?;
        line.map_err(|error| error.to_string())?.ok_or_else(|| "the server is gone".to_owned())
    }

    async fn order(&mut self, order: &str) -> Result<String, String> {
        let line = format!("{order}\n");
        self.orders.write_all(line.as_bytes()).await.map_err(|error| error.to_string())?;
        self.answer().await
    }

    /// Waits until it holds so many requests.
    pub(super) async fn holds(&mut self, count: usize, limit: Duration) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let held: usize = self.order("count").await?.parse().map_err(|_| "no count")?;
            if held >= count {
                return Ok(());
            }
            if began.elapsed() > limit {
                return Err(format!("{held} of {count} requests have come in {limit:?}"));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Drops all connections.
    pub(super) async fn drop_all(&mut self) -> Result<(), String> {
        self.order("drop").await.map(drop)
    }

    pub(super) async fn kill(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| error.to_string())
    }
}

/// Serves until its standard input ends: `/hold` is never answered, all else at once.
#[must_use]
pub fn run() -> ExitCode {
    let served = raise_descriptors().and_then(|_| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(serve())
    });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn serve() -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let socket = TcpSocket::new_v4().map_err(text)?;
    socket.bind(([127, 0, 0, 1], 0).into()).map_err(text)?;
    let listener = socket.listen(BACKLOG).map_err(text)?;
    let port = listener.local_addr().map_err(text)?.port();
    let held = Arc::new(AtomicUsize::new(0));
    let (burst, _) = watch::channel(0_u64);
    let mut stdout = tokio::io::stdout();
    let mut say = async |line: String| {
        stdout.write_all(format!("{line}\n").as_bytes()).await?;
        stdout.flush().await
    };
    say(port.to_string()).await.map_err(text)?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(text)?;
                let (held, mut dropped) = (Arc::clone(&held), burst.subscribe());
                connections.spawn(async move {
                    tokio::select! {
                        _ = dropped.changed() => {}
                        () = answer(stream, &held) => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
            order = orders.next_line() => match order.map_err(text)?.as_deref() {
                Some("count") => say(held.load(Ordering::Relaxed).to_string()).await.map_err(text)?,
                Some("drop") => {
                    held.store(0, Ordering::Relaxed);
                    burst.send_modify(|burst| *burst += 1);
                    say("dropped".to_owned()).await.map_err(text)?;
                }
                Some(_) => say("what?".to_owned()).await.map_err(text)?,
                None => return Ok(()),
            }
        }
    }
}

async fn answer(mut stream: TcpStream, held: &AtomicUsize) {
    let mut head = Vec::new();
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut head).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        if head.starts_with(b"GET /hold") {
            held.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
