//! Processes that are killed with -9 while they record.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use executus_audit_files::FilesReader;
use tempfile::TempDir;

use crate::bench::{actions, run};
use crate::child::{FOLDER, RUN};

/// How often.
const KILLS: usize = 12;

fn spawn(folder: &TempDir) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::records", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What was acknowledged is there after the kill, in order and readable; the next life goes on.
#[test]
fn what_was_acknowledged_is_kept() {
    let folder = TempDir::new().unwrap();
    let reader = FilesReader::new(folder.path());
    let id = run(RUN);
    let mut kept = 0;
    for kill in 0..KILLS {
        let mut child = spawn(&folder);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        for line in lines.map_while(Result::ok) {
            if let Some((_, seq)) = line.split_once("kept ") {
                kept = seq.parse().unwrap();
                told += 1;
            }
            if told > kill {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(told > kill, "it recorded nothing");
        let records = reader.records(&id).unwrap();
        let seqs: Vec<u64> = records.iter().map(|record| record.seq).collect();
        let newest = *seqs.last().unwrap();
        assert!(newest >= kept, "{kept} was acknowledged, {newest} is the newest");
        assert_eq!(seqs, (1..=newest).collect::<Vec<_>>());
        let files: Vec<_> = records.iter().filter_map(|record| record.file.clone()).collect();
        let there = actions(&reader.folder(&id));
        assert!(files.iter().all(|file| there.contains(file)));
    }
    assert_eq!(reader.run(&id).unwrap().lives.len(), KILLS);
}

/// A file that cannot grow: the run's log ends with an error that names it, what was acknowledged
/// is kept, other runs go on, and the next life goes on once there is room.
#[test]
fn a_file_that_cannot_grow_fails_its_run_alone() {
    let folder = TempDir::new().unwrap();
    let reader = FilesReader::new(folder.path());
    let id = run(RUN);
    // A limit of the shell, since the signal of the limit has to be ignored before the start.
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child::records", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("failed: ") && said.contains(RUN), "{said}");
    let kept: u64 =
        said.lines().filter_map(|line| line.split_once("kept ")?.1.parse().ok()).max().unwrap();
    let seqs: Vec<_> = reader.records(&id).unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=kept).collect::<Vec<_>>(), "no more and no less");
    assert!(reader.run(&run("another-one")).unwrap().closed);

    let mut child = spawn(&folder);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let more = lines.map_while(Result::ok).find(|line| line.contains("kept ")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(more.split_once("kept ").unwrap().1.parse::<u64>().unwrap() > kept);
}
