//! The guarantees of the port, as every implementation shows them.

use async_trait::async_trait;
use executus_audit_sqlite::AuditReader;
use executus_core::RunId;
use executus_testkit::conformance::{self, AuditProbe};

use crate::bench::Bench;

/// Reads the file as another process would.
struct Probe(AuditReader);

#[async_trait]
impl AuditProbe for Probe {
    async fn seqs(&self, run: &RunId) -> Vec<u64> {
        self.0.records(run).unwrap().iter().map(|record| record.seq).collect()
    }

    async fn closes(&self, run: &RunId) -> u64 {
        u64::from(self.0.run(run).unwrap().closed)
    }

    async fn text(&self, run: &RunId) -> String {
        format!("{:?}{:?}", self.0.run(run).unwrap(), self.0.records(run).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guarantees_of_an_audit_hold() {
    let bench = Bench::new();
    let probe = Probe(AuditReader::open(bench.path()).unwrap());
    conformance::audit(&bench.audit, &probe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_hold_with_a_short_queue() {
    let bench = Bench::with(|config| config.queue = 7);
    let probe = Probe(AuditReader::open(bench.path()).unwrap());
    conformance::audit(&bench.audit, &probe).await;
}
