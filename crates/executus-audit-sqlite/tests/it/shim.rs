//! Disks that fail and processes that are killed, for real: children of this test binary under a
//! file layer that is preloaded (`shim.c`).

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use executus_audit_sqlite::{Config, SqliteAudit, StoreError, StoreState, verify};
use executus_core::RunStatus;
use executus_core::port::{Audit, AuditError, Recorder};
use executus_sqlite::rusqlite::Connection;
use executus_testkit::sample;
use tempfile::TempDir;

use crate::bench::id;

/// Where the child works.
const FOLDER: &str = "SHIM_FOLDER";
/// The file that says what fails.
const MODE: &str = "SHIM_MODE";
/// What is not synced is lost.
const HOLD: &str = "SHIM_HOLD";
/// How many times the child was killed before.
const LIFE: &str = "EXECUTUS_TEST_LIFE";
/// How many kills, where more are wanted than a test has time for.
const KILLS: &str = "EXECUTUS_TEST_KILLS";

/// The layer, compiled once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, shim) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let shim = folder.path().join("shim.so");
        let source = folder.path().join("shim.c");
        fs::write(&source, include_str!("shim.c")).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&shim, &source])
            .arg("-ldl")
            .status();
        assert!(built.is_ok_and(|status| status.success()), "a C compiler `cc` is needed");
        (folder, shim)
    });
    shim
}

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("LD_PRELOAD", shim())
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

/// The folder of the child that this process is.
fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Kills a child when it has said so many lines that begin like this; the lines.
fn kill_after(mut child: Child, begin: &str, lines: usize) -> Vec<String> {
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said: Vec<String> = Vec::new();
    while said.len() < lines {
        let Some(line) = out.next() else { panic!("the child ended by itself") };
        let line = line.unwrap();
        said.extend(line.starts_with(begin).then_some(line));
    }
    child.kill().unwrap();
    // What it said before it was killed counts too.
    said.extend(out.map_while(Result::ok).filter(|line| line.starts_with(begin)));
    child.wait().unwrap();
    said
}

#[tokio::test]
#[ignore = "is run by others, in a process that they kill"]
async fn records() {
    let Some(folder) = folder() else { return };
    let life = std::env::var_os(LIFE).unwrap().into_string().unwrap();
    let audit = SqliteAudit::open(Config::new(folder.join("audit.db"))).unwrap();
    for n in 0.. {
        let mut recorders = Vec::new();
        for part in 0..3 {
            let run = id(&format!("{life}-{n}-{part}"));
            recorders.push((audit.start(&sample::start(&run, 1)).await.unwrap().unwrap(), run));
        }
        for seq in 1..=40 {
            for (recorder, run) in &recorders {
                recorder.record(&sample::record(run, seq)).unwrap();
            }
            if seq % 7 == 0 {
                for (recorder, run) in &recorders {
                    recorder.flush().await.unwrap();
                    tell(&format!("durable {run} {seq}"));
                }
            }
        }
        for (recorder, run) in recorders {
            recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
            tell(&format!("durable {run} 41"));
        }
    }
}

/// What a child said is durable is in the file.
async fn check(folder: &Path, said: &[String]) {
    let audit = SqliteAudit::open(Config::new(folder.join("audit.db"))).unwrap();
    for line in said {
        let words: Vec<&str> = line.split(' ').collect();
        let (run, seq) = (id(words[1]), words[2].parse::<u64>().unwrap());
        let records = audit.records(&run).await.unwrap();
        assert!(records.len() as u64 >= seq.min(40), "{line}: {} records", records.len());
        assert!(records.iter().zip(1..).all(|(record, at)| record.seq == at), "{line}");
        assert!(seq <= 40 || audit.run(&run).await.unwrap().closed, "{line}");
    }
    audit.close().await;
    let found = verify(folder.join("audit.db"), None).unwrap();
    assert!(found.holds(), "{found:?}");
}

/// Kills of one file: verifying it takes longer each time.
const OF_ONE_FILE: usize = 20;

async fn killed(hold: bool, kills: usize) {
    let wanted = std::env::var_os(KILLS).map(|kills| kills.into_string().unwrap());
    let kills = wanted.map_or(kills, |kills| kills.parse().unwrap());
    let mut folder = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    for life in 0..kills {
        if life > 0 && life % OF_ONE_FILE == 0 {
            check(folder.path(), &said).await;
            (folder, said) = (tempfile::tempdir().unwrap(), Vec::new());
        }
        let mut command = child("shim::records", folder.path());
        command.env(LIFE, life.to_string());
        if hold {
            command.env(HOLD, "1");
        }
        let child = command.spawn().unwrap();
        let now = kill_after(child, "durable", 1 + life * 7 % 29);
        check(folder.path(), &now).await;
        said.extend(now);
    }
    check(folder.path(), &said).await;
}

/// More by `EXECUTUS_TEST_KILLS=1000`.
#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there() {
    killed(false, 10).await;
}

/// The same where a kill loses what was not synced, as a power cut does.
#[tokio::test]
async fn what_was_acknowledged_is_there_though_everything_unsynced_is_lost() {
    killed(true, 20).await;
}

