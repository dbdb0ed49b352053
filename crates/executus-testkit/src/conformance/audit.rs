//! The guarantees of an audit.

use async_trait::async_trait;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::record::Fact;
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Key, Reply, RunId, RunStatus, ToolOutput};
use serde_json::json;
use tokio::task::JoinSet;

use super::{given, guarantee};
use crate::sample;

/// What somebody finds who reads what an audit keeps.
#[async_trait]
pub trait AuditProbe: Send + Sync {
    /// The sequence numbers of the records of a run, in the order in which they are kept, read in
    /// a way that sees only what is durable.
    async fn seqs(&self, run: &RunId) -> Vec<u64>;

    /// How often the trail of a run was closed.
    async fn closes(&self, run: &RunId) -> u64;

    /// All that is kept for people of a run, as text.
    async fn text(&self, run: &RunId) -> String;
}

/// Runs all guarantees of an audit.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn audit(audit: &dyn Audit, probe: &dyn AuditProbe) {
    order_is_kept(audit, probe).await;
    acknowledged_is_durable(audit, probe).await;
    recording_never_waits(audit, probe).await;
    closed_once_over_all_lives(audit, probe).await;
    a_known_run_goes_on(audit, probe).await;
    runs_do_not_mix(audit, probe).await;
    nothing_sensitive_is_kept(audit, probe).await;
}

/// A1: records are kept in the order in which they were given.
async fn order_is_kept(audit: &dyn Audit, probe: &dyn AuditProbe) {
    let run = RunId::random();
    let recorder = recorder("A1", audit, &sample::start(&run, 1)).await;
    for seq in 1..=300 {
        give("A1", &*recorder, &run, seq).await;
    }
    close("A1", &*recorder, &run).await;
    let kept = probe.seqs(&run).await;
    guarantee!("A1", kept == (1..=300).collect::<Vec<_>>(), "kept as {kept:?}");
}

/// A2: what was given before a flush or a close is durable when that returns.
async fn acknowledged_is_durable(audit: &dyn Audit, probe: &dyn AuditProbe) {
    let run = RunId::random();
    let recorder = recorder("A2", audit, &sample::start(&run, 1)).await;
    for seq in 1..=5 {
        give("A2", &*recorder, &run, seq).await;
        given("A2", "flush", recorder.flush().await);
        let kept = probe.seqs(&run).await.len() as u64;
        guarantee!("A2", kept == seq, "{seq} records given and flushed, {kept} found");
    }
    give("A2", &*recorder, &run, 6).await;
    close("A2", &*recorder, &run).await;
    let kept = probe.seqs(&run).await.len();
    guarantee!("A2", kept == 6, "6 records given and closed, {kept} found");
    guarantee!("A2", probe.closes(&run).await == 1, "closed, and no close is found");
}

/// A3: recording never waits for I/O; a full queue says so, and takes more after a flush.
async fn recording_never_waits(audit: &dyn Audit, probe: &dyn AuditProbe) {
    const MANY: u64 = 3000;
    let run = RunId::random();
    let recorder = recorder("A3", audit, &sample::start(&run, 1)).await;
    let mut given_at_once = 0;
    for seq in 1..=MANY {
        match recorder.record(&sample::record(&run, seq)) {
            Ok(()) => given_at_once += 1,
            Err(AuditError::Full) => {
                guarantee!("A3", given_at_once > 0, "full before the first record");
                given("A3", "flush of a full queue", recorder.flush().await);
                let again = recorder.record(&sample::record(&run, seq));
                guarantee!("A3", again.is_ok(), "after a flush: {again:?}");
            }
            Err(error) => panic!("A3 is violated: record {seq} refused: {error}"),
        }
    }
    close("A3", &*recorder, &run).await;
    let kept = probe.seqs(&run).await;
    guarantee!("A3", kept == (1..=MANY).collect::<Vec<_>>(), "{} of {MANY} kept", kept.len());
}

/// A4: one close over all lives; a second one changes nothing.
async fn closed_once_over_all_lives(audit: &dyn Audit, probe: &dyn AuditProbe) {
    let run = RunId::random();
    let first = recorder("A4", audit, &sample::start(&run, 1)).await;
    give("A4", &*first, &run, 1).await;
    let interrupted = sample::outcome(&run, RunStatus::Interrupted);
    given("A4", "suspend", first.suspend(&interrupted).await);
    drop(first);
    guarantee!("A4", probe.closes(&run).await == 0, "a suspended life counts as a close");

    let second = recorder("A4", audit, &sample::start(&run, 2)).await;
    given("A4", "record", second.record(&sample::resumed(&run, 2, 2)));
    close("A4", &*second, &run).await;
    close("A4", &*second, &run).await;
    let failed = sample::outcome(&run, RunStatus::Error);
    given("A4", "a second close", second.close(&failed).await);
    let closes = probe.closes(&run).await;
    guarantee!("A4", closes == 1, "closed {closes} times");

    // A boot that does not know how far settling came asks once more, and is told.
    let third = audit.start(&sample::start(&run, 3)).await;
    let told = match &third {
        Err(AuditError::Closed { outcome }) => Some(outcome.status),
        Ok(_) | Err(_) => None,
    };
    let recorded = sample::outcome(&run, RunStatus::Ok).status;
    guarantee!(
        "A4",
        told == Some(recorded),
        "a closed run was started again, or {told:?} was told"
    );
    let closes = probe.closes(&run).await;
    guarantee!("A4", closes == 1, "closed {closes} times after another life");

    let dropped = RunId::random();
    let recorder = recorder("A4", audit, &sample::start(&dropped, 1)).await;
    give("A4", &*recorder, &dropped, 1).await;
    given("A4", "flush", recorder.flush().await);
    drop(recorder);
    guarantee!("A4", probe.closes(&dropped).await == 0, "a dropped recorder closed the run");
}

