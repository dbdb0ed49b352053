//! The processes, each behind a proxy of its own, and what they said.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use executus_testkit::redis::{LossyProxy, RedisServer};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::worker::WORKER;
use super::{Size, text};

/// How long workers may take to end when they are told to.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was said of one hold.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) caller: String,
    pub(super) tokens: u64,
    /// It was settled, and its worker knows.
    pub(super) done: bool,
}

type Reports = Arc<Mutex<HashMap<String, Said>>>;

pub(super) struct Fleet {
    program: PathBuf,
    reservers: usize,
    pub(super) workers: Vec<Worker>,
    reports: Reports,
    errors: Arc<Mutex<Vec<String>>>,
    listeners: Vec<JoinHandle<()>>,
    started: u64,
    seed: u64,
}

pub(super) struct Worker {
    pub(super) proxy: LossyProxy,
    child: Child,
}

impl Fleet {
    pub(super) async fn start(
        program: &Path,
        server: &RedisServer,
        seed: u64,
        size: Size,
    ) -> Result<Self, String> {
        let mut fleet = Self {
            program: program.to_path_buf(),
            reservers: size.reservers,
            workers: Vec::new(),
            reports: Reports::default(),
            errors: Arc::default(),
            listeners: Vec::new(),
            started: 0,
            seed,
        };
        for n in 0..size.processes {
            let proxy = LossyProxy::start(server.port(), seed + n as u64).await.map_err(text)?;
            let child = fleet.launch(&proxy)?;
            fleet.workers.push(Worker { proxy, child });
        }
        Ok(fleet)
    }

    fn launch(&mut self, proxy: &LossyProxy) -> Result<Child, String> {
        self.started += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.started);
        let mut child = Command::new(&self.program)
            .args([WORKER, &proxy.url(), &self.reservers.to_string(), &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let output = child.stdout.take().ok_or("a worker without output")?;
        let (reports, errors) = (Arc::clone(&self.reports), Arc::clone(&self.errors));
        self.listeners.push(std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Err(error) = hear(&reports, &line) {
                    errors.lock().push(error);
                }
            }
        }));
        Ok(child)
    }

    /// Kills a worker with signal 9 and starts another in its place.
    pub(super) fn replace(&mut self, n: usize) -> Result<(), String> {
        self.workers[n].child.kill().map_err(text)?;
        self.workers[n].child.wait().map_err(text)?;
        let Worker { proxy, .. } = self.workers.swap_remove(n);
        let child = self.launch(&proxy)?;
        self.workers.push(Worker { proxy, child });
        Ok(())
    }

    pub(super) fn signal(&self, n: usize, signal: Signal) {
        if let Some(pid) = i32::try_from(self.workers[n].child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Tells the workers to stop, waits for them, and hands over what all of them said.
    pub(super) async fn end(mut self) -> Result<HashMap<String, Said>, String> {
        for worker in &mut self.workers {
            drop(worker.child.stdin.take());
        }
        let until = Instant::now() + PATIENCE;
        for worker in &mut self.workers {
            while worker.child.try_wait().map_err(text)?.is_none() {
                if Instant::now() > until {
                    return Err("a worker does not end when it is told to".into());
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        for listener in self.listeners.drain(..) {
            listener.join().map_err(|_| "a listener panicked")?;
        }
        if let Some(error) = self.errors.lock().first() {
            return Err(format!("a worker: {error}"));
        }
        Ok(std::mem::take(&mut *self.reports.lock()))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

fn hear(reports: &Reports, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["I", run, caller, tokens] => {
            let tokens = tokens.parse().map_err(text)?;
            let said = Said { caller: caller.into(), tokens, done: false };
            reports.lock().insert(run.into(), said);
        }
        ["D", run] => {
            if let Some(said) = reports.lock().get_mut(run) {
                said.done = true;
            }
        }
        _ => return Err(line.into()),
    }
    Ok(())
}
