//! The palettes of all runs of a process, as one port.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use executus_core::port::{Delegation, EntryKind, Palette, PaletteEntry, PaletteError, RunStart};
use executus_core::{RunSpec, ToolOutput};
use executus_palette::LocalPalette;

use super::LABEL;

/// Runs of several files may be under way here, each with what its file names. Which one a run has is
/// in its labels, and its children have the same. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Palettes(Arc<RwLock<HashMap<String, LocalPalette>>>);

impl Palettes {
    pub(super) fn add(&self, digest: String, palette: LocalPalette) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(digest).or_insert(palette);
    }

    fn of(&self, spec: &RunSpec) -> Result<LocalPalette, PaletteError> {
        let digest = spec.labels.get(LABEL).and_then(|digest| digest.as_str()).unwrap_or_default();
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let missing = || PaletteError::Unavailable {
            message: "the skills and agents of this run were not loaded".into(),
            source: None,
        };
        // A run that goes on with what has changed keeps its label; then it is the only one here.
        let only = || all.values().next().filter(|_| all.len() == 1);
        all.get(digest).or_else(only).cloned().ok_or_else(missing)
    }
}

#[async_trait]
impl Palette for Palettes {
    async fn resolve(
        &self,
        start: &RunStart,
        names: &[(EntryKind, Arc<str>)],
    ) -> Result<Vec<PaletteEntry>, PaletteError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.of(&start.spec)?.resolve(start, names).await
    }

    async fn invoke(&self, delegation: Delegation<'_>) -> Result<ToolOutput, PaletteError> {
        self.of(delegation.context.spec())?.invoke(delegation).await
    }
}
