//! The guarantees of a checkpointer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{CheckpointError, Checkpointer};
use executus_core::{ErrorKind, RunError, RunId};
use tokio::task::JoinSet;

use super::{given, guarantee};
use crate::sample;

/// How long runs are held that nobody is to take over.
const LEASE: Duration = Duration::from_secs(60);

/// Opens a store, again and again, and says what it costs.
#[async_trait]
pub trait CheckpointProbe: Send + Sync {
    /// The store as another process would open it: nothing is shared with an earlier answer but
    /// what is durable, and it is another holder.
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
    only_the_holder_writes(probe).await;
    vain_lives_are_counted(probe).await;
    a_parked_run_is_left_alone(probe).await;
}

/// K1: what was appended is durable.
async fn appended_is_durable(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let store = probe.open().await;
    for (from, to) in [(1, 1), (2, 4), (5, 9)] {
        given("K1", "append", store.append(&run, &sample::records(&run, from..=to), LEASE).await);
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
    given("K2", "append", store.append(&run, &first, LEASE).await);
    given("K2", "the same append", store.append(&run, &first, LEASE).await);
    // An answer was lost: the next batch begins where the lost one did.
    let mut overlapping = sample::records(&run, 3..=6);
    overlapping[0] = sample::resumed(&run, 3, 9);
    given("K2", "an overlapping append", store.append(&run, &overlapping, LEASE).await);
    given("K2", "an empty append", store.append(&run, &[], LEASE).await);
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
        given("K3", "append", store.append(&run, &records, LEASE).await);
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
        given("K4", "append", store.append(&run, &[sample::record(&run, seq)], LEASE).await);
        given("K4", "append", store.append(&other, &[sample::record(&other, seq)], LEASE).await);
    }
    let saved = given("K4", "load", probe.open().await.load(&run).await);
    let records = saved.map(|saved| saved.records).unwrap_or_default();
    guarantee!("K4", records == sample::records(&run, 1..=50), "not what was appended");
    let gap = store.append(&run, &[sample::record(&run, 52)], LEASE).await;
    let told = matches!(gap, Err(CheckpointError::Gap { expected: 51, found: 52, .. }));
    guarantee!("K4", told, "a gap was taken: {gap:?}");
    // What an audit alone had recorded was void: the next life's records come after it.
    let jump = [sample::resumed(&run, 60, 2), sample::record(&run, 61)];
    given("K4", "append after void records", store.append(&run, &jump, LEASE).await);
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
        given("K5", "append", store.append(run, &sample::records(run, 1..=3), LEASE).await);
    }
    let listed = given("K5", "list", probe.open().await.list().await);
    let none = ![&good, &bad, &open].into_iter().any(|run| listed.contains(run));
    guarantee!("K6", none, "runs that are held are listed");
    for run in [&good, &bad, &open] {
        given("K6", "release", store.release(run).await);
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
    const SHORT: Duration = Duration::from_secs(1);
    let run = RunId::random();
    let store = probe.open().await;
    let mut others = Vec::new();
    for _ in 0..16 {
        others.push(probe.open().await);
    }
    given("K6", "append", store.append(&run, &sample::records(&run, 1..=3), LEASE).await);
    let claimed = given("K6", "claim", others[0].claim(&run, LEASE).await);
    guarantee!("K6", !claimed, "run {run} was claimed in its first life");
    given("K6", "release", others[0].release(&run).await);
    let claimed = given("K6", "claim", others[0].claim(&run, LEASE).await);
    guarantee!("K6", !claimed, "a run was claimed that another than its holder released");
    given("K6", "release", store.release(&run).await);
    for life in 1..=2_u32 {
        let mut tasks = JoinSet::new();
        for store in &others {
            let (store, run) = (Arc::clone(store), run.clone());
            tasks.spawn(async move { given("K6", "claim", store.claim(&run, SHORT).await) });
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
        tokio::time::sleep(SHORT + SHORT / 2).await;
        let listed = given("K6", "list", store.list().await);
        guarantee!("K6", listed.contains(&run), "not listed after the lease ran out");
    }
    given("K6", "claim", store.claim(&run, LEASE).await);
    finish(&*store, &run).await;
}

/// K7: who lost a run writes nothing to it, and is told.
async fn only_the_holder_writes(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let error = RunError::new(ErrorKind::Failed, "a sample failure");
    let (first, second) = (probe.open().await, probe.open().await);
    given("K7", "append", first.append(&run, &sample::records(&run, 1..=3), LEASE).await);
    for (holder, other) in [(&first, &second), (&second, &first)] {
        let from = given("K7", "load", holder.load(&run).await)
            .and_then(|saved| saved.records.last().map(|record| record.seq))
            .unwrap_or_default();
        let lost = |answer: &Result<(), CheckpointError>| {
            matches!(answer, Err(CheckpointError::Lost { .. }))
        };
        let more = [sample::record(&run, from + 1)];
        let appended = other.append(&run, &more, LEASE).await;
        guarantee!("K7", lost(&appended), "an append of another: {appended:?}");
        let completed = other.complete(&run).await;
        guarantee!("K7", lost(&completed), "an end by another: {completed:?}");
        let failed = other.fail(&run, &error).await;
        guarantee!("K7", lost(&failed), "an end by another: {failed:?}");
        let runs = [run.clone(), RunId::random()];
        let told = given("K7", "renew", other.renew(&runs, LEASE).await);
        guarantee!("K7", told == runs[..1], "told to have lost {told:?}");
        let told = given("K7", "renew", holder.renew(&runs, LEASE).await);
        guarantee!("K7", told.is_empty(), "the holder is told to have lost {told:?}");
        given("K7", "append by the holder", holder.append(&run, &more, LEASE).await);
        if Arc::ptr_eq(holder, &first) {
            given("K7", "release", first.release(&run).await);
            let claimed = given("K7", "claim", second.claim(&run, LEASE).await);
            guarantee!("K7", claimed, "a run that was given back is not claimed");
        }
    }
    finish(&*second, &run).await;
}

/// K8: claims are counted, and so are those in a row without an advance.
async fn vain_lives_are_counted(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let store = probe.open().await;
    given("K8", "append", store.append(&run, &sample::records(&run, 1..=3), LEASE).await);
    given("K8", "release", store.release(&run).await);
    let resumed = |seq, attempt| vec![sample::resumed(&run, seq, attempt)];
    let decided = sample::record(&run, 6);
    let lives = [
        (vec![], (0, 0)),
        (resumed(4, 2), (1, 1)),
        (resumed(5, 3), (2, 2)),
        (vec![decided], (3, 0)),
        (resumed(7, 4), (4, 1)),
    ];
    for (records, expected) in lives {
        let holder = probe.open().await;
        let claimed = given("K8", "claim", holder.claim(&run, LEASE).await);
        guarantee!("K8", claimed, "not claimed, though nobody holds it");
        if !records.is_empty() {
            given("K8", "append", holder.append(&run, &records, LEASE).await);
        }
        given("K8", "release", holder.release(&run).await);
        let saved = given("K8", "load", probe.open().await.load(&run).await);
        let counted = saved.map(|saved| (saved.claims, saved.in_vain));
        guarantee!("K8", counted == Some(expected), "{counted:?} lives counted, not {expected:?}");
    }
    finish(&*store, &run).await;
}

/// K9: a parked run is neither listed nor claimed.
async fn a_parked_run_is_left_alone(probe: &dyn CheckpointProbe) {
    let run = RunId::random();
    let why = RunError::new(ErrorKind::Parked, "a sample of patience");
    let store = probe.open().await;
    given("K9", "append", store.append(&run, &sample::records(&run, 1..=3), LEASE).await);
    let other = probe.open().await;
    let parked = other.park(&run, &why).await;
    let refused = matches!(parked, Err(CheckpointError::Lost { .. }));
    guarantee!("K9", refused, "a run was parked that another holds: {parked:?}");
    given("K9", "release", store.release(&run).await);
    given("K9", "claim", other.claim(&run, LEASE).await);
    given("K9", "append", other.append(&run, &[sample::resumed(&run, 4, 2)], LEASE).await);
    given("K9", "park", other.park(&run, &why).await);
    let listed = given("K9", "list", store.list().await);
    guarantee!("K9", !listed.contains(&run), "a parked run is listed");
    let claimed = given("K9", "claim", store.claim(&run, LEASE).await);
    guarantee!("K9", !claimed, "a parked run was claimed");
    let parked = given("K9", "parked", probe.open().await.parked().await);
    guarantee!("K9", parked.contains(&run), "a parked run is not among the parked");
    let saved = given("K9", "load", store.load(&run).await);
    let said = saved.and_then(|saved| saved.parked);
    guarantee!("K9", said.as_ref() == Some(&why), "parked because of {said:?}");
    guarantee!("K9", given("K9", "unpark", store.unpark(&run).await), "not unparked");
    guarantee!("K9", !given("K9", "unpark", store.unpark(&run).await), "unparked twice");
    let listed = given("K9", "list", store.list().await);
    guarantee!("K9", listed.contains(&run), "not listed after it was unparked");
    let in_vain = given("K9", "load", store.load(&run).await).map(|saved| saved.in_vain);
    guarantee!("K9", in_vain == Some(0), "{in_vain:?} lives in vain after it was unparked");
    finish(&*store, &run).await;
}

async fn seqs(id: &str, store: &dyn Checkpointer, run: &RunId) -> Vec<u64> {
    let saved = given(id, "load", store.load(run).await);
    saved.into_iter().flat_map(|saved| saved.records).map(|record| record.seq).collect()
}

async fn finish(store: &dyn Checkpointer, run: &RunId) {
    given("K5", "complete", store.complete(run).await);
}
