//! A run file: its models, its targets and its servers of tools.

use std::path::Path;

use executus_core::Limits;
use executus_playbook::RunFile;
use serde_json::json;
use tokio::time::timeout;

use super::{Finding, WITHIN};
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::fault::{Fault, chain};
use crate::models::{self, Asking};
use crate::{deliver, tools};

/// Looks at a file and at what it names.
pub(super) async fn look_at(path: &Path, args: &DoctorArgs, config: &Config) -> Vec<Finding> {
    let shown = path.display().to_string();
    let file = match RunFile::load(path) {
        Ok(file) => file,
        Err(mistake) => return vec![Finding::fault(shown, &Fault::usage(mistake.to_string()))],
    };
    let mut found = vec![Finding::well(&shown, format!("`{}` is a good run file", file.name))];
    if let Err(fault) = deliver::label(&file, config, &mut json!({})) {
        found.push(Finding::fault(&shown, &fault));
    }
    found.extend(asked(&file, path, config).await);
    #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
    let bound = file.bind(&args.inputs, &|name| std::env::var(name).ok());
    let bound = match bound {
        Ok(bound) => bound,
        Err(mistake) => {
            let help = "give it with --input NAME=VALUE: its tools are not looked at without it";
            found.push(Finding::odd(format!("{shown}, tools"), mistake.to_string(), help));
            return found;
        }
    };
    match tools::of_file(&file, &bound, &config.http) {
        Ok((_, outside)) => {
            for server in outside.servers() {
                found.push(served(server).await);
            }
            outside.close().await;
        }
        Err(fault) => found.push(Finding::fault(format!("{shown}, tools"), &fault)),
    }
    found
}

/// The models of a file: whether their keys are there and their servers answer.
async fn asked(file: &RunFile, path: &Path, config: &Config) -> Vec<Finding> {
    let limits = file.limits.over(Limits::default());
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for name in &file.models {
        let what = format!("model {name}");
        let names = std::slice::from_ref(name);
        let needs_prices = limits.max_cost_micros.is_some() || config.budget.limits_cost();
        let asking = Asking { names, folder, stream: true, needs_prices };
        if let Some((models::SCRIPTED, _)) = name.split_once(':') {
            found.push(match models::of_names(file, asking) {
                Ok(_) => Finding::well(what, "a script"),
                Err(fault) => Finding::fault(what, &fault),
            });
            continue;
        }
        found.push(match models::chat(file, name, asking) {
            Err(fault) => Finding::fault(what, &fault),
            Ok(model) => match model.reach(WITHIN).await {
                Ok(()) => Finding::well(what, "its server answers"),
                Err(error) => {
                    let help = "look at the network, and at the variable with its address";
                    Finding::ill(what, chain(&error), help)
                }
            },
        });
    }
    found
}

/// A server of tools: started or connected to, and asked what it has.
async fn served(server: &executus_mcp::McpServer) -> Finding {
    let what = format!("server of `{}`", server.name());
    let help = "start its command by hand, or ask its address, and look at what it says";
    match timeout(WITHIN, server.tools()).await {
        Ok(Ok(tools)) => Finding::well(what, format!("{} tools", tools.len())),
        Ok(Err(error)) => Finding::ill(what, chain(&error), help),
        Err(_) => Finding::ill(what, format!("no answer within {WITHIN:?}"), help),
    }
}
