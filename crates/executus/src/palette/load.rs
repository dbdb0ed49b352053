//! Reading the skills and run files that a run file names, and those that they name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use executus_core::Effect;
use executus_core::port::EntryKind;
use executus_palette::{Agent, LocalPalette, PaletteLimits, Skill};
use executus_playbook::{PaletteDef, RunFile};

use super::agent::{FileAgent, Shared};
use super::def;
use crate::fault::Fault;

/// Names of what a file may delegate to.
type Names = Vec<(EntryKind, Arc<str>)>;

/// What was read so far, by its path without links.
pub(super) struct Loading {
    shared: Arc<Shared>,
    skills: BTreeMap<PathBuf, Skill>,
    agents: BTreeMap<PathBuf, Arc<FileAgent>>,
    /// The files that are being read: each was named by the one before it.
    open: Vec<(PathBuf, PathBuf)>,
}

impl Loading {
    pub(super) fn new(root: &Path, shared: Arc<Shared>) -> Self {
        // A file that was read before is there.
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let open = vec![(real, root.to_owned())];
        Self { shared, skills: BTreeMap::new(), agents: BTreeMap::new(), open }
    }

    pub(super) fn skills(&self) -> impl Iterator<Item = &Skill> {
        self.skills.values()
    }

    pub(super) fn agents(&self) -> impl Iterator<Item = &Arc<FileAgent>> {
        self.agents.values()
    }

    /// What a file names, by name, and the greatest effect of it.
    pub(super) fn entries(
        &mut self,
        def: &PaletteDef,
        file: &Path,
    ) -> Result<(Names, Effect), Fault> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut names = Names::new();
        let mut effect = Effect::ReadOnly;
        for path in &def.skills {
            for skill in self.skills_at(&folder.join(path), file)? {
                names.push((EntryKind::Skill, skill));
            }
        }
        for path in &def.agents {
            let agent = self.agent(&folder.join(path), file)?;
            effect = greater(effect, agent.entry().effect);
            names.push((EntryKind::Agent, Arc::clone(&agent.entry().name)));
        }
        // A skill that is named by itself and by its folder is there once.
        names.sort_by(|(a, one), (b, other)| (a.prefix(), one).cmp(&(b.prefix(), other)));
        names.dedup();
        Ok((names, effect))
    }

    /// A skill's folder, or the skills in a folder.
    fn skills_at(&mut self, path: &Path, named_in: &Path) -> Result<Vec<Arc<str>>, Fault> {
        let read = if path.join("SKILL.md").symlink_metadata().is_ok() {
            Skill::load(path).map(|skill| vec![skill])
        } else {
            Skill::load_all(path)
        };
        let skills = read.map_err(|error| {
            let help = format!("`skills` in {} names it", named_in.display());
            Fault::usage(error.to_string()).help(help)
        })?;
        if skills.is_empty() {
            let message =
                format!("{}: there is no skill in {}", named_in.display(), path.display());
            return Err(Fault::usage(message).help("a skill is a folder with a SKILL.md"));
        }
        let names = skills.iter().map(|skill| Arc::clone(skill.name())).collect();
        for skill in skills {
            self.skills.insert(skill.folder().to_owned(), skill);
        }
        Ok(names)
    }

    /// A run file as an agent.
    fn agent(&mut self, path: &Path, named_in: &Path) -> Result<Arc<FileAgent>, Fault> {
        let unread = |mistake: String| {
            let help = format!("`agents` in {} names it", named_in.display());
            Fault::usage(mistake).help(help)
        };
        let real = path
            .canonicalize()
            .map_err(|error| unread(format!("{}: cannot be read: {error}", path.display())))?;
        if let Some(agent) = self.agents.get(&real) {
            return Ok(Arc::clone(agent));
        }
        if let Some(at) = self.open.iter().position(|(open, _)| *open == real) {
            let circle = self.open.iter().skip(at).map(|(_, shown)| shown.as_path());
            let circle: Vec<_> =
                circle.chain([path]).map(|path| path.display().to_string()).collect();
            return Err(Fault::usage(format!("agents go in a circle: {}", circle.join(" › ")))
                .help("a run that delegates to one above it would never end"));
        }
        let file = RunFile::load(path).map_err(|mistake| unread(mistake.to_string()))?;
        let file = Arc::new(file);
        self.open.push((real.clone(), path.to_owned()));
        let (delegates, effect) = match def(&file) {
            Some(def) => self.entries(def, path)?,
            None => (Names::new(), Effect::ReadOnly),
        };
        self.open.pop();
        let effect = file.tools.iter().fold(effect, |effect, tool| greater(effect, tool.effect));
        let agent = FileAgent::of(path, file, delegates, effect, Arc::clone(&self.shared))?;
        let agent = Arc::new(agent);
        self.agents.insert(real, Arc::clone(&agent));
        Ok(agent)
    }

    /// All of it as a palette.
    pub(super) fn build(self, limits: PaletteLimits) -> Result<LocalPalette, Fault> {
        let mut palette = LocalPalette::builder().limits(limits).skills(self.skills.into_values());
        for agent in self.agents.into_values() {
            palette = palette.agent(agent);
        }
        palette.build().map_err(|error| Fault::usage(error.to_string()))
    }
}

/// The one of two effects that forbids more.
const fn greater(one: Effect, other: Effect) -> Effect {
    match (one, other) {
        (Effect::Once, _) | (_, Effect::Once) => Effect::Once,
        (Effect::Idempotent, _) | (_, Effect::Idempotent) => Effect::Idempotent,
        (Effect::ReadOnly, Effect::ReadOnly) => Effect::ReadOnly,
    }
}
