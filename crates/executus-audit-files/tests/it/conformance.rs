//! The guarantees of the port, as every implementation shows them.

use async_trait::async_trait;
use executus_audit_files::FilesReader;
use executus_core::RunId;
use executus_testkit::conformance::{self, AuditProbe};

use crate::bench::Bench;

/// Reads the files as another process would.
struct Probe(FilesReader);

#[async_trait]
impl AuditProbe for Probe {
    async fn seqs(&self, run: &RunId) -> Vec<u64> {
        self.0.records(run).unwrap().iter().map(|record| record.seq).collect()
    }

    async fn closes(&self, run: &RunId) -> u64 {
        u64::from(self.0.run(run).unwrap().closed)
    }

    async fn text(&self, run: &RunId) -> String {
        let folder = self.0.folder(run);
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guarantees_of_an_audit_hold() {
    let bench = Bench::new();
    conformance::audit(&bench.audit, &Probe(bench.reader())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_hold_with_a_short_queue() {
    let bench = Bench::with(|config| config.queue = 7);
    conformance::audit(&bench.audit, &Probe(bench.reader())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_hold_with_few_bytes() {
    let bench = Bench::with(|config| config.queue_bytes = 16 << 10);
    conformance::audit(&bench.audit, &Probe(bench.reader())).await;
}
