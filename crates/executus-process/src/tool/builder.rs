//! Making a tool.

use std::sync::Arc;
use std::time::Duration;

use executus_core::Template;
use executus_core::secret::Secret;

use super::ProcessTool;
use crate::capture::OutputLimits;
use crate::child::DRAIN;
use crate::environment::Environment;
use crate::error::BuildError;
use crate::parameters::Bound;
use crate::processes::Processes;

/// Collects what a [`ProcessTool`] needs.
#[derive(Debug)]
pub struct ProcessToolBuilder {
    tool: ProcessTool,
}

impl ProcessToolBuilder {
    pub(super) const fn new(tool: ProcessTool) -> Self {
        Self { tool }
    }

    /// The argument vector, the program first; see [`Template`] for its `{name}` places.
    #[must_use]
    pub fn argv<S: AsRef<str>>(self, argv: impl IntoIterator<Item = S>) -> Self {
        self.arguments(argv.into_iter().map(|element| Template::parse(element.as_ref())))
    }

    /// The argument vector from parsed elements.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = Template>) -> Self {
        self.tool.argv = arguments.into_iter().collect();
        self
    }

    /// A parameter of the run: bound in every call, and not for the call to set.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tool.bound.insert(name.into(), Bound::Text(value.into()));
        self
    }

    /// A sensitive parameter of the run.
    #[must_use]
    pub fn bind_secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.bound.insert(name.into(), Bound::Secret(value));
        self
    }

    /// The child's environment; [`Environment::default`] without this.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<Arc<Environment>>) -> Self {
        self.tool.environment = environment.into();
        self
    }

    /// A variable of the child with a sensitive value.
    #[must_use]
    pub fn secret_variable(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.secret_environment.push((name.into(), value));
        self
    }

    /// The folder the child runs in, which may have places too; the host's without this.
    #[must_use]
    pub fn current_dir(mut self, folder: Template) -> Self {
        self.tool.current_dir = Some(folder);
        self
    }

    /// What the child reads; an empty input without this. A value is put in as it stands: it is not
    /// quoted for whatever the text is written in.
    #[must_use]
    pub fn input(mut self, input: Template) -> Self {
        self.tool.input = Some(input);
        self
    }

    /// From `SIGTERM` to `SIGKILL`; 200 ms without this.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.tool.care.grace = grace;
        self
    }

    /// Lists the children while they are under way.
    #[must_use]
    pub fn processes(mut self, processes: &Processes) -> Self {
        self.tool.care.processes = Some(processes.clone());
        self
    }

    /// Also ends those of a child's children that left its group; see
    /// [`Task::end_strays`](crate::Task::end_strays).
    #[must_use]
    pub const fn end_strays(mut self) -> Self {
        self.tool.care.ends_strays = true;
        self
    }

    /// How much of the child's output is kept.
    #[must_use]
    pub const fn output_limits(mut self, limits: OutputLimits) -> Self {
        self.tool.limits = limits;
        self
    }

    /// The tool.
    ///
    /// # Errors
    /// [`BuildError`] when there is no program, when the call could choose it, or when a place in
    /// the argument vector can never be filled.
    pub fn build(self) -> Result<ProcessTool, BuildError> {
        let mut tool = self.tool;
        let name = || tool.spec.name.to_string();
        let Some(program) = tool.argv.first() else {
            return Err(BuildError::NoProgram { tool: name() });
        };
        let declared = tool.spec.parameters.get("properties");
        let is_declared = |place: &str| declared.is_some_and(|all| all.get(place).is_some());
        if let Some(open) = program.names().find(|place| is_declared(place)) {
            return Err(BuildError::OpenProgram { tool: name(), name: open.to_owned() });
        }
        for argument in tool.argv.iter().chain(&tool.current_dir).chain(&tool.input) {
            let mut names = argument.names();
            if let Some(unbound) =
                names.find(|place| !is_declared(place) && !tool.bound.contains_key(*place))
            {
                return Err(BuildError::Unbound { tool: name(), name: unbound.to_owned() });
            }
        }
        // The tool ends its child itself; the executor's limit stands behind it.
        tool.spec.timeout = tool.timeout.map(|limit| limit + tool.care.grace * 2 + DRAIN * 2);
        Ok(tool)
    }
}
