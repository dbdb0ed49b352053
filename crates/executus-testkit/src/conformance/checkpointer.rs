//! The guarantees of a checkpointer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{CheckpointError, Checkpointer};
use executus_core::{ErrorKind, RunError, RunId};
use tokio::task::JoinSet;

use super::{given, guarantee};
use crate::sample;

/// Opens a store, again and again, and says what it costs.
#[async_trait]
pub trait CheckpointProbe: Send + Sync {
    /// The store as another process would open it: nothing is shared with an earlier answer but
    /// what is durable.
    async fn open(&self) -> Arc<dyn Checkpointer>;

    /// How much was written so far, in records, pages or bytes.
    async fn written(&self) -> u64;
}

/// Runs all guarantees of a checkpointer.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn checkpointer(probe: &dyn CheckpointProbe) {
    appended_is_durable(probe).await;
    appending_is_idempotent(probe).await;
    the_cost_is_flat(probe).await;
    loaded_in_order(probe).await;
    an_end_ends_the_keeping(probe).await;
    one_claim_succeeds(probe).await;
}

/// K1: what was appended is durable.
async fn appended_is_durable(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let store = probe.open().await;
    for (from, to) in [(1, 1), (2, 4), (5, 9)] {
        given("K1", "append", store.append(&run, &sample::records(&run, from..=to)).await);
        let kept = seqs("K1", &*probe.open().await, &run).await.len() as u64;
        guarantee!("K1", kept == to, "{to} records acknowledged, {kept} found");
    }
    finish(&*store, &run).await;
}

/// K2: a record that is there already is kept as it is.
async fn appending_is_idempotent(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let store = probe.open().await;
    let first = sample::records(&run, 1..=4);
    given("K2", "append", store.append(&run, &first).await);
    given("K2", "the same append", store.append(&run, &first).await);
    // An answer was lost: the next batch begins where the lost one did.
    let mut overlapping = sample::records(&run, 3..=6);
    overlapping[0] = sample::resumed(&run, 3, 9);
    given("K2", "an overlapping append", store.append(&run, &overlapping).await);
    given("K2", "an empty append", store.append(&run, &[]).await);
    let expected = sample::records(&run, 1..=6);
    let kept = given("K2", "load", store.load(&run).await).map(|saved| saved.records);
    guarantee!("K2", kept.as_ref() == Some(&expected), "kept as {kept:?}");
    finish(&*store, &run).await;
}

/// K3: the cost of appending does not grow with the run.
async fn the_cost_is_flat(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let store = probe.open().await;
    let mut costs = Vec::new();
    for batch in 0..100_u64 {
        let records = sample::records(&run, batch * 10 + 1..=batch * 10 + 10);
        let before = probe.written().await;
        given("K3", "append", store.append(&run, &records).await);
        costs.push(probe.written().await - before);
    }
    // Sums, since a store may write in blocks.
    let (early, late): (u64, u64) = (costs[..20].iter().sum(), costs[80..].iter().sum());
    guarantee!("K3", early > 0, "the probe counts nothing");
    guarantee!(
        "K3",
        late <= early * 2,
        "20 batches wrote {early} at first, {late} after 800 records"
    );
    finish(&*store, &run).await;
}

