//! What one operation runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use executus_capability::DriverRequest;
use executus_core::Template;
use executus_core::secret::Secret;
use serde_json::{Map, Value};

use super::arguments;
use crate::argument::{bound, filled};
use crate::capture::OutputLimits;
use crate::environment::Environment;
use crate::error::{BuildError, ProcessError};
use crate::parameters::{Bound, Parameters};
use crate::processes::Processes;
use crate::task::{Format, Task};

/// One operation of a driver: a program, and how the arguments of a request reach it.
///
/// A place of the argument vector, the folder or the input takes the argument of its name. An
/// argument that has no place is refused, unless the input takes all of them.
#[derive(Debug, Clone)]
pub struct Operation {
    argv: Vec<Template>,
    pub(super) format: Format,
    parameters: Option<Value>,
    bound: BTreeMap<String, Bound>,
    environment: Arc<Environment>,
    secret_environment: Vec<(String, Secret)>,
    key_variable: Option<String>,
    current_dir: Option<Template>,
    input: Input,
    /// What a call may pass, by the schema or by the places there are.
    declared: Value,
    settings: Vec<Setting>,
}

/// What the program of an operation reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Input {
    /// Nothing.
    #[default]
    Empty,
    /// A text with its places filled, each value as it stands.
    Text(Template),
    /// All arguments, as one line of JSON.
    Arguments,
}

#[derive(Debug, Clone)]
enum Setting {
    Timeout(Option<Duration>),
    Grace(Duration),
    Limits(OutputLimits),
    MaxLine(usize),
    EndStrays,
    SuspectCredential,
    Listed(Processes),
}