#[test]
#[ignore = "is run by others, in a process that they kill"]
fn writes_without_syncing() {
    let Some(folder) = folder() else { return };
    let connection = Connection::open(folder.join("loose.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch("CREATE TABLE t (n); PRAGMA synchronous = OFF").unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    tell(&format!("wrote {rows}"));
    std::thread::park();
}

/// That the layer loses anything at all.
#[test]
fn what_was_not_synced_is_lost() {
    for (hold, left) in [(false, 1), (true, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = child("shim::writes_without_syncing", folder.path());
        if hold {
            command.env(HOLD, "1");
        }
        let said = kill_after(command.spawn().unwrap(), "wrote", 1);
        assert_eq!(said, ["wrote 1"]);
        let connection = Connection::open(folder.path().join("loose.db")).unwrap();
        let rows = connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap_or_default(), left);
    }
}

/// Whether a new run is taken.
async fn starts(audit: &SqliteAudit, run: &str) -> Result<Box<dyn Recorder>, AuditError> {
    Ok(audit.start(&sample::start(&id(run), 1)).await?.unwrap())
}

#[tokio::test]
#[ignore = "is run by the next tests under a disk that fails"]
async fn on_a_full_disk() {
    let (Some(folder), Some(mode)) = (folder(), std::env::var_os(MODE)) else { return };
    let audit = SqliteAudit::open(Config::new(folder.join("audit.db"))).unwrap();
    let run = id("a");
    let recorder = starts(&audit, "a").await.unwrap();
    for record in sample::records(&run, 1..=5) {
        recorder.record(&record).unwrap();
    }
    recorder.flush().await.unwrap();

    fs::write(&mode, "f").unwrap();
    for record in sample::records(&run, 6..=9) {
        recorder.record(&record).unwrap();
    }
    let full = recorder.flush().await.unwrap_err();
    assert!(full.to_string().contains("no space left"), "{full}");
    let state = audit.state();
    assert!(matches!(state, StoreState::Waiting(StoreError::DiskFull { .. })), "{state:?}");
    let refused = starts(&audit, "b").await.err().unwrap();
    assert!(refused.to_string().contains("no space left"), "{refused}");
    assert_eq!(audit.records(&run).await.unwrap().len(), 5, "what was acknowledged is there");

    fs::write(&mode, "n").unwrap();
    starts(&audit, "c").await.unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(audit.records(&run).await.unwrap().len(), 9, "what was kept is written");
    assert!(audit.state().is_writing());
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    audit.close().await;
    assert!(verify(folder.join("audit.db"), None).unwrap().holds());
    tell("held");
}

#[tokio::test]
#[ignore = "is run by the next tests under a disk that fails"]
async fn when_a_sync_fails() {
    let (Some(folder), Some(mode)) = (folder(), std::env::var_os(MODE)) else { return };
    let path = folder.join("audit.db");
    let audit = SqliteAudit::open(Config::new(&path)).unwrap();
    let run = id("a");
    let recorder = starts(&audit, "a").await.unwrap();
    recorder.record(&sample::record(&run, 1)).unwrap();
    recorder.flush().await.unwrap();

    fs::write(&mode, "s").unwrap();
    recorder.record(&sample::record(&run, 2)).unwrap();
    let failed = recorder.flush().await.unwrap_err();
    assert!(matches!(failed, AuditError::Broken { .. }) && !failed.retry(), "{failed:?}");
    // A sync that succeeds later says nothing about what the one before lost.
    fs::write(&mode, "n").unwrap();
    let state = audit.state();
    assert!(matches!(state, StoreState::Failed(StoreError::Poisoned { .. })), "{state:?}");
    let refused = starts(&audit, "b").await.err().unwrap();
    assert!(refused.to_string().contains("can no longer be written"), "{refused}");
    assert!(recorder.record(&sample::record(&run, 3)).is_err());
    audit.close().await;
    drop((recorder, audit));

    let audit = SqliteAudit::open(Config::new(&path)).unwrap();
    assert!(!audit.records(&run).await.unwrap().is_empty(), "what was acknowledged is there");
    starts(&audit, "b").await.unwrap();
    audit.close().await;
    assert!(verify(path, None).unwrap().holds());
    tell("held");
}

#[test]
fn a_disk_that_is_full_or_fails_is_told_and_acknowledged_records_stay() {
    for test in ["shim::on_a_full_disk", "shim::when_a_sync_fails"] {
        let folder = tempfile::tempdir().unwrap();
        let mode = tempfile::NamedTempFile::new().unwrap();
        let done = child(test, folder.path()).env(MODE, mode.path()).output().unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("held"), "{test}: {told}");
    }
}

#[tokio::test]
async fn a_damaged_file_takes_no_new_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let audit = SqliteAudit::open(Config::new(&path)).unwrap();
    let recorder = starts(&audit, "a").await.unwrap();
    recorder.close(&sample::outcome(&id("a"), RunStatus::Ok)).await.unwrap();
    audit.close().await;
    drop((recorder, audit));
    let connection = Connection::open(&path).unwrap();
    let (page, size): (i64, i64) = connection
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema
             WHERE name = 'runs'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    let at = usize::try_from((page - 1) * size).unwrap();
    bytes[at..at + 64].fill(0xee);
    fs::write(&path, bytes).unwrap();

    let audit = SqliteAudit::open(Config::new(&path)).unwrap();
    let refused = starts(&audit, "b").await.err().unwrap();
    assert!(matches!(refused, AuditError::Broken { .. }), "{refused:?}");
    assert!(refused.to_string().contains("is damaged"), "{refused}");
    let state = audit.state();
    assert!(matches!(state, StoreState::Failed(StoreError::Corrupt { .. })), "{state:?}");
}
