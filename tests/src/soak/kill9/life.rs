//! One run, killed and resumed until it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use executus_audit_sqlite::{AuditReader, QueryError};
use executus_core::transcript::CallOutcome;
use executus_core::{Fact, Record, RunId};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Scene;
use super::home::Said;
use super::subject::{Subject, effect, effects};

/// Lives of one run, before it is left to end.
const LIVES: u32 = 6;
/// Nothing of a run takes longer.
const LOST: Duration = Duration::from_secs(60);

/// When a process is killed.
#[derive(Clone, Copy)]
enum Moment {
    /// So long after it was started.
    OfProcess(Duration),
    /// So long after its run began.
    OfRun(Duration),
}

/// What is known of a run that was killed.
#[derive(Default)]
struct Known {
    /// The newest record that was said to be durable.
    acknowledged: u64,
    /// The records that were there, each with the digest of its fact.
    records: BTreeMap<u64, String>,
    /// The effects whose calls were answered, and how often each had happened.
    answered: BTreeMap<String, usize>,
}

/// Runs a subject, kills it, resumes it, and looks after each kill and at the end.
pub(super) async fn to_the_end(
    scene: &Scene,
    subject: &Subject,
    run: &str,
    random: &mut fastrand::Rng,
) -> Result<(), String> {
    scene.count(|all| &all.runs, 1);
    let mut known = Known::default();
    let mut tail: Option<Child> = None;
    for life in 1..=LIVES {
        let mark = format!("mark={run}");
        let begin = ["run", subject.file, "--run-id", run, "--input", &mark, "--json"];
        let args: &[&str] = if life == 1 { &begin } else { &["resume", run, "--json"] };
        // Mostly while the run is under way, and sometimes before it is.
        let moment = match (life, random.u8(..5)) {
            (LIVES, _) => None,
            (_, 0) => Some(Moment::OfProcess(subject.boots.mul_f64(random.f64() * 1.2))),
            _ => Some(Moment::OfRun(subject.takes.mul_f64(random.f64() * 1.1))),
        };
        let (said, is_killed) = live(scene, args, moment).await?;
        let newest = acknowledged(&said.stdout);
        known.acknowledged = known.acknowledged.max(newest);
        if life > 1 {
            scene.count(|all| &all.resumed, 1);
        }
        if !is_killed {
            let unborn = life > 1 && said.code == 2 && known.answered.is_empty();
            if unborn && is_unborn(scene, run)? {
                scene.count(|all| &all.unborn, 1);
                // Nothing was said to be there, and nothing was done.
                if known.acknowledged > 0 || !effects(&scene.home, run).is_empty() {
                    scene.violation(run, format!("not kept, though acknowledged: {said:?}"));
                }
                return Ok(());
            }
            scene.count(|all| &all.acknowledged, known.acknowledged);
            judge(scene, subject, run, &known, &said).await?;
            if let Some(tail) = tail {
                shown(scene, run, tail).await?;
            }
            return Ok(());
        }
        scene.count(|all| &all.kills, 1);
        look(scene, run, &mut known)?;
        if tail.is_none() && !known.records.is_empty() && random.u8(..4) == 0 {
            tail = Some(follow(scene, run)?);
        }
    }
    scene.violation(run, "it was left to end, and did not");
    Ok(())
}

/// A process of the host, killed at this moment if it is still there then.
async fn live(
    scene: &Scene,
    args: &[&str],
    moment: Option<Moment>,
) -> Result<(Said, bool), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut child = scene.home.command(args).spawn().map_err(text)?;
    let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("a process without pipes".to_owned());
    };
    let begun = Notify::new();
    let reading = async {
        let (mut out, mut err) = (String::new(), String::new());
        let mut lines = BufReader::new(stdout).lines();
        let telling = async {
            while let Ok(Some(line)) = lines.next_line().await {
                out.push_str(&line);
                out.push('\n');
                begun.notify_one();
            }
            // There may have been nothing.
            begun.notify_one();
        };
        // Cut in the middle of a character it has said what it said.
        let ((), _cut) = tokio::join!(telling, stderr.read_to_string(&mut err));
        (out, err)
    };
    let waiting = async {
        let mut is_killed = false;
        let after = match moment {
            Some(Moment::OfRun(after)) => {
                begun.notified().await;
                Some(after)
            }
            Some(Moment::OfProcess(after)) => Some(after),
            None => None,
        };
        if let Some(after) = after
            && timeout(after, child.wait()).await.is_err()
        {
            child.start_kill().map_err(text)?;
            is_killed = true;
        }
        match timeout(LOST, child.wait()).await {
            Ok(status) => status.map(|status| (status, is_killed)).map_err(text),
            Err(_) => {
                child.start_kill().map_err(text)?;
                Err(format!("{args:?} does not end"))
            }
        }
    };
    let ((stdout, stderr), waited) = tokio::join!(reading, waiting);
    let (status, is_killed) = waited?;
    // It may have ended by itself in the moment before.
    let is_killed = is_killed && status.code().is_none();
    Ok((Said { code: status.code().unwrap_or(-1), stdout, stderr }, is_killed))
}

/// The newest record that a process said to be durable.
fn acknowledged(stdout: &str) -> u64 {
    let lines = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let recorded = lines.filter(|line| line["type"] == "run.recorded");
    recorded.filter_map(|line| line["seq"].as_u64()).max().unwrap_or_default()
}

/// Whether nothing of the run can go on: it was killed before it was kept.
fn is_unborn(scene: &Scene, run: &str) -> Result<bool, String> {
    Ok(kept(scene, run)?.is_empty())
}