impl Operation {
    /// Runs this argument vector, the program first; see [`Template`] for its `{name}` places.
    #[must_use]
    pub fn new<S: AsRef<str>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self::of(argv.into_iter().map(|element| Template::parse(element.as_ref())))
    }

    /// The same from parsed elements.
    #[must_use]
    pub fn of(argv: impl IntoIterator<Item = Template>) -> Self {
        Self {
            argv: argv.into_iter().collect(),
            format: Format::Text,
            parameters: None,
            bound: BTreeMap::new(),
            environment: Arc::default(),
            secret_environment: Vec::new(),
            key_variable: None,
            current_dir: None,
            input: Input::Empty,
            declared: Value::Null,
            settings: Vec::new(),
        }
    }

    /// What the program writes; a text without this.
    #[must_use]
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// What the program reads; nothing without this.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// What a request may pass, as a JSON schema with `properties`: their types, bounds, choices and
    /// defaults are kept. Without this any single value may fill a place.
    #[must_use]
    pub fn parameters(mut self, schema: Value) -> Self {
        self.parameters = Some(schema);
        self
    }

    /// A value of the host's own, not for a request to set.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.bound.insert(name.into(), Bound::Text(value.into()));
        self
    }

    /// A sensitive value of the host's own.
    #[must_use]
    pub fn bind_secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.bound.insert(name.into(), Bound::Secret(value));
        self
    }

    /// The child's environment; [`Environment::default`] without this.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<Arc<Environment>>) -> Self {
        self.environment = environment.into();
        self
    }

    /// A variable of the child with a sensitive value, which no error shows.
    #[must_use]
    pub fn secret_variable(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secret_environment.push((name.into(), value));
        self
    }

    /// The variable that has the idempotency key of the request; none without this.
    #[must_use]
    pub fn key_variable(mut self, name: impl Into<String>) -> Self {
        self.key_variable = Some(name.into());
        self
    }

    /// The folder the child runs in, which may have places too; the host's without this.
    #[must_use]
    pub fn current_dir(mut self, folder: Template) -> Self {
        self.current_dir = Some(folder);
        self
    }

    /// As [`Task::timeout`].
    #[must_use]
    pub fn timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.with(Setting::Timeout(limit.into()))
    }

    /// As [`Task::grace`].
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        self.with(Setting::Grace(grace))
    }

    /// As [`Task::output_limits`].
    #[must_use]
    pub fn output_limits(self, limits: OutputLimits) -> Self {
        self.with(Setting::Limits(limits))
    }

    /// As [`Task::max_line`].
    #[must_use]
    pub fn max_line(self, bytes: usize) -> Self {
        self.with(Setting::MaxLine(bytes))
    }

    /// As [`Task::end_strays`].
    #[must_use]
    pub fn end_strays(self) -> Self {
        self.with(Setting::EndStrays)
    }

    /// As [`Task::suspect_credential`].
    #[must_use]
    pub fn suspect_credential(self) -> Self {
        self.with(Setting::SuspectCredential)
    }

    pub(super) fn listed_in(&mut self, processes: &Processes) {
        self.settings.push(Setting::Listed(processes.clone()));
    }

    fn with(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// Whether it can work at all, and what a request may pass.
    pub(super) fn check(&mut self, name: &str) -> Result<(), BuildError> {
        let Some(program) = self.argv.first() else {
            return Err(BuildError::NoProgram { tool: name.to_owned() });
        };
        if let Some(open) = program.names().find(|place| !self.bound.contains_key(*place)) {
            let open = open.to_owned();
            return Err(BuildError::OpenProgram { tool: name.to_owned(), name: open });
        }
        let input = match &self.input {
            Input::Text(template) => Some(template),
            Input::Empty | Input::Arguments => None,
        };
        let templates = self.argv.iter().chain(&self.current_dir).chain(input);
        let mut open = templates.flat_map(Template::names);
        self.declared = match self.parameters.take() {
            Some(schema) => {
                let declared = schema.get("properties");
                let is_declared =
                    |place: &str| declared.is_some_and(|all| all.get(place).is_some());
                let unbound =
                    open.find(|place| !is_declared(place) && !self.bound.contains_key(*place));
                if let Some(unbound) = unbound {
                    let unbound = unbound.to_owned();
                    return Err(BuildError::Unbound { tool: name.to_owned(), name: unbound });
                }
                schema
            }
            None => {
                let open = open.filter(|place| !self.bound.contains_key(*place));
                let any = open.map(|place| (place.to_owned(), Value::Object(Map::new())));
                serde_json::json!({"properties": any.collect::<Map<_, _>>()})
            }
        };
        Ok(())
    }

    /// The task of one request.
    pub(super) fn task(&self, request: &DriverRequest) -> Result<Task, ProcessError> {
        let all = arguments(request);
        let takes_all = self.input == Input::Arguments;
        let declared = self.declared.get("properties").and_then(Value::as_object);
        // Where the input takes all, only what is declared is checked.
        let mut placed = all.clone();
        placed.retain(|name, _| {
            !takes_all || declared.is_some_and(|declared| declared.contains_key(name))
        });
        let placed = Value::Object(placed);
        let parameters = Parameters::of_call(&self.declared, &placed, &self.bound)?;
        let argument = |template| bound(template, |name| parameters.get(name));
        let mut argv = self.argv.iter().map(argument);
        // A checked operation has a program.
        let mut task = Task::new(argv.next().transpose()?.unwrap_or_default())
            .args(argv.collect::<Result<Vec<_>, _>>()?)
            .format(self.format);
        task = match &self.input {
            Input::Empty => task,
            Input::Text(text) => task.input(filled(text, |name| parameters.get(name))?),
            Input::Arguments => task.input(format!("{}\n", Value::Object(all))),
        };
        if let Some(folder) = &self.current_dir {
            task = task.current_dir(PathBuf::from(argument(folder)?));
        }
        task = match &self.key_variable {
            None => task.environment(Arc::clone(&self.environment)),
            Some(name) => {
                let environment = Environment::clone(&self.environment);
                task.environment(environment.set(name, &*request.idempotency_key))
            }
        };
        for (name, secret) in &self.secret_environment {
            task = task.secret_variable(name, secret.clone());
        }
        for (name, value) in &self.bound {
            if let Bound::Secret(secret) = value {
                task = task.hide(format!("argument {name}"), secret.clone());
            }
        }
        Ok(self.settings.iter().fold(task, Setting::on))
    }
}

impl Setting {
    fn on(task: Task, setting: &Self) -> Task {
        match setting {
            Self::Timeout(limit) => task.timeout(*limit),
            Self::Grace(grace) => task.grace(*grace),
            Self::Limits(limits) => task.output_limits(*limits),
            Self::MaxLine(bytes) => task.max_line(*bytes),
            Self::EndStrays => task.end_strays(),
            Self::SuspectCredential => task.suspect_credential(),
            Self::Listed(processes) => task.processes(processes),
        }
    }
}
