//! What a run may delegate to, and what others may choose when they delegate to it.

use crate::diagnostic::Problem;
use crate::models::check_model;
use crate::reader::{Item, Reader, Section};

/// The skills and agents of `[palette]`. Paths are relative to the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaletteDef {
    /// Folders of skills, or folders of such folders.
    pub skills: Vec<String>,
    /// Run files.
    pub agents: Vec<String>,
    /// How many delegations may lie above a run.
    pub max_depth: Option<u32>,
    /// How many agents one run may start in all.
    pub max_children: Option<u32>,
    /// How many agents may be started below the run at the top in all.
    pub max_runs: Option<u32>,
}

const KEYS: [&str; 5] = ["skills", "agents", "max_depth", "max_children", "max_runs"];
const SKILLS: &str = "an array of folders such as [\"skills/sql-review\"]";
const AGENTS: &str = "an array of run files such as [\"reviewer.toml\"]";

impl PaletteDef {
    pub(crate) fn read<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Self {
        let Some(table) = item.table(reader, "a table with `skills` and `agents`") else {
            return Self::default();
        };
        let section = Section::strict(reader, "[palette]", item.at, table, &KEYS);
        let get = |key| section.get(key);
        let skills = get("skills").map(|item| paths(reader, item, SKILLS));
        let agents = get("agents").map(|item| paths(reader, item, AGENTS));
        if skills.is_none() && agents.is_none() {
            let message = "[palette] has neither `skills` nor `agents`";
            reader.problem(item.at, message, "one of them at least");
        }
        Self {
            skills: skills.unwrap_or_default(),
            agents: agents.unwrap_or_default(),
            max_depth: get("max_depth").and_then(|item| item.positive(reader)),
            max_children: get("max_children").and_then(|item| item.positive(reader)),
            max_runs: get("max_runs").and_then(|item| item.positive(reader)),
        }
    }
}

fn paths<'a>(reader: &mut Reader<'a>, item: &Item<'a>, expected: &str) -> Vec<String> {
    let mut paths = Vec::<String>::new();
    for element in item.array(reader, expected).unwrap_or_default() {
        let Some(path) = element.filled(reader, "a path") else { continue };
        if paths.iter().any(|other| other == path.value) {
            let message = format!("`{}` is there twice", path.value);
            reader.problem(element.at, message, "each path once");
        }
        paths.push(path.value.to_owned());
    }
    paths
}

/// Reads `[tiers]`: a model for each tier, in file order.
pub(crate) fn read_tiers<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<(String, String)> {
    let Some(table) = item.table(reader, "a table such as `small = \"openai:gpt-5-nano\"`") else {
        return Vec::new();
    };
    let section = Section::free(reader, "[tiers]", item.at, table);
    let mut tiers = Vec::new();
    for entry in section.entries() {
        let Some(model) = entry.filled(reader, "\"provider:model\"") else { continue };
        if let Err(Problem { at, message, expected }) = check_model(model.at, model.value) {
            reader.problem(at, message, expected);
        }
        tiers.push((entry.key.to_owned(), model.value.to_owned()));
    }
    tiers
}
