//! Which tokens are alive, and which were revoked.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;

/// How long a revocation is told as such after the token has expired anyway.
const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// What the authority remembers. Without it tokens are still verified, but not revoked.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Issued and not yet expired.
    alive: HashMap<Arc<str>, Alive>,
    of_principal: HashMap<Arc<str>, HashSet<Arc<str>>>,
    by_expiry: BTreeSet<(Timestamp, Arc<str>)>,
    revoked: HashSet<Arc<str>>,
    /// When a revocation need no longer be known.
    by_forgetting: BTreeSet<(Timestamp, Arc<str>)>,
}

#[derive(Debug)]
struct Alive {
    principal: Arc<str>,
    expires_at: Timestamp,
}

impl Ledger {
    /// How many tokens are alive.
    pub(super) fn alive(&self) -> usize {
        self.alive.len()
    }

    pub(super) fn is_revoked(&self, token_id: &str) -> bool {
        self.revoked.contains(token_id)
    }

    /// Notes a token that was issued.
    pub(super) fn issued(&mut self, token_id: &str, principal: &Arc<str>, expires_at: Timestamp) {
        let id: Arc<str> = token_id.into();
        self.by_expiry.insert((expires_at, Arc::clone(&id)));
        self.of_principal.entry(Arc::clone(principal)).or_default().insert(Arc::clone(&id));
        self.alive.insert(id, Alive { principal: Arc::clone(principal), expires_at });
    }

    /// Revokes one token, whether it is known or not; whether it was not revoked before. One that
    /// is not known expires at `otherwise` at the latest.
    pub(super) fn revoke(&mut self, token_id: &str, otherwise: Timestamp) -> bool {
        if self.revoked.contains(token_id) {
            return false;
        }
        let alive = self.remove(token_id);
        let expires_at = alive.map_or(otherwise, |alive| alive.expires_at);
        let id: Arc<str> = token_id.into();
        self.by_forgetting.insert((expires_at.after(RETENTION), Arc::clone(&id)));
        self.revoked.insert(id)
    }

    /// Revokes every living token of a principal; how many.
    pub(super) fn revoke_principal(&mut self, principal: &str) -> usize {
        let ids: Vec<_> = self.of_principal.get(principal).into_iter().flatten().cloned().collect();
        ids.iter().filter(|id| self.revoke(id, Timestamp::default())).count()
    }

    /// Forgets what has expired.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.by_expiry.first() {
            if *at > now {
                break;
            }
            let id = Arc::clone(id);
            self.remove(&id);
        }
        while let Some((at, _)) = self.by_forgetting.first() {
            if *at > now {
                break;
            }
            if let Some((_, id)) = self.by_forgetting.pop_first() {
                self.revoked.remove(&id);
            }
        }
    }

    fn remove(&mut self, token_id: &str) -> Option<Alive> {
        let (id, alive) = self.alive.remove_entry(token_id)?;
        if let Some(ids) = self.of_principal.get_mut(&alive.principal) {
            ids.remove(&id);
            if ids.is_empty() {
                self.of_principal.remove(&alive.principal);
            }
        }
        self.by_expiry.remove(&(alive.expires_at, id));
        Some(alive)
    }
}
