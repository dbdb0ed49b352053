//! The capabilities of a run file: a kernel between its model and its tools.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use executus_audit_sqlite::SqliteAudit;
use executus_capability::budget::SessionBudget;
use executus_capability::driver::ToolDriver;
use executus_capability::kernel::KernelLimits;
use executus_capability::policy::{AllOf, DefaultPolicy, MAX_RULES_BYTES, Policy, RulePolicy};
use executus_capability::route::Router;
use executus_capability::token::TokenAuthority;
use executus_capability::tool::{Access, HandleTool, SearchTool};
use executus_capability::{
    Capability, CapabilityId, CapabilityTool, Constraints, Kernel, Mode, Principal, Registry,
    Safety, Sensitivity,
};
use executus_core::digest::{Digest, Hasher};
use executus_core::{Clock, Limits, Tool, Toolbox};
use executus_playbook::capability::{
    CapabilitiesDef, CapabilityDef, ModeDef, PolicyDef, PrincipalDef, SafetyDef, SensitivityDef,
};
use executus_playbook::{RunFile, ToolKind};

use crate::cli::RunArgs;
use crate::fault::Fault;

mod driver;
mod log;
mod search;

use driver::FileTool;
use log::Actions;
pub(crate) use log::action;
use search::InvokeTool;

/// The most that a driver's result may have, in bytes: it is looked through, not shown.
pub(crate) const MAX_DRIVER_RESULT: usize = 4 << 20;

/// What an answer may have beside its text, in bytes: a mark that it was cut, and a handle.
const BESIDE: usize = 512;

/// How many calls a small budget has room for at once, at least.
const CALLS_AT_ONCE: u64 = 10;

/// How long what is under way may take when the run is over: it was cancelled already.
const GRACE: Duration = Duration::from_secs(1);

/// The capabilities of a file, ready to be put before its tools.
pub(crate) struct Capabilities {
    file: Arc<RunFile>,
    read_only: bool,
    of_file: Option<Asked>,
}

/// Who asks, and who decides.
struct Asked {
    principal: Arc<Principal>,
    policy: Arc<dyn Policy>,
    rules: Option<Digest>,
}

/// The kernel of a run, where it has one.
pub(crate) struct Guard(Option<Kernel>);

impl Capabilities {
    /// Those of a file; its rules are read.
    ///
    /// # Errors
    /// Rules that are not there, or mean nothing.
    pub(crate) fn of_file(args: &RunArgs, file: &Arc<RunFile>) -> Result<Self, Fault> {
        let folder = args.file.parent().unwrap_or(Path::new(""));
        let asked = |def: &CapabilitiesDef| {
            let rules = def.policy.rules.as_deref().map(|rules| read_rules(&folder.join(rules)));
            let (rules, digest) = rules.transpose()?.unzip();
            // The default rules count what they grant: they are asked last.
            let of_host = Arc::new(DefaultPolicy::default()) as Arc<dyn Policy>;
            let policy: Arc<dyn Policy> = match rules {
                Some(rules) => Arc::new(AllOf::new(vec![Arc::new(rules), of_host])),
                None => of_host,
            };
            let principal = Arc::new(principal(&def.principal, &args.caller));
            Ok(Asked { principal, policy, rules: digest })
        };
        let of_file = file.capabilities.as_ref().map(asked).transpose()?;
        Ok(Self { file: Arc::clone(file), read_only: args.read_only, of_file })
    }

    /// The digest of the rules: other rules, another run.
    pub(crate) fn rules(&self) -> Option<&Digest> {
        self.of_file.as_ref()?.rules.as_ref()
    }

    /// The tools that the run gets in place of these: each capability instead of its drivers.
    ///
    /// # Errors
    /// When no kernel can be made of them.
    pub(crate) fn guard(
        self,
        tools: Toolbox,
        audit: &SqliteAudit,
    ) -> Result<(Toolbox, Guard), Fault> {
        let (Some(asked), Some(def)) = (self.of_file, &self.file.capabilities) else {
            return Ok((tools, Guard(None)));
        };
        let all = def.all.iter().map(|def| Ok((def, capability(def)?)));
        let all = all.collect::<Result<Vec<_>, Fault>>()?;
        let kernel = kernel(def, &all, asked.policy, &tools, audit)?;
        let most = self.file.limits.over(Limits::default()).max_result_bytes;
        let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(BESIDE);
        let access = Access::new(kernel.clone(), asked.principal)
            .justification(def.policy.justification.as_str())
            .denial_ends_run(def.policy.denial_ends_run)
            .max_text(most.min(Access::MAX_TEXT));
        let each = all.iter().map(|(def_of, capability)| {
            let access = access
                .clone()
                .mode(mode(def_of.mode))
                .constraints(constraints(&def.policy, def_of.max_rows));
            let tool = CapabilityTool::new(access, capability);
            let tool = match def_of.tool.approval {
                Some(within) => tool.approval(within),
                None => tool,
            };
            (capability, tool)
        });
        let mut offered: Vec<Arc<dyn Tool>> = Vec::new();
        if def.policy.search {
            offered.push(Arc::new(InvokeTool::new(access.clone(), each, self.read_only)));
            offered.push(Arc::new(SearchTool::new(access.clone())));
        } else {
            offered.extend(each.map(|(_, tool)| Arc::new(tool) as Arc<dyn Tool>));
        }
        offered.push(Arc::new(HandleTool::new(access)));
        let direct = tools.iter().filter(|tool| self.file.driven(&tool.spec().name).is_none());
        let tools = Toolbox::new(direct.cloned().chain(offered));
        let tools = tools.map_err(|error| Fault::usage(error.to_string()))?;
        Ok((tools, Guard(Some(kernel))))
    }
}

