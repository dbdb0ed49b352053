//! Skills and agents that a run file names, made real.

use std::sync::{Arc, OnceLock};

use executus_audit_sqlite::SqliteAudit;
use executus_core::RunRequest;
use executus_core::digest::{Digest, Hasher};
use executus_core::port::EntryKind;
use executus_palette::{LocalPalette, PaletteLimits};
use executus_playbook::{Body, PaletteDef, RunFile};

use crate::cli::RunArgs;
use crate::config::{BudgetConfig, HttpConfig};
use crate::fault::Fault;

mod agent;
mod load;
mod port;

use agent::Shared;
use load::Loading;
pub(crate) use port::Palettes;

/// The label of a run that says which palette is its own.
const LABEL: &str = "palette_digest";

/// What a run may delegate to, read and checked.
pub(crate) struct Offer {
    palette: LocalPalette,
    names: Vec<(EntryKind, Arc<str>)>,
    digest: Digest,
    audit: Arc<OnceLock<SqliteAudit>>,
}

impl Offer {
    /// What a file names; `None` when it names nothing. Skills and run files are read, and models
    /// of agents made once, so that what is wrong with them is told before anything runs.
    ///
    /// # Errors
    /// What is wrong with a skill, a run file, or an agent's model; agents in a circle; two of one
    /// name.
    pub(crate) fn of_file(
        args: &RunArgs,
        file: &Arc<RunFile>,
        http: &HttpConfig,
        limited: &BudgetConfig,
    ) -> Result<Option<Self>, Fault> {
        let Some(def) = def(file) else { return Ok(None) };
        let audit = Arc::<OnceLock<SqliteAudit>>::default();
        let shared = Arc::new(Shared {
            args: args.clone(),
            http: http.clone(),
            limited: limited.clone(),
            max_cost: file.limits.max_cost_micros,
            audit: Arc::clone(&audit),
            palette: OnceLock::new(),
        });
        let mut loading = Loading::new(&args.file, Arc::clone(&shared));
        let (names, _) = loading.entries(def, &args.file)?;
        if loading.agents().any(|agent| agent.file().name == file.name) {
            let message = format!("an agent is called `{}`, like the file itself", file.name);
            return Err(Fault::usage(message).help("give each file another `name`"));
        }
        let mut hasher = Hasher::new();
        for (kind, name) in &names {
            hasher.text(kind.prefix());
            hasher.text(name);
        }
        for skill in loading.skills() {
            hasher.text(skill.name());
            hasher.text(&skill.digest().to_string());
        }
        for agent in loading.agents() {
            hasher.text(&agent.file().digest.to_string());
        }
        let digest = hasher.finish();
        // Nobody else set it: the cell was made above.
        let _ = shared.palette.set(digest.to_string());
        let palette = loading.build(limits(def))?;
        Ok(Some(Self { palette, names, digest, audit }))
    }

    /// What tells a run that it has this palette: another one, another run.
    pub(crate) fn label(&self, labels: &mut serde_json::Value) {
        labels[LABEL] = serde_json::json!(self.digest);
    }

    /// Lets a run delegate, within executors that ask these palettes.
    pub(crate) fn admit(
        self,
        request: RunRequest,
        palettes: &Palettes,
        audit: &SqliteAudit,
    ) -> RunRequest {
        // Another run of the same process may have set it already, to the same store.
        let _ = self.audit.set(audit.clone());
        palettes.add(self.digest.to_string(), self.palette);
        let names = self.names.into_iter();
        names.fold(request, |request, (kind, name)| request.delegate_to(kind, name))
    }
}

/// What an agent's file may delegate to.
fn def(file: &RunFile) -> Option<&PaletteDef> {
    match &file.body {
        Body::Agent(agent) => agent.palette.as_ref(),
        Body::Playbook(_) => None,
    }
}

fn limits(def: &PaletteDef) -> PaletteLimits {
    let base = PaletteLimits::default();
    PaletteLimits {
        max_depth: def.max_depth.unwrap_or(base.max_depth),
        max_children: def.max_children.unwrap_or(base.max_children),
        max_runs: def.max_runs.unwrap_or(base.max_runs),
    }
}
