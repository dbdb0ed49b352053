//! The digest of a run's state, at a cost that does not grow with the run.

use super::{Approval, Run};
use crate::digest::{Digest, Hasher};
use crate::status::{RunStatus, Tally};
use crate::transcript::{CallOutcome, Entry, Reply};

/// Follows a run and gives the digest of its state after each fact.
///
/// The transcript only grows, so it is hashed as it does: each new entry is chained to the digest of
/// those before, the first to that of the run's id. Everything else in the state is hashed anew each time; its size does not depend on
/// the number of steps. A digester that follows from the first fact and one that catches up with a
/// folded run give the same digests.
#[derive(Debug, Clone, Default)]
pub struct Digester {
    entries: usize,
    chain: Digest,
}

impl Digester {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of the run's state now.
    pub fn digest(&mut self, run: &Run) -> Digest {
        let entries = run.transcript().entries();
        if self.entries == 0 {
            let mut hasher = Hasher::new();
            hasher.text(run.spec.run_id.as_str());
            self.chain = hasher.finish();
        }
        for entry in entries.get(self.entries..).unwrap_or_default() {
            let mut hasher = Hasher::new();
            hasher.bytes(self.chain.as_bytes());
            feed_entry(&mut hasher, entry);
            self.chain = hasher.finish();
        }
        self.entries = entries.len();

        let state = &run.state;
        let mut hasher = Hasher::new();
        hasher.bytes(self.chain.as_bytes());
        let tally = counts(&state.tally);
        hasher.numbers([
            entries.len() as u64,
            state.gate.map_or(0, |gate| gate as u64 + 1),
            u64::from(state.entered) | u64::from(state.watched) << 1,
            u64::from(state.attempt),
            state.deadline.as_micros().cast_unsigned(),
            u64::from(state.step),
            u64::from(state.settled),
            state.last_at.as_micros().cast_unsigned(),
            tally[0],
            tally[1],
            tally[2],
            tally[3],
            tally[4],
            tally[5],
            tally[6],
        ]);
        match state.hold.as_deref() {
            Some((hold, from)) => {
                hasher.number(u64::from(hold.attempt) + 1);
                hasher.numbers(counts(from));
            }
            None => hasher.number(0),
        }
        // What was asked for is hashed where there is something: states without it keep their digest.
        let asked = u64::from(!state.approvals.is_empty()) << 9;
        hasher.number(state.open.len() as u64);
        for call in &state.open {
            hasher.number(call.effect as u64 | u64::from(call.started) << 8 | asked);
            match &call.answer {
                Some(acted) => feed_outcome(&mut hasher, &acted.outcome),
                None => hasher.number(0),
            }
        }
        if asked != 0 {
            feed_approvals(&mut hasher, state.approvals.as_slice());
        }
        match &state.end {
            Some(end) => {
                hasher.number(end.at.as_micros().cast_unsigned());
                hasher.text(end.stop.status.as_str());
                let error = end.stop.error.as_ref();
                hasher.optional(error.map(|error| error.kind.as_str()));
                hasher.optional(error.map(|error| error.message.as_str()));
                hasher.number(error.map_or(0, |error| u64::from(error.retryable)));
            }
            None => hasher.optional(None::<RunStatus>.map(RunStatus::as_str)),
        }
        hasher.finish()
    }
}

fn counts(tally: &Tally) -> [u64; 7] {
    [
        tally.steps,
        tally.tool_calls,
        tally.input_tokens,
        tally.output_tokens,
        tally.thinking_tokens,
        tally.cached_tokens,
        tally.cost_micros,
    ]
}

fn feed_approvals(hasher: &mut Hasher, approvals: &[Approval]) {
    hasher.number(approvals.len() as u64);
    for Approval { call, until, answer } in approvals {
        hasher.number(u64::from(*call));
        hasher.number(until.as_micros().cast_unsigned());
        match answer {
            None => hasher.number(0),
            Some(answer) => {
                hasher.number(1 + u64::from(answer.approved));
                hasher.number(answer.given_at.as_micros().cast_unsigned());
                hasher.text(&answer.by);
                hasher.optional(answer.reason.as_deref());
            }
        }
    }
}

fn feed_entry(hasher: &mut Hasher, entry: &Entry) {
    match entry {
        Entry::Reply(reply) => {
            hasher.number(1);
            feed_reply(hasher, reply);
        }
        Entry::Result(acted) => {
            hasher.number(2);
            hasher.number(u64::from(acted.step));
            hasher.number(u64::from(acted.call));
            hasher.text(&acted.id);
            hasher.text(&acted.name);
            feed_outcome(hasher, &acted.outcome);
        }
        Entry::Steer(steer) => {
            hasher.number(3);
            hasher.text(&steer.source);
            hasher.text(&steer.text);
        }
    }
}

fn feed_reply(hasher: &mut Hasher, reply: &Reply) {
    hasher.text(&reply.text);
    hasher.optional(reply.model.as_deref());
    hasher.optional(reply.cut.as_deref());
    hasher.numbers([
        reply.usage.input_tokens,
        reply.usage.output_tokens,
        reply.usage.thinking_tokens,
        reply.usage.cached_tokens,
        reply.usage.cost_micros,
        reply.calls.len() as u64,
    ]);
    for call in &reply.calls {
        hasher.text(&call.id);
        hasher.text(&call.name);
        hasher.json(&call.args);
        hasher.optional(call.broken.as_deref());
        hasher.optional(call.signature.as_deref());
    }
}

fn feed_outcome(hasher: &mut Hasher, outcome: &CallOutcome) {
    match outcome {
        CallOutcome::Output(output) => {
            hasher.number(1);
            hasher.text(&output.text);
            match &output.data {
                Some(data) => hasher.json(data),
                None => hasher.optional(None),
            }
            hasher.number(output.artifacts.len() as u64);
            for artifact in &output.artifacts {
                hasher.text(&artifact.name);
                hasher.text(&artifact.media_type);
            }
        }
        CallOutcome::Failed(error) => {
            hasher.number(2);
            hasher.text(&error.to_string());
        }
        CallOutcome::Unknown => hasher.number(3),
    }
}