/// What a kill left: nothing that was there is gone, nothing that was answered happens again.
fn look(scene: &Scene, run: &str, known: &mut Known) -> Result<(), String> {
    let records = records(scene, run)?;
    compare(scene, run, known, &records);
    known.records = records;
    let happened = effects(&scene.home, run);
    unrepeated(scene, run, known, &happened);
    for name in answered(&kept(scene, run)?) {
        let times = happened.get(&name).copied().unwrap_or_default();
        if times == 0 {
            scene.violation(run, format!("`{name}` was answered, and never happened"));
        }
        known.answered.entry(name).or_insert(times);
    }
    Ok(())
}

fn compare(scene: &Scene, run: &str, known: &Known, records: &BTreeMap<u64, String>) {
    let newest = records.keys().next_back().copied().unwrap_or_default();
    if newest < known.acknowledged {
        let said = known.acknowledged;
        scene.violation(run, format!("record {said} was acknowledged, the newest is {newest}"));
    }
    for (seq, fact) in &known.records {
        if records.get(seq) != Some(fact) {
            scene.violation(run, format!("record {seq} is not what it was"));
        }
    }
}

fn unrepeated(scene: &Scene, run: &str, known: &Known, happened: &BTreeMap<String, usize>) {
    for (name, times) in &known.answered {
        let now = happened.get(name).copied().unwrap_or_default();
        if now != *times {
            let what = format!("`{name}` was answered and happened {times} times, now {now}");
            scene.violation(run, what);
        }
    }
    for (name, times) in happened.iter().filter(|(name, _)| name.starts_with("send ")) {
        if *times > 1 {
            scene.violation(run, format!("`{name}` happened {times} times"));
        }
    }
}

/// The records in the audit.
fn records(scene: &Scene, run: &str) -> Result<BTreeMap<u64, String>, String> {
    let id = RunId::new(run).map_err(|error| error.to_string())?;
    let reader = match AuditReader::open(scene.home.db()) {
        Ok(reader) => reader,
        Err(error) => return Err(format!("the audit cannot be read: {error}")),
    };
    match reader.records(&id) {
        Ok(records) => {
            let facts = records.into_iter().map(|record| (record.seq, record.fact.to_string()));
            Ok(facts.collect())
        }
        Err(QueryError::NotFound { .. }) => Ok(BTreeMap::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// The facts in the checkpoint.
fn kept(scene: &Scene, run: &str) -> Result<Vec<Record>, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let path = scene.home.path().join("runs.db.checkpoints");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(text)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(text)?;
    let sql = "SELECT record FROM records JOIN runs ON runs.id = records.run \
               WHERE run_id = ? ORDER BY seq";
    let mut statement = connection.prepare(sql).map_err(text)?;
    let rows = statement.query_map([run], |row| row.get::<_, String>(0)).map_err(text)?;
    rows.map(|row| serde_json::from_str(&row.map_err(text)?).map_err(|error| error.to_string()))
        .collect()
}

/// The effects of the calls whose answers are kept.
fn answered(records: &[Record]) -> BTreeSet<String> {
    let mut calls = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for record in records {
        match &record.fact {
            Fact::Decided(decided) => {
                for (call, asked) in (0..).zip(&decided.reply.calls) {
                    calls.insert((decided.step, call), effect(&asked.name, &asked.args["n"]));
                }
            }
            Fact::Acted(acted) if !matches!(acted.outcome, CallOutcome::Unknown) => {
                answered.extend(calls.get(&(acted.step, acted.call)).cloned());
            }
            _ => {}
        }
    }
    answered
}

/// The end of the run is what it would have been.
async fn judge(
    scene: &Scene,
    subject: &Subject,
    run: &str,
    known: &Known,
    said: &Said,
) -> Result<(), String> {
    let last = said.stdout.lines().next_back().unwrap_or_default();
    let last: Value = serde_json::from_str(last).unwrap_or_default();
    let output = last["output"].as_str().unwrap_or_default();
    if said.code != 0 || last["status"] != "ok" || output.trim_end() != subject.output.trim_end() {
        scene.violation(run, format!("it ended otherwise: {said:?}"));
    }
    compare(scene, run, known, &records(scene, run)?);
    let happened = effects(&scene.home, run);
    unrepeated(scene, run, known, &happened);
    scene.count(|all| &all.effects, known.answered.len() as u64);
    if !kept(scene, run)?.is_empty() {
        scene.violation(run, "it is still kept");
    }
    let replayed = scene.home.say(&["replay", run]).await?;
    if replayed.code != 0 {
        scene.violation(run, format!("it does not replay: {replayed:?}"));
    }
    Ok(())
}

/// A reader in another process, from before the end on.
fn follow(scene: &Scene, run: &str) -> Result<Child, String> {
    let mut command = scene.home.command(&["tail", run, "--json"]);
    command.stderr(Stdio::null()).spawn().map_err(|error| error.to_string())
}

/// What it was shown: each record once, in order, to the end.
async fn shown(scene: &Scene, run: &str, tail: Child) -> Result<(), String> {
    let output = match timeout(LOST, tail.wait_with_output()).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => {
            scene.violation(run, "its reader does not end");
            return Ok(());
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let shown: Vec<u64> = lines.filter_map(|line| line["seq"].as_u64()).collect();
    let all: Vec<u64> = records(scene, run)?.into_keys().collect();
    if shown != all {
        scene.violation(run, format!("shown were {shown:?}, there are {all:?}"));
    }
    scene.count(|them| &them.shown, shown.len() as u64);
    Ok(())
}
