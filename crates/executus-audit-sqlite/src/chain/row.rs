//! What of a row enters its digest.
//!
//! A row has fixed parts (where it stands, when it was, of what kind it is) and what it *says*,
//! which may hold something of a person. What it says is digested first, with a salt that is kept
//! beside it; the digest of the row covers the fixed parts and that digest. When what it says is
//! erased, so is its salt, and its digest is kept in its place: nobody can find out by guessing
//! what it was.
//!
//! Digests of arguments, facts and states belong to what a record says: they have no salt.

use executus_core::digest::{Digest, Hasher};

/// Random bytes that go into the digests of what a run or a note says.
pub(crate) type Salt = [u8; 16];

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSays<'a> {
    pub(crate) body: &'a str,
    pub(crate) args: Option<&'a Digest>,
    pub(crate) fact: &'a Digest,
    pub(crate) state: &'a Digest,
}

impl RecordSays<'_> {
    /// `salt`: of the run.
    pub(crate) fn digest(&self, salt: &Salt, seq: i64) -> Digest {
        let mut hasher = says("record", salt);
        hasher.number(seq.cast_unsigned());
        hasher.bytes(self.args.map_or(&[], |args| args.as_bytes().as_slice()));
        hasher.bytes(self.fact.as_bytes());
        hasher.bytes(self.state.as_bytes());
        hasher.text(self.body);
        hasher.finish()
    }
}

/// The fixed parts of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) run: i64,
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) step: u32,
    pub(crate) call: Option<u32>,
    pub(crate) kind: &'a str,
}

impl Record<'_> {
    pub(crate) fn digest(&self, says: &Digest) -> Digest {
        let call = self.call.map_or(0, |call| u64::from(call) + 1);
        let mut hasher = Hasher::new();
        hasher.text(self.kind);
        hasher.numbers([
            self.run.cast_unsigned(),
            self.seq.cast_unsigned(),
            self.at.cast_unsigned(),
            u64::from(self.step),
            call,
        ]);
        hasher.bytes(says.as_bytes());
        hasher.finish()
    }
}

/// What a run was asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartSays<'a> {
    pub(crate) name: &'a str,
    pub(crate) caller_id: &'a str,
    pub(crate) channel_id: &'a str,
    pub(crate) spec: &'a str,
}

impl StartSays<'_> {
    pub(crate) fn digest(&self, salt: &Salt) -> Digest {
        let mut hasher = says("start", salt);
        hasher.text(self.name);
        hasher.text(self.caller_id);
        hasher.text(self.channel_id);
        hasher.text(self.spec);
        hasher.finish()
    }
}

/// The fixed parts of a run's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) run: i64,
    pub(crate) run_id: &'a str,
    pub(crate) format: i64,
    pub(crate) subject_id: &'a str,
    pub(crate) parent_run_id: Option<&'a str>,
    pub(crate) started_at: i64,
}

impl Start<'_> {
    pub(crate) fn digest(&self, says: &Digest) -> Digest {
        let mut hasher = Hasher::new();
        hasher.text("start");
        let numbers = [self.run, self.format, self.started_at];
        hasher.numbers(numbers.map(i64::cast_unsigned));
        hasher.text(self.run_id);
        hasher.text(self.subject_id);
        hasher.optional(self.parent_run_id);
        hasher.bytes(says.as_bytes());
        hasher.finish()
    }
}

/// The digest of the start of a further life.
pub(crate) fn resumed(run: i64, attempt: i64) -> Digest {
    let mut hasher = Hasher::new();
    hasher.text("resumed");
    hasher.numbers([run.cast_unsigned(), attempt.cast_unsigned()]);
    hasher.finish()
}

/// What came of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndSays<'a> {
    pub(crate) output: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    pub(crate) artifacts: Option<&'a str>,
}

impl EndSays<'_> {
    pub(crate) fn digest(&self, salt: &Salt) -> Digest {
        let mut hasher = says("end", salt);
        hasher.optional(self.output);
        hasher.optional(self.error);
        hasher.optional(self.artifacts);
        hasher.finish()
    }
}

/// The fixed parts of an end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) run: i64,
    pub(crate) closed: bool,
    pub(crate) status: &'a str,
    pub(crate) ended_at: i64,
    pub(crate) attempt: i64,
    pub(crate) stats: Option<&'a str>,
}

impl End<'_> {
    pub(crate) fn digest(&self, says: &Digest) -> Digest {
        let mut hasher = Hasher::new();
        hasher.text("end");
        let numbers = [self.run, i64::from(self.closed), self.ended_at, self.attempt];
        hasher.numbers(numbers.map(i64::cast_unsigned));
        hasher.text(self.status);
        hasher.optional(self.stats);
        hasher.bytes(says.as_bytes());
        hasher.finish()
    }
}

/// The digest of an erasure: it covers the spec that is left of the run.
pub(crate) fn erased(run: i64, spec: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.text("erased");
    hasher.number(run.cast_unsigned());
    hasher.text(spec);
    hasher.finish()
}

/// The digest of what a note says.
pub(crate) fn note_says(salt: &Salt, body: &str) -> Digest {
    let mut hasher = says("note", salt);
    hasher.text(body);
    hasher.finish()
}

/// The fixed parts of a note.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note<'a> {
    pub(crate) id: &'a str,
    pub(crate) run_id: Option<&'a str>,
    pub(crate) at: i64,
    pub(crate) kind: &'a str,
}

impl Note<'_> {
    pub(crate) fn digest(&self, says: &Digest) -> Digest {
        let mut hasher = Hasher::new();
        hasher.text("note");
        hasher.number(self.at.cast_unsigned());
        hasher.text(self.id);
        hasher.optional(self.run_id);
        hasher.text(self.kind);
        hasher.bytes(says.as_bytes());
        hasher.finish()
    }
}

fn says(what: &str, salt: &Salt) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.text(what);
    hasher.bytes(salt);
    hasher
}
