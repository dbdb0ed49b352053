//! How much a frame holds at most.

use crate::principal::PrincipalKind;

/// How much a frame holds at most. Of a stream, rows, characters and bytes are those of all its
/// frames together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rows of a table for a user.
    pub rows: usize,
    /// Rows of a table for a service.
    pub service_rows: usize,
    /// Fields per row.
    pub fields: usize,
    /// Characters of a text in a row, and bytes of a list or an object in one.
    pub cell: usize,
    /// Bytes of all rows together.
    pub table_bytes: usize,
    /// Facts of a summary.
    pub facts: usize,
    /// Characters of all facts together; a raw result that has more comes with a warning.
    pub characters: usize,
    /// Bytes of a raw result.
    pub raw_bytes: usize,
    /// How deep lists and objects are looked into, at most 100.
    pub depth: usize,
    /// The fields of a stream's pieces whose texts go on from piece to piece, as a piece that is a
    /// text always does. A field of an item of a list does not, but under a field `delta`.
    pub running: Vec<String>,
    /// Bytes of a running text that are held back at most; more of it without a place to part it is
    /// withheld.
    pub held_bytes: usize,
    /// Bytes of values of sensitive fields that a stream remembers, to look for them in later pieces.
    pub known_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 50,
            service_rows: 500,
            fields: 20,
            cell: 1000,
            table_bytes: 256 * 1024,
            facts: 20,
            characters: 4000,
            raw_bytes: 1024 * 1024,
            depth: 32,
            running: ["delta", "text", "content", "chunk", "stdout", "stderr"]
                .map(str::to_owned)
                .to_vec(),
            held_bytes: 16 * 1024,
            known_bytes: 4 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// Rows at most for this kind of principal.
    #[must_use]
    pub const fn max_rows(&self, kind: PrincipalKind) -> usize {
        match kind {
            PrincipalKind::User => self.rows,
            PrincipalKind::Service => self.service_rows,
        }
    }
}