/// K4: all records are loaded, in order, without a gap.
async fn loaded_in_order(probe: &dyn CheckpointProbe) {
    let (run, other) = (RunId::random(), RunId::random());
    let store = probe.open().await;
    for seq in 1..=50 {
        given("K4", "append", store.append(&run, &[sample::record(&run, seq)]).await);
        given("K4", "append", store.append(&other, &[sample::record(&other, seq)]).await);
    }
    let saved = given("K4", "load", probe.open().await.load(&run).await);
    let records = saved.map(|saved| saved.records).unwrap_or_default();
    guarantee!("K4", records == sample::records(&run, 1..=50), "not what was appended");
    let gap = store.append(&run, &[sample::record(&run, 52)]).await;
    let told = matches!(gap, Err(CheckpointError::Gap { expected: 51, found: 52, .. }));
    guarantee!("K4", told, "a gap was taken: {gap:?}");
    // What an audit alone had recorded was void: the next life's records come after it.
    let jump = [sample::resumed(&run, 60, 2), sample::record(&run, 61)];
    given("K4", "append after void records", store.append(&run, &jump).await);
    let kept = seqs("K4", &*store, &run).await;
    guarantee!("K4", kept.ends_with(&[50, 60, 61]), "a resumption is kept as {kept:?}");
    let unknown = given("K4", "load of an unknown run", store.load(&RunId::random()).await);
    guarantee!("K4", unknown.is_none(), "something is kept of an unknown run");
    finish(&*store, &run).await;
    finish(&*store, &other).await;
}

/// K5: complete and fail end the keeping, however often.
async fn an_end_ends_the_keeping(probe: &dyn CheckpointProbe) {
    let error = RunError::new(ErrorKind::Failed, "a sample failure");
    let store = probe.open().await;
    let (good, bad, open) = (RunId::random(), RunId::random(), RunId::random());
    for run in [&good, &bad, &open] {
        given("K5", "append", store.append(run, &sample::records(run, 1..=3)).await);
    }
    let listed = given("K5", "list", store.list().await);
    let all = [&good, &bad, &open].into_iter().all(|run| listed.contains(run));
    guarantee!("K5", all, "unfinished runs are not listed");
    for _ in 0..2 {
        given("K5", "complete", store.complete(&good).await);
        given("K5", "fail", store.fail(&bad, &error).await);
    }
    let listed = given("K5", "list", probe.open().await.list().await);
    guarantee!("K5", !listed.contains(&good), "a completed run is listed");
    guarantee!("K5", !listed.contains(&bad), "a failed run is listed");
    guarantee!("K5", listed.contains(&open), "another run is gone");
    let claimed = given("K5", "claim", store.claim(&good, Duration::from_secs(1)).await);
    guarantee!("K5", !claimed, "a completed run was claimed");
    finish(&*store, &open).await;
}

/// K6: of several claims one succeeds, until the lease has run out.
async fn one_claim_succeeds(probe: &dyn CheckpointProbe) {
    const LEASE: Duration = Duration::from_secs(1);
    let run = RunId::random();
    let store = probe.open().await;
    given("K6", "append", store.append(&run, &sample::records(&run, 1..=3)).await);
    for life in 1..=2_u32 {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (store, run) = (probe.open().await, run.clone());
            tasks.spawn(async move { given("K6", "claim", store.claim(&run, LEASE).await) });
        }
        let mut claimed = 0;
        while let Some(done) = tasks.join_next().await {
            claimed += u32::from(given("K6", "a claimer", done));
        }
        guarantee!("K6", claimed == 1, "{claimed} of 16 claims succeeded");
        let listed = given("K6", "list", store.list().await);
        guarantee!("K6", !listed.contains(&run), "a claimed run is listed");
        let saved = given("K6", "load", store.load(&run).await);
        let claims = saved.map(|saved| saved.claims);
        guarantee!("K6", claims == Some(life), "claimed {life} times, {claims:?} kept");
        tokio::time::sleep(LEASE + LEASE / 2).await;
        let listed = given("K6", "list", store.list().await);
        guarantee!("K6", listed.contains(&run), "not listed after the lease ran out");
    }
    finish(&*store, &run).await;
}

async fn seqs(id: &str, store: &dyn Checkpointer, run: &RunId) -> Vec<u64> {
    let saved = given(id, "load", store.load(run).await);
    saved.into_iter().flat_map(|saved| saved.records).map(|record| record.seq).collect()
}

async fn finish(store: &dyn Checkpointer, run: &RunId) {
    given("K5", "complete", store.complete(run).await);
}