/// A5: starting a known run continues its log; starting the same life twice loses nothing.
async fn a_known_run_goes_on(audit: &dyn Audit, probe: &dyn AuditProbe) {
    let run = RunId::random();
    let first = recorder("A5", audit, &sample::start(&run, 1)).await;
    give("A5", &*first, &run, 1).await;
    given("A5", "flush", first.flush().await);
    drop(first);

    // The answer of the first start was lost; the same life asks again.
    let again = recorder("A5", audit, &sample::start(&run, 1)).await;
    guarantee!("A5", again.last_seq() == 1, "1 record kept, last_seq is {}", again.last_seq());
    give("A5", &*again, &run, 2).await;
    given("A5", "flush", again.flush().await);
    drop(again);

    // A crash, and the next life, which gives again what it knows.
    let next = recorder("A5", audit, &sample::start(&run, 2)).await;
    guarantee!("A5", next.last_seq() == 2, "2 records kept, last_seq is {}", next.last_seq());
    give("A5", &*next, &run, 2).await;
    given("A5", "record", next.record(&sample::resumed(&run, 3, 2)));
    give("A5", &*next, &run, 4).await;
    close("A5", &*next, &run).await;
    let kept = probe.seqs(&run).await;
    guarantee!("A5", kept == [1, 2, 3, 4], "kept as {kept:?}");

    let fresh = RunId::random();
    let recorder = recorder("A5", audit, &sample::start(&fresh, 1)).await;
    guarantee!("A5", recorder.last_seq() == 0, "a new run has {} records", recorder.last_seq());
}

/// A6: records of many runs at once, each in its own trail.
async fn runs_do_not_mix(audit: &dyn Audit, probe: &dyn AuditProbe) {
    let mut tasks = JoinSet::new();
    let mut ends = Vec::new();
    for length in 1..=20_u64 {
        let run = RunId::random();
        let recorder = recorder("A6", audit, &sample::start(&run, 1)).await;
        ends.push((run.clone(), length));
        tasks.spawn(async move {
            for seq in 1..=length {
                give("A6", &*recorder, &run, seq).await;
                tokio::task::yield_now().await;
            }
            close("A6", &*recorder, &run).await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        given("A6", "a run", done);
    }
    for (run, length) in ends {
        let kept = probe.seqs(&run).await;
        let whole = kept == (1..=length).collect::<Vec<_>>();
        guarantee!("A6", whole, "a trail of {length} records is kept as {kept:?}");
        guarantee!("A6", probe.closes(&run).await == 1, "not closed once");
    }
}

/// A7: what is kept for people is scrubbed.
async fn nothing_sensitive_is_kept(audit: &dyn Audit, probe: &dyn AuditProbe) {
    const CANARY: &str = "canary-5f3a91c7";
    let run = RunId::random();
    let mut start = sample::start(&run, 1);
    let inputs = json!({"password": CANARY, "note": format!("Bearer {CANARY}"), "kept": "visible"});
    let spec = std::sync::Arc::new(sample::spec_with(&run, inputs));
    start.spec = std::sync::Arc::clone(&spec);
    let recorder = recorder("A7", audit, &start).await;
    let reply = Reply::call("login", json!({"api_key": CANARY}));
    let decided = executus_core::record::Decided {
        step: 1,
        reply: std::sync::Arc::new(reply),
        effects: vec![executus_core::Effect::Once],
    };
    let acted = Acted {
        step: 1,
        call: 0,
        id: "".into(),
        name: "login".into(),
        outcome: CallOutcome::Output(ToolOutput::text(format!("password: {CANARY}"))),
        duration_ms: 1,
    };
    let facts = [Fact::Opened(spec), Fact::Decided(decided), Fact::Acted(acted.into())];
    for (fact, seq) in facts.into_iter().zip(1..) {
        let record = sample::at(&run, seq, Key::step(1), fact);
        given("A7", "record", recorder.record(&record));
    }
    let mut outcome = sample::outcome(&run, RunStatus::Ok);
    outcome.output = Some(format!("api_key={CANARY}"));
    given("A7", "close", recorder.close(&outcome).await);
    let text = probe.text(&run).await;
    guarantee!("A7", !text.contains(CANARY), "a sensitive value is kept");
    guarantee!("A7", text.contains("visible"), "the rest is not kept, or the probe reads nothing");
}

async fn recorder(id: &str, audit: &dyn Audit, start: &RunStart) -> Box<dyn Recorder> {
    match given(id, "start", audit.start(start).await) {
        Some(recorder) => recorder,
        None => panic!("{id} cannot be shown: the audit gave no recorder"),
    }
}

/// Gives a record as the executor does: once more after a flush when the queue is full.
async fn give(id: &str, recorder: &dyn Recorder, run: &RunId, seq: u64) {
    let record = sample::record(run, seq);
    if let Err(AuditError::Full) = recorder.record(&record) {
        given(id, "flush", recorder.flush().await);
        given(id, "record after a flush", recorder.record(&record));
    }
}

async fn close(id: &str, recorder: &dyn Recorder, run: &RunId) {
    given(id, "close", recorder.close(&sample::outcome(run, RunStatus::Ok)).await);
}
