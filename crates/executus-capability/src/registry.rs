//! What can be done here: the capabilities, by id and by what they say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::capability::{Capability, CapabilityId};

mod index;
mod words;

use index::Index;

/// Two capabilities with one id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there are two capabilities `{id}`; give each an id of its own")]
pub struct DuplicateCapability {
    /// The id.
    pub id: CapabilityId,
}

/// A capability that a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The capability.
    pub capability: Arc<Capability>,
    /// How well it fits: above 0, to compare within one search alone.
    pub score: f64,
}

/// The capabilities. It is built once; clones share it.
///
/// **Search** ranks by BM25 (k1 = 1.2, b = 0.75) over the segments of the id (weight 3), the name and
/// the tags (2) and the description (1). Words are compared without case, and a plural in `s` is its
/// singular. An index from words to capabilities makes the time depend on how many capabilities have
/// the words, not on how many there are.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// In the order of their ids.
    capabilities: Vec<Arc<Capability>>,
    index: Index,
}

impl Registry {
    /// Begins one.
    #[must_use]
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// The capability with this id.
    #[must_use]
    pub fn get(&self, id: &CapabilityId) -> Option<&Arc<Capability>> {
        let capabilities = &self.0.capabilities;
        let at = capabilities.binary_search_by(|capability| capability.id.cmp(id)).ok()?;
        capabilities.get(at)
    }

    /// The capabilities, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Capability>> {
        self.0.capabilities.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.capabilities.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.capabilities.is_empty()
    }

    /// The capabilities that fit a query, the best first, those that fit equally well in the order
    /// of their ids; at most `limit`, and none that has no word of the query.
    ///
    /// A query may be any text; its first 64 different words within its first 4 KiB count, each
    /// once.
    #[must_use]
    pub fn search(&self, query: &str, limit: usize) -> Vec<Found> {
        let (hits, _) = self.0.index.search(query, limit);
        let found = hits.into_iter().filter_map(|hit| {
            let capability = Arc::clone(self.0.capabilities.get(hit.document as usize)?);
            Some(Found { capability, score: hit.score })
        });
        found.collect()
    }
}

/// Gathers the capabilities of a [`Registry`].
#[derive(Debug, Default)]
pub struct RegistryBuilder {
    capabilities: BTreeMap<CapabilityId, Arc<Capability>>,
}

impl RegistryBuilder {
    /// With this capability.
    ///
    /// # Errors
    /// [`DuplicateCapability`] when there is one with its id.
    pub fn register(mut self, capability: Capability) -> Result<Self, DuplicateCapability> {
        if self.capabilities.contains_key(&capability.id) {
            return Err(DuplicateCapability { id: capability.id });
        }
        self.capabilities.insert(capability.id.clone(), Arc::new(capability));
        Ok(self)
    }

    /// The registry.
    #[must_use]
    pub fn build(self) -> Registry {
        let capabilities: Vec<_> = self.capabilities.into_values().collect();
        let index = Index::of(&capabilities);
        Registry(Arc::new(Inner { capabilities, index }))
    }
}
