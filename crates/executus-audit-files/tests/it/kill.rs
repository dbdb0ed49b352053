//! Processes that are killed with -9 while they record.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use executus_audit_files::FilesReader;
use tempfile::TempDir;

use crate::bench::{actions, run};
use crate::child::{FOLDER, RUN};

/// How often.
const KILLS: usize = 12;

/// What was acknowledged is there after the kill, in order and readable; the next life goes on.
#[test]
fn what_was_acknowledged_is_kept() {
    let folder = TempDir::new().unwrap();
    let reader = FilesReader::new(folder.path());
    let id = run(RUN);
    let mut kept = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::records", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
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
