//! The tools of a run file, made real.

use std::sync::Arc;

use executus_core::{Tool, Toolbox};
use executus_playbook::{Bound, Part, RunFile, Template, ToolDef, ToolKind, value_text};
use executus_process::{Argument, Environment, ProcessTool};

use crate::fault::Fault;

/// The tools that a file declares, with the run's parameters bound.
///
/// # Errors
/// A tool that cannot work, or of a kind that this host does not have.
pub(crate) fn of_file(file: &RunFile, bound: &Bound) -> Result<Toolbox, Fault> {
    let tools = file.tools.iter().map(|tool| make(tool, bound)).collect::<Result<Vec<_>, _>>()?;
    Toolbox::new(tools).map_err(|error| Fault::usage(error.to_string()))
}

fn make(tool: &ToolDef, bound: &Bound) -> Result<Arc<dyn Tool>, Fault> {
    match &tool.kind {
        ToolKind::Process { argv, cwd, env } => {
            let environment = env.iter().fold(Environment::default(), Environment::allow);
            let mut process = ProcessTool::builder(tool.spec())
                .arguments(argv.iter().map(argument))
                .environment(environment);
            if let Some(cwd) = cwd {
                process = process.current_dir(argument(cwd));
            }
            for (name, value) in bound.inputs.as_object().into_iter().flatten() {
                process = process.bind(name, value_text(value));
            }
            for name in bound.secrets.names() {
                if let Some(secret) = bound.secrets.get(name) {
                    process = process.bind_secret(name, secret.clone());
                }
            }
            let process = process.build().map_err(|error| Fault::usage(error.to_string()))?;
            Ok(Arc::new(process))
        }
        ToolKind::Http { .. } => Err(unsupported(tool, "http")),
        _ => Err(unsupported(tool, "of that kind")),
    }
}

fn unsupported(tool: &ToolDef, kind: &str) -> Fault {
    Fault::usage(format!("tool `{}`: this version has no {kind} tools", tool.name))
        .help("use `kind = \"process\"`")
}

fn argument(template: &Template) -> Argument {
    template.parts().iter().fold(Argument::new(), |argument, part| match part {
        Part::Text(text) => argument.text(text),
        Part::Name(name) => argument.place(name),
    })
}