impl Guard {
    /// Waits until what is under way is recorded.
    pub(crate) async fn close(&self) {
        let Some(kernel) = &self.0 else { return };
        let closed = kernel.close(GRACE).await;
        if closed.left > 0 {
            tracing::error!(left = closed.left, "actions did not end, and are not recorded");
        }
    }
}

/// A kernel of these capabilities, whose drivers are tools of the file. Its key is fresh: no token
/// outlives the process.
fn kernel(
    def: &CapabilitiesDef,
    all: &[(&CapabilityDef, Capability)],
    policy: Arc<dyn Policy>,
    tools: &Toolbox,
    audit: &SqliteAudit,
) -> Result<Kernel, Fault> {
    let clock = Clock::system();
    let mut registry = Registry::builder();
    let mut router = Router::new();
    let mut drivers: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    for (def, capability) in all {
        registry = registry.register(capability.clone()).map_err(refused)?;
        let names = def.drivers.iter().map(|tool| Arc::clone(&tool.name));
        router = router.route(capability.id.clone(), names.clone()).map_err(refused)?;
        let has_data = def.drivers.iter().map(|tool| matches!(tool.kind, ToolKind::Mcp { .. }));
        drivers.extend(names.zip(has_data));
    }
    let authority = TokenAuthority::random(clock).map_err(refused)?;
    let attempt = def.policy.invoke_timeout.unwrap_or(KernelLimits::default().attempt);
    let mut builder = Kernel::builder(registry.build(), Arc::new(authority))
        .policy(policy)
        .router(router)
        .budget(budget(&def.policy)?)
        .log(Arc::new(Actions::new(audit.clone())))
        .clock(clock)
        .limits(KernelLimits { attempt, ..KernelLimits::default() });
    for (name, has_data) in drivers {
        let tool = tools.get(&name).cloned();
        let tool = tool.ok_or_else(|| Fault::error(format!("there is no tool `{name}`")))?;
        builder =
            builder.driver(Arc::new(ToolDriver::new(name, Arc::new(FileTool { tool, has_data }))));
    }
    builder.build().map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> Fault {
    Fault::usage(error.to_string())
}

fn budget(policy: &PolicyDef) -> Result<SessionBudget, Fault> {
    let Some(total) = policy.budget_tokens else { return Ok(SessionBudget::default()) };
    // Several calls of one step reserve at once.
    let reservation = (total / CALLS_AT_ONCE).clamp(1, SessionBudget::RESERVATION);
    let number = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    SessionBudget::new(number(total), number(reservation)).map_err(refused)
}

fn read_rules(path: &Path) -> Result<(RulePolicy, Digest), Fault> {
    let not_read = |error: &dyn std::fmt::Display| {
        Fault::usage(format!("{}: the rules cannot be read: {error}", path.display()))
            .help("`rules` of [policy] names a file, from the folder of the run file")
    };
    let mut text = String::new();
    // One byte more than there may be: it tells a larger file.
    let most = MAX_RULES_BYTES as u64 + 1;
    let file = File::open(path).map_err(|error| not_read(&error))?;
    file.take(most).read_to_string(&mut text).map_err(|error| not_read(&error))?;
    let rules = RulePolicy::parse(&text)
        .map_err(|error| Fault::usage(format!("{}:{error}", path.display())))?;
    let mut hasher = Hasher::new();
    hasher.text(&text);
    Ok((rules, hasher.finish()))
}

fn principal(def: &PrincipalDef, caller: &str) -> Principal {
    let id = def.id.as_deref().unwrap_or(caller);
    let principal = if def.is_service { Principal::service(id) } else { Principal::user(id) };
    let principal = def.roles.iter().fold(principal, Principal::role);
    let attributes = def.attributes.iter();
    attributes.fold(principal, |principal, (name, value)| principal.attribute(name, value))
}

fn capability(def: &CapabilityDef) -> Result<Capability, Fault> {
    let id = CapabilityId::new(&def.id).map_err(refused)?;
    let spec = def.tool.spec();
    let safety = match def.safety {
        SafetyDef::Read => Safety::Read,
        SafetyDef::Write => Safety::Write,
        SafetyDef::Destructive => Safety::Destructive,
    };
    let mut capability = Capability::new(id, safety, &*spec.description);
    capability.name.clone_from(&def.name);
    capability.sensitivity = match def.sensitivity {
        SensitivityDef::None => Sensitivity::None,
        SensitivityDef::Pii => Sensitivity::Pii,
        SensitivityDef::Pci => Sensitivity::Pci,
        SensitivityDef::Secrets => Sensitivity::Secrets,
        SensitivityDef::Memory => Sensitivity::Memory,
    };
    capability.allowed_fields.clone_from(&def.allowed_fields);
    capability.tags.clone_from(&def.tags);
    capability.parameters = spec.parameters;
    capability.idempotent = def.idempotent;
    Ok(capability)
}

const fn mode(def: ModeDef) -> Mode {
    match def {
        ModeDef::HandleOnly => Mode::HandleOnly,
        ModeDef::Summary => Mode::Summary,
        ModeDef::Table => Mode::Table,
        ModeDef::Raw => Mode::Raw,
    }
}

/// What every token of a capability is narrowed to, beside what the policy imposes.
fn constraints(policy: &PolicyDef, max_rows: Option<u64>) -> Constraints {
    let mut constraints = Constraints::default();
    if let Some(rows) = max_rows {
        constraints = constraints.with(Constraints::MAX_ROWS, rows);
    }
    if let Some(timeout) = policy.invoke_timeout {
        constraints = constraints.with(Constraints::INVOKE_TIMEOUT_S, timeout.as_secs_f64());
    }
    constraints
}
