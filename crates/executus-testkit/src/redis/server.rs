//! A server that a test starts, and what can happen to it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::program;

/// How long a server may take to be ready; a loaded machine reads its data slowly.
const READY: Duration = Duration::from_secs(30);
/// A port that was free a moment ago may be taken by the time the server is there.
const ATTEMPTS: u32 = 5;

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether it keeps an append-only file, written before each answer. Without one it forgets
    /// everything at a restart.
    pub append_only: bool,
    /// The most bytes it may hold; 0 for any number.
    pub max_memory: u64,
    /// What it forgets when it is full; `noeviction` when empty.
    pub policy: String,
    /// Further settings: names and values.
    pub more: Vec<(String, String)>,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct RedisServer {
    settings: Settings,
    folder: TempDir,
    port: u16,
    child: Child,
    said: Arc<Mutex<String>>,
}

impl RedisServer {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Errors
    /// There is no such program, or it does not start; with what it said.
    pub async fn start(settings: Settings) -> Result<Self, String> {
        let folder =
            tempfile::tempdir().map_err(|error| format!("no folder for Redis: {error}"))?;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port()?;
            match launch(&settings, &folder, port).await {
                Ok((child, said)) => return Ok(Self { settings, folder, port, child, said }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Starts a server that forgets everything when it ends.
    ///
    /// # Panics
    /// When there is no server to start, with what to do about it.
    pub async fn plain() -> Self {
        Self::started(Settings::default()).await
    }

    /// Starts a server with these settings.
    ///
    /// # Panics
    /// When there is no server to start, with what to do about it.
    pub async fn started(settings: Settings) -> Self {
        match Self::start(settings).await {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().clone()
    }

    /// Kills it with signal 9 and waits until it is gone.
    pub fn kill(&mut self) {
        // A paused process dies of signal 9 too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it where it is: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again after [`Self::kill`], on the same port and on the data that it kept.
    ///
    /// # Errors
    /// It does not start; with what it said.
    pub async fn restart(&mut self) -> Result<(), String> {
        self.kill();
        let (child, said) = launch(&self.settings, &self.folder, self.port).await?;
        (self.child, self.said) = (child, said);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

async fn launch(
    settings: &Settings,
    folder: &TempDir,
    port: u16,
) -> Result<(Child, Arc<Mutex<String>>), String> {
    let program = program::server()?;
    let mut command = Command::new(&program);
    let policy = if settings.policy.is_empty() { "noeviction" } else { &settings.policy };
    let append = if settings.append_only { "yes" } else { "no" };
    let (port, memory) = (port.to_string(), settings.max_memory.to_string());
    command.args(["--port", &port, "--bind", "127.0.0.1", "--daemonize", "no"]);
    command.args(["--save", "", "--logfile", "", "--maxclients", "4000"]);
    // Written before each answer, which is what the death of a process can lose; that of a machine
    // is not tried here, and a sync of the disk for each call would be all that is measured.
    command.args(["--appendonly", append, "--appendfsync", "no"]);
    command.args(["--maxmemory", &memory, "--maxmemory-policy", policy]);
    command.arg("--dir").arg(folder.path());
    for (name, value) in &settings.more {
        command.arg(format!("--{name}")).arg(value);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command
        .spawn()
        .map_err(|error| format!("{} does not start: {error}", program.display()))?;
    let said = Arc::new(Mutex::new(String::new()));
    let (ready, is_ready) = oneshot::channel();
    if let Some(output) = child.stdout.take() {
        let said = Arc::clone(&said);
        // Ends with the server, whose end closes the pipe.
        thread::spawn(move || {
            let mut ready = Some(ready);
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("eady to accept connections")
                    && let Some(ready) = ready.take()
                {
                    let _ = ready.send(());
                }
                let _ = writeln!(said.lock(), "{line}");
            }
        });
    }
    if let Ok(Ok(())) = timeout(READY, is_ready).await {
        return Ok((child, said));
    }
    let _ = child.kill();
    let _ = child.wait();
    let text = said.lock().clone();
    Err(format!("{} is not ready on port {port}; it said:\n{text}", program.display()))
}
