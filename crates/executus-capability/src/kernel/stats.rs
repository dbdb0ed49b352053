//! What the kernel did, as numbers for a host to export.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::record::{ActionKind, ActionRecord};

/// What a kernel did since it was built. Dry runs count nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct KernelStats {
    /// Invocations that were served.
    pub invocations_ok: u64,
    /// Invocations that failed after they had been let in.
    pub invocations_failed: u64,
    /// Invocations that were refused: before anything was reserved or asked of a driver.
    pub invocations_refused: u64,
    /// Invocations that were given up.
    pub invocations_cancelled: u64,
    /// Drivers that were tried after another one had failed.
    pub fallbacks: u64,
    /// Tokens that were granted.
    pub grants: u64,
    /// Tokens that were refused.
    pub denials: u64,
    /// Pages that were read.
    pub expansions_ok: u64,
    /// Pages that were not read.
    pub expansions_failed: u64,
    /// Revocations.
    pub revocations: u64,
    /// Actions of which no record could be written.
    pub unrecorded: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stats {
    ok: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    cancelled: AtomicU64,
    fallbacks: AtomicU64,
    grants: AtomicU64,
    denials: AtomicU64,
    expansions_ok: AtomicU64,
    expansions_failed: AtomicU64,
    revocations: AtomicU64,
    unrecorded: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Stats {
    /// Counts an action by its record.
    pub(super) fn ended(&self, record: &ActionRecord, admitted: bool) {
        let code = record.error.as_ref().map(|error| error.code.as_str());
        count(match (record.kind, code) {
            (ActionKind::Grant, None) => &self.grants,
            (ActionKind::Grant | ActionKind::Deny, _) => &self.denials,
            (ActionKind::Invoke, None) => &self.ok,
            (ActionKind::Invoke, Some("cancelled")) => &self.cancelled,
            (ActionKind::Invoke, Some(_)) if admitted => &self.failed,
            (ActionKind::Invoke, Some(_)) => &self.refused,
            (ActionKind::Expand, None) => &self.expansions_ok,
            (ActionKind::Expand, Some(_)) => &self.expansions_failed,
            (ActionKind::Revoke, _) => &self.revocations,
        });
    }

    pub(super) fn fallback(&self) {
        count(&self.fallbacks);
    }

    pub(super) fn unrecorded(&self) {
        count(&self.unrecorded);
    }

    pub(super) fn read(&self) -> KernelStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        KernelStats {
            invocations_ok: read(&self.ok),
            invocations_failed: read(&self.failed),
            invocations_refused: read(&self.refused),
            invocations_cancelled: read(&self.cancelled),
            fallbacks: read(&self.fallbacks),
            grants: read(&self.grants),
            denials: read(&self.denials),
            expansions_ok: read(&self.expansions_ok),
            expansions_failed: read(&self.expansions_failed),
            revocations: read(&self.revocations),
            unrecorded: read(&self.unrecorded),
        }
    }
}
