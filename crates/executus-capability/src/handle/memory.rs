//! Handles in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use super::page::{page, row_count};
use super::{Expansion, HandleError, HandleRef, HandleStore, NewHandle, Page};
use crate::constraint::Constraints;
use crate::firewall::Limits;
use crate::firewall::size::json_bytes;

/// Keeps results in this process: each for 600 s, 1,000 at most, 64 MiB at most as JSON. In memory a
/// result takes a few times as much.
///
/// When there is no room for a new one, the oldest go, read or not. An expired one gives its room
/// back with the next that is stored.
pub struct MemoryHandles {
    life_time: Duration,
    max_entries: usize,
    max_bytes: usize,
    limits: Limits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    /// Their ids by age.
    order: BTreeMap<u64, String>,
    next: u64,
    bytes: usize,
}

struct Entry {
    number: u64,
    /// `None` when it has expired and nobody has asked yet.
    data: Option<Arc<Value>>,
    bytes: usize,
    principal_id: Arc<str>,
    constraints: Constraints,
    expires_at: Timestamp,
}

impl Default for MemoryHandles {
    fn default() -> Self {
        Self {
            life_time: Duration::from_secs(600),
            max_entries: 1000,
            max_bytes: 64 << 20,
            limits: Limits::default(),
            kept: Mutex::default(),
        }
    }
}

impl fmt::Debug for MemoryHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHandles").field("life_time", &self.life_time).finish_non_exhaustive()
    }
}

impl MemoryHandles {
    /// With another life time than 600 s. One of zero has expired at once.
    #[must_use]
    pub fn life_time(self, life_time: Duration) -> Self {
        Self { life_time, ..self }
    }

    /// With other caps than 1,000 results and 64 MiB. None is 0: one result can be kept.
    #[must_use]
    pub fn caps(self, entries: usize, bytes: usize) -> Self {
        Self { max_entries: entries.max(1), max_bytes: bytes, ..self }
    }

    /// With these limits of a page: its rows, its bytes (`raw_bytes`) and how deep is looked.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How many results there are, expired ones that nobody asked for included, and their bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let kept = self.kept.lock();
        (kept.entries.len(), kept.bytes)
    }
}

impl Kept {
    fn remove(&mut self, id: &str) {
        if let Some(entry) = self.entries.remove(id) {
            self.order.remove(&entry.number);
            self.bytes -= entry.bytes;
        }
    }

    /// Gives back the room of what has expired; whoever reads it is still told so.
    fn empty_expired(&mut self, now: Timestamp) {
        for id in self.order.values() {
            match self.entries.get_mut(id) {
                Some(entry) if entry.expires_at <= now => {
                    self.bytes -= std::mem::take(&mut entry.bytes);
                    entry.data = None;
                }
                _ => break,
            }
        }
    }

    fn make_room(&mut self, bytes: usize, max_entries: usize, max_bytes: usize) {
        while self.entries.len() >= max_entries || self.bytes.saturating_add(bytes) > max_bytes {
            let Some(oldest) = self.order.values().next().cloned() else { break };
            self.remove(&oldest);
        }
    }
}

/// 128 random bits: of each of two UUIDs six bits say what it is, and none of them in the same place.
fn random_id() -> String {
    let bits = Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64);
    format!("{bits:032x}")
}

#[async_trait]
impl HandleStore for MemoryHandles {
    async fn store(&self, new: NewHandle) -> Result<HandleRef, HandleError> {
        let bytes = json_bytes(&new.data);
        if bytes > self.max_bytes {
            return Err(HandleError::TooLarge { bytes: size(bytes), limit: size(self.max_bytes) });
        }
        let row_count = size(row_count(&new.data, &new.constraints)?);
        let expires_at = new.now.after(self.life_time);
        let id = random_id();
        let mut kept = self.kept.lock();
        kept.empty_expired(new.now);
        kept.make_room(bytes, self.max_entries, self.max_bytes);
        let number = kept.next;
        kept.next += 1;
        kept.bytes += bytes;
        kept.order.insert(number, id.clone());
        let entry = Entry {
            number,
            data: Some(new.data),
            bytes,
            principal_id: new.principal_id,
            constraints: new.constraints,
            expires_at,
        };
        kept.entries.insert(id.clone(), entry);
        Ok(HandleRef { id, expires_at, row_count, bytes: size(bytes) })
    }

    async fn expand(&self, ask: &Expansion<'_>) -> Result<Page, HandleError> {
        let principal = ask.principal.ok_or(HandleError::Principal)?;
        let (data, constraints) = {
            let mut kept = self.kept.lock();
            let entry = kept.entries.get(ask.id).ok_or(HandleError::NotFound)?;
            if entry.principal_id != principal.id {
                return Err(HandleError::Principal);
            }
            match &entry.data {
                Some(data) if entry.expires_at > ask.now => {
                    (data.clone(), entry.constraints.clone())
                }
                _ => {
                    let at = entry.expires_at;
                    kept.remove(ask.id);
                    return Err(HandleError::Expired { at });
                }
            }
        };
        let most = self.limits.max_rows(principal.kind);
        page(&data, &constraints, ask.query, &self.limits, most)
    }
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
