//! An outbox against a receiver that drops, delays, answers 500 and dies, in processes that are
//! killed with -9: nothing that was acknowledged is lost, and what comes twice has one key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use super::{Asked, Report};

mod receiver;
mod sender;

pub use receiver::{NAME as RECEIVER, run as receive};
pub use sender::{NAME as SENDER, run as send};

/// Both sides know this key.
const KEY: &str = "whsec_b3V0Ym94IHNvYWsga2V5IG9mIDI0IGJ5dGVzIQ==";
/// Where those that were acknowledged stand, one in a line.
const ACKNOWLEDGED: &str = "acknowledged";
/// What the receiver has got: key, digest of the body, and what was wrong with it.
const LEDGER: &str = "ledger";
/// Written by the sender that has done everything.
const DONE: &str = "done";
/// How many requests were made.
const REQUESTS: &str = "requests";
/// Without progress for so long something is broken.
const LOST: Duration = Duration::from_secs(120);
/// How often the sender is killed, about, for each so many deliveries.
const KILLS: u64 = 30;

/// What came of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Figures {
    /// Requests that reached the receiver.
    pub requests: usize,
    /// Messages that it kept.
    pub arrivals: usize,
    /// Of these, those that it had already.
    pub twice: usize,
    /// How often the sender was killed.
    pub kills: u64,
    /// How often the receiver died, by itself or killed.
    pub deaths: u64,
}

/// So many deliveries.
#[must_use]
pub fn soak(asked: Asked) -> Report {
    let done = std::env::current_exe()
        .map_err(|error| error.to_string())
        .and_then(|program| watch(asked, &program));
    match done {
        Ok((figures, violations)) => Report {
            done: format!(
                "{} deliveries in {} arrivals of {} requests, {} of them again under the same key; \
                 the sender killed {} times, the receiver dead {} times",
                asked.count,
                figures.arrivals,
                figures.requests,
                figures.twice,
                figures.kills,
                figures.deaths
            ),
            violations,
        },
        Err(what) => Report { done: "not done".into(), violations: vec![what] },
    }
}

/// The same with processes that are this program, which must be `soak`.
///
/// # Errors
/// What kept it from being done.
pub fn watch(asked: Asked, program: &Path) -> Result<(Figures, Vec<String>), String> {
    let folder = TempDir::new().map_err(|error| error.to_string())?;
    let port = free_port()?;
    let stage = Stage { program, folder: folder.path(), port, asked };
    let mut figures = Figures::default();
    stage.perform(&mut figures)?;
    let violations = judge(folder.path(), asked, &mut figures)?;
    Ok((figures, violations))
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    listener.map(|address| address.port()).map_err(|error| error.to_string())
}

struct Stage<'a> {
    program: &'a Path,
    folder: &'a Path,
    port: u16,
    asked: Asked,
}

/// A child that does not outlive the scene.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage<'_> {
    fn start(&self, name: &str, life: u64) -> Result<Process, String> {
        let numbers = [u64::from(self.port), self.asked.count, self.asked.seed, life];
        Command::new(self.program)
            .arg(name)
            .arg(self.folder)
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map(Process)
            .map_err(|error| format!("{}: {error}", self.program.display()))
    }

    /// Lets both live, kills either now and then, until everything is sent.
    #[expect(clippy::disallowed_methods, reason = "processes are waited for in real time")]
    fn perform(&self, figures: &mut Figures) -> Result<(), String> {
        let mut random = Rng::with_seed(self.asked.seed);
        let mut receiver = self.start(RECEIVER, 0)?;
        let mut sender = self.start(SENDER, 0)?;
        let most = (self.asked.count / KILLS).clamp(4, 40);
        let (mut lives, mut size, mut moved) = (0, 0, Instant::now());
        let mut kill_at = Instant::now() + span(&mut random);
        loop {
            sleep(Duration::from_millis(20));
            let has_ended = |child: &mut Process| child.0.try_wait().map_err(|e| e.to_string());
            if has_ended(&mut receiver)?.is_some() {
                figures.deaths += 1;
                lives += 1;
                // Away for a while: nobody listens.
                sleep(Duration::from_millis(random.u64(0..200)));
                receiver = self.start(RECEIVER, lives)?;
            }
            if let Some(status) = has_ended(&mut sender)? {
                if status.success() && self.folder.join(DONE).exists() {
                    return Ok(());
                }
                return Err(format!("the sender ended by itself: {status}"));
            }
            if Instant::now() >= kill_at && figures.kills < most {
                kill_at = Instant::now() + span(&mut random);
                figures.kills += 1;
                drop(sender);
                if random.u8(0..4) == 0 {
                    drop(std::mem::replace(&mut receiver, self.start(RECEIVER, lives + 1)?));
                    figures.deaths += 1;
                    lives += 1;
                }
                sender = self.start(SENDER, figures.kills)?;
            }
            let now = fs::metadata(self.folder.join(REQUESTS)).map_or(0, |found| found.len());
            if now != size {
                (size, moved) = (now, Instant::now());
            } else if moved.elapsed() > LOST {
                return Err(format!("nothing moves for {LOST:?}"));
            }
        }
    }
}

fn span(random: &mut Rng) -> Duration {
    Duration::from_millis(random.u64(100..900))
}

fn lines(folder: &Path, name: &str) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Compares what was acknowledged with what has arrived.
fn judge(folder: &Path, asked: Asked, figures: &mut Figures) -> Result<Vec<String>, String> {
    let mut violations = Vec::new();
    let acknowledged: BTreeSet<String> = lines(folder, ACKNOWLEDGED)?.into_iter().collect();
    if acknowledged.len() as u64 != asked.count {
        violations.push(format!("{} of {} acknowledged", acknowledged.len(), asked.count));
    }
    let mut arrived: BTreeMap<String, String> = BTreeMap::new();
    for line in lines(folder, LEDGER)? {
        let Some((key, what)) = line.split_once(' ') else {
            violations.push(format!("a torn line: {line}"));
            continue;
        };
        figures.arrivals += 1;
        if !acknowledged.contains(key) {
            violations.push(format!("{key} arrived and was not sent by anybody"));
        }
        if !what.ends_with("well") {
            violations.push(format!("{key}: {what}"));
        }
        match arrived.insert(key.to_owned(), what.to_owned()) {
            None => {}
            Some(before) if before == what => figures.twice += 1,
            Some(before) => violations.push(format!("{key}: {before} once, {what} then")),
        }
    }
    let lost = acknowledged.iter().filter(|key| !arrived.contains_key(*key));
    violations.extend(lost.map(|key| format!("{key} is lost")));
    figures.requests = fs::metadata(folder.join(REQUESTS)).map_or(0, |found| found.len()) as usize;
    let left = fs::read_to_string(folder.join(DONE)).map_err(|error| error.to_string())?;
    if left != "0 waiting, 0 dead" {
        violations.push(format!("at the end {left}"));
    }
    Ok(violations)
}
