//! How much a frame holds at most.

use crate::principal::PrincipalKind;

/// How much a frame holds at most.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rows of a table for a user, and of a page.
    pub rows: usize,
    /// Rows of a table for a service, and of a page.
    pub service_rows: usize,
    /// Fields per row.
    pub fields: usize,
    /// Facts of a summary.
    pub facts: usize,
    /// Characters of all facts together.
    pub characters: usize,
    /// Bytes of a raw result.
    pub raw_bytes: usize,
    /// How deep lists and objects are looked into.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 50,
            service_rows: 500,
            fields: 20,
            facts: 20,
            characters: 4000,
            raw_bytes: 1 << 20,
            depth: 32,
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
