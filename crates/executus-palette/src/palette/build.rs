//! Filling a palette, and checking what is in it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use executus_core::port::EntryKind;

use super::{LocalPalette, Parts};
use crate::agent::Agent;
use crate::config::PaletteLimits;
use crate::error::BuildError;
use crate::lineage::Lineage;
use crate::skill::Skill;

/// The longest name of a tool that every provider takes.
const MAX_TOOL_NAME: usize = 64;

/// Builds a [`LocalPalette`].
#[derive(Default)]
pub struct PaletteBuilder {
    skills: Vec<Skill>,
    agents: Vec<Arc<dyn Agent>>,
    limits: PaletteLimits,
}

impl PaletteBuilder {
    /// With a skill.
    #[must_use]
    pub fn skill(mut self, skill: Skill) -> Self {
        self.skills.push(skill);
        self
    }

    /// With these skills.
    #[must_use]
    pub fn skills(mut self, skills: impl IntoIterator<Item = Skill>) -> Self {
        self.skills.extend(skills);
        self
    }

    /// With an agent.
    #[must_use]
    pub fn agent(mut self, agent: Arc<dyn Agent>) -> Self {
        self.agents.push(agent);
        self
    }

    /// Within these limits.
    #[must_use]
    pub fn limits(mut self, limits: PaletteLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The palette.
    ///
    /// # Errors
    /// A name that is there twice or makes no name of a tool, an agent that delegates to what is not
    /// there, a limit of zero.
    pub fn build(self) -> Result<LocalPalette, BuildError> {
        self.limits.check()?;
        let mut skills = BTreeMap::<Arc<str>, Skill>::new();
        for skill in self.skills {
            let kind = EntryKind::Skill;
            check_name(kind, skill.name())?;
            match skills.entry(Arc::clone(skill.name())) {
                Entry::Occupied(first) => {
                    let folders = (first.get().folder(), skill.folder());
                    let places =
                        format!(", in {} and {}", folders.0.display(), folders.1.display());
                    let name = skill.name().to_string();
                    return Err(BuildError::Duplicate { kind, name, places });
                }
                Entry::Vacant(place) => {
                    place.insert(skill);
                }
            }
        }
        let mut agents = BTreeMap::<Arc<str>, Arc<dyn Agent>>::new();
        for agent in self.agents {
            let name = &agent.entry().name;
            let kind = EntryKind::Agent;
            check_name(kind, name)?;
            if agents.insert(Arc::clone(name), Arc::clone(&agent)).is_some() {
                let name = name.to_string();
                return Err(BuildError::Duplicate { kind, name, places: String::new() });
            }
        }
        for agent in agents.values() {
            let entry = agent.entry();
            let missing = entry.delegates.iter().find(|(kind, name)| match kind {
                EntryKind::Skill => !skills.contains_key(name),
                EntryKind::Agent => !agents.contains_key(name),
            });
            if let Some((kind, name)) = missing {
                let (agent, name) = (entry.name.to_string(), name.to_string());
                return Err(BuildError::Unknown { agent, kind: *kind, name });
            }
        }
        let lineage = Lineage::default();
        Ok(LocalPalette(Arc::new(Parts { skills, agents, limits: self.limits, lineage })))
    }
}

fn check_name(kind: EntryKind, name: &str) -> Result<(), BuildError> {
    let limit = MAX_TOOL_NAME - kind.prefix().len();
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || name.len() > limit || !name.bytes().all(is_allowed) {
        return Err(BuildError::Name { kind, name: name.to_owned(), limit });
    }
    Ok(())
}

impl fmt::Debug for PaletteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skills: Vec<_> = self.skills.iter().map(Skill::name).collect();
        let agents: Vec<_> =
            self.agents.iter().map(|agent| Arc::clone(&agent.entry().name)).collect();
        f.debug_struct("PaletteBuilder")
            .field("skills", &skills)
            .field("agents", &agents)
            .field("limits", &self.limits)
            .finish()
    }
}
