//! The guards of a run file, around its tools.

use std::path::Path;

use executus_core::{RunId, Toolbox};
use executus_critic::RuleCritic;
use executus_guard::{
    ActionPolicy, ContentRules, Guard, GuardConfig, Level, Protected, Role, StuckSettings,
    UrlPolicy,
};
use executus_playbook::RunFile;
use executus_playbook::guardrails::{GuardDef, RoleDef};

use crate::fault::Fault;

/// The guards that a file asks for, if it does, as they are when the run begins. The file itself is
/// protected: no tool of the run may write it.
///
/// # Errors
/// A number out of its bounds, a host that is none, a file that cannot be protected.
pub(crate) fn of_file(file: &RunFile, path: &Path) -> Result<Option<Guards>, Fault> {
    let Some(def) = &file.guard else { return Ok(None) };
    let refused = |error: executus_guard::ConfigError| Fault::usage(error.to_string());
    let config = config(def).map_err(refused)?;
    config.check().map_err(refused)?;
    let here = std::env::current_dir().map_err(|error| Fault::error(error.to_string()))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    let more = def.protect.iter().map(|named| beside.join(named));
    let files = std::iter::once(path.to_path_buf()).chain(more);
    let protected = Protected::new(&here, files).map_err(refused)?;
    Ok(Some(Guards { config, protected, def: def.clone() }))
}

/// Guards that were read, and stand around nothing yet.
pub(crate) struct Guards {
    config: GuardConfig,
    protected: Protected,
    def: GuardDef,
}

impl Guards {
    /// The tools, guarded. What stops the run's actions ends the run too, if the file says so.
    ///
    /// # Errors
    /// A role of a tool that is not there.
    pub(crate) fn around(
        self,
        tools: &Toolbox,
        critic: Option<&RuleCritic>,
    ) -> Result<Toolbox, Fault> {
        let Self { mut config, protected, def } = self;
        // The critic has the better word for it; without one the denial itself ends the run.
        config.stop_ends_run = def.stop_ends_run && critic.is_none();
        if let Some(role) = def.roles.iter().find(|role| tools.get(&role.tool).is_none()) {
            let (tool, known) = (&role.tool, tools.names());
            let what = format!("[guard.roles.{tool}]: the run has no tool `{tool}`");
            return Err(Fault::usage(what).help(format!("its tools: {known}")));
        }
        let stops = critic.filter(|_| def.stop_ends_run).cloned();
        let guard = Guard::builder(config).protect(protected).on_signal(move |signal| {
            if let (Level::Stop, Some(critic)) = (signal.level, &stops) {
                stop(critic, &signal.run_id, &signal.message);
            }
        });
        let guard = guard.build().map_err(|error| Fault::usage(error.to_string()))?;
        let role = |name: &str| def.roles.iter().find(|role| role.tool == name).map(role);
        let guarded = guard.wrap_all(tools, |tool| role(&tool.spec().name).unwrap_or_default());
        guarded.map_err(|error| Fault::usage(error.to_string()))
    }
}

fn stop(critic: &RuleCritic, run: &RunId, found: &str) {
    if !critic.stop(run, &format!("its guard says: {found}")) {
        tracing::warn!(%run, "the guard could not stop the run: nobody watches it");
    }
}

fn role(def: &RoleDef) -> Role {
    let role = def.address.iter().fold(Role::default(), |role, at| role.address(at));
    let role = def.wording.iter().fold(role, |role, at| role.wording(at));
    def.leads_to.iter().fold(role, |role, at| role.leads_to(at))
}

fn config(def: &GuardDef) -> Result<GuardConfig, executus_guard::ConfigError> {
    let mut urls = UrlPolicy::new().block(&def.block)?;
    if let Some(allow) = &def.allow {
        urls = urls.allow(allow)?;
    }
    if def.private {
        urls = urls.private();
    }
    let base = GuardConfig::default();
    let mut stuck = StuckSettings::default();
    let (mut max_errors, mut max_urls) = (base.max_errors, base.max_urls);
    for &(name, number) in &def.numbers {
        let field = match name {
            "max_errors" => &mut max_errors,
            "max_urls" => &mut max_urls,
            "stuck_repeat_hint" => &mut stuck.stuck_repeat_hint,
            "stuck_repeat_warning" => &mut stuck.stuck_repeat_warning,
            "stuck_repeat_stop" => &mut stuck.stuck_repeat_stop,
            "stuck_window" => &mut stuck.stuck_window,
            "stuck_cycle_repeats" => &mut stuck.stuck_cycle_repeats,
            "stuck_failure_count" => &mut stuck.stuck_failure_count,
            "stuck_failure_window" => &mut stuck.stuck_failure_window,
            _ => &mut stuck.stuck_revisit_gap,
        };
        *field = number;
    }
    let content = match def.content {
        Some(false) => ContentRules::default(),
        Some(true) | None => ContentRules::usual()?,
    };
    Ok(GuardConfig {
        stuck: def.stuck.unwrap_or(true).then_some(stuck),
        max_errors,
        max_urls,
        urls,
        actions: ActionPolicy::default().destructive(&def.destructive).harmless(&def.harmless),
        content,
        stop_ends_run: def.stop_ends_run,
    })
}
