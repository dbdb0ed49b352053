//! The host killed with signal 9 at random moments of real runs, and resumed until they are done:
//! what was said to be recorded is, what was done is not done again, the output is what it would
//! have been, and nothing stays held.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use executus_audit_sqlite::{AnchorKey, FileAnchor, verify};
use executus_testkit::redis::{RedisServer, Settings};
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Asked, Report};

mod home;
mod life;
mod subject;

use home::Home;
use subject::Subject;

/// Runs at once: they share a store, an anchor and a budget.
const AT_ONCE: usize = 3;
/// What a dead run holds comes back within its lease.
const LEASE: Duration = Duration::from_secs(35);

/// What was counted.
#[derive(Debug, Default)]
struct Figures {
    kills: AtomicU64,
    runs: AtomicU64,
    resumed: AtomicU64,
    /// Killed before anything was kept, and before anything was done.
    unborn: AtomicU64,
    /// Records that were said to be durable, over all lives.
    acknowledged: AtomicU64,
    /// Records that a reader in another process was shown.
    shown: AtomicU64,
    /// Effects that had happened when their call was acknowledged.
    effects: AtomicU64,
}

/// What all workers share.
struct Scene {
    home: Home,
    asked: Asked,
    figures: Figures,
    violations: Mutex<Vec<String>>,
}

/// So many kills; the host lies beside this program.
#[must_use]
pub fn soak(asked: Asked) -> Report {
    let program = std::env::current_exe().map(|program| program.with_file_name("executus"));
    match program {
        Ok(program) if program.is_file() => watch(asked, &program, true),
        Ok(program) => broken(format!("{} is not built", program.display())),
        Err(error) => broken(error.to_string()),
    }
}

/// The same with this host. `shared`: with a budget that processes share, which is waited for at the
/// end until what the dead held is back.
#[must_use]
pub fn watch(asked: Asked, program: &Path, shared: bool) -> Report {
    match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(watched(asked, program.to_owned(), shared)).unwrap_or_else(broken)
        }
        Err(error) => broken(error.to_string()),
    }
}

fn broken(what: String) -> Report {
    Report { done: "not done".into(), violations: vec![what] }
}

async fn watched(asked: Asked, program: PathBuf, shared: bool) -> Result<Report, String> {
    let server = match shared {
        true => Some(RedisServer::start(Settings::default()).await?),
        false => None,
    };
    let home = Home::new(program, server.as_ref().map(RedisServer::url).as_deref())?;
    let scene =
        Arc::new(Scene { home, asked, figures: Figures::default(), violations: Mutex::default() });
    let subjects = Arc::new(Subject::all(&scene.home).await?);
    let mut workers = JoinSet::new();
    for worker in 0..AT_ONCE {
        let (scene, subjects) = (Arc::clone(&scene), Arc::clone(&subjects));
        workers.spawn(async move { scene.work(worker, &subjects).await });
    }
    while let Some(worked) = workers.join_next().await {
        worked.map_err(|error| error.to_string())??;
    }
    if shared {
        scene.nothing_is_held().await?;
    }
    let chain = scene.chain_holds()?;
    let figures = &scene.figures;
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let done = format!(
        "{} kills of {} runs, {} lives resumed, {} died before they were kept; {} records \
         acknowledged, {} shown elsewhere, {} effects acknowledged; {chain}; held at the end: {}",
        count(&figures.kills),
        count(&figures.runs),
        count(&figures.resumed),
        count(&figures.unborn),
        count(&figures.acknowledged),
        count(&figures.shown),
        count(&figures.effects),
        if shared { "0" } else { "not shared" },
    );
    let violations = scene.violations.lock().clone();
    Ok(Report { done, violations })
}

impl Scene {
    async fn work(&self, worker: usize, subjects: &[Subject]) -> Result<(), String> {
        let mut random = fastrand::Rng::with_seed(self.asked.seed ^ (worker as u64) << 32);
        let mut number = 0;
        while self.figures.kills.load(Ordering::Relaxed) < self.asked.count {
            let Some(subject) = subjects.get(random.usize(..subjects.len())) else {
                return Err("no subjects".to_owned());
            };
            let run = format!("w{worker}-{number}");
            number += 1;
            life::to_the_end(self, subject, &run, &mut random).await?;
        }
        Ok(())
    }

    fn count(&self, of: impl Fn(&Figures) -> &AtomicU64, many: u64) {
        of(&self.figures).fetch_add(many, Ordering::Relaxed);
    }

    fn violation(&self, run: &str, what: impl std::fmt::Display) {
        self.violations.lock().push(format!("{run}: {what}"));
    }

    /// What runs held is back, that of the dead within a lease.
    async fn nothing_is_held(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let held = self.home.say(&["budget", "holds", "--json"]).await?;
            if held.code != 0 {
                return Err(format!("budget holds: {held:?}"));
            }
            if held.stdout.is_empty() {
                return Ok(());
            }
            if began.elapsed() > LEASE {
                self.violation("held at the end", held.stdout.trim());
                return Ok(());
            }
            sleep(Duration::from_secs(1)).await;
            // What is over is taken back by whoever reserves next.
            let last = format!("last-{}", began.elapsed().as_millis());
            let mark = format!("mark={last}");
            self.home.say(&["run", "book.toml", "--run-id", &last, "--input", &mark]).await?;
        }
    }

    fn chain_holds(&self) -> Result<String, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let key = AnchorKey::new(home::KEY.as_bytes()).map_err(|error| text(&error))?;
        let anchor = FileAnchor::new(self.home.anchor(), key);
        let found = verify(self.home.db(), Some(&anchor)).map_err(|error| text(&error))?;
        if !found.holds() {
            self.violation("chain", format!("{found:?}"));
        }
        Ok(format!("a chain of {} entries holds, with its anchor: {}", found.entries, found.tail))
    }
}
