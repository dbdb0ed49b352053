//! The guards that a run file asks for.

use crate::reader::{Item, Reader, Section};

/// What `[guard]` of a run file says; what it does not name keeps its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardDef {
    /// Whether circles are looked for.
    pub stuck: Option<bool>,
    /// The numbers that the file names, by field: `stuck_window`, `max_urls`, …
    pub numbers: Vec<(&'static str, u64)>,
    /// The hosts that alone may be visited.
    pub allow: Option<Vec<String>>,
    /// The hosts that may not.
    pub block: Vec<String>,
    /// Whether private addresses may be visited.
    pub private: bool,
    /// Wordings that are refused too.
    pub destructive: Vec<String>,
    /// Wordings that are allowed too.
    pub harmless: Vec<String>,
    /// Whether results are filtered and have notices put before them; on.
    pub content: Option<bool>,
    /// Files beside the run file that no tool may write.
    pub protect: Vec<String>,
    /// Whether a stop ends the run.
    pub stop_ends_run: bool,
    /// Where in the calls of a tool addresses and wordings stand.
    pub roles: Vec<RoleDef>,
}

/// Where in the calls of a tool addresses and wordings stand, as JSON pointers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleDef {
    /// The tool.
    pub tool: String,
    /// Addresses, in the arguments.
    pub address: Vec<String>,
    /// Wordings, in the arguments.
    pub wording: Vec<String>,
    /// Where a call led, in the data of its result.
    pub leads_to: Vec<String>,
}

/// The numbers; their bounds are the guard's own.
const NUMBERS: [&str; 10] = [
    "max_errors",
    "max_urls",
    "stuck_repeat_hint",
    "stuck_repeat_warning",
    "stuck_repeat_stop",
    "stuck_window",
    "stuck_cycle_repeats",
    "stuck_failure_count",
    "stuck_failure_window",
    "stuck_revisit_gap",
];

const OTHERS: [&str; 10] = [
    "stuck",
    "allow",
    "block",
    "private",
    "destructive",
    "harmless",
    "content",
    "protect",
    "stop_ends_run",
    "roles",
];

const ROLE: [&str; 3] = ["address", "wording", "leads_to"];

impl GuardDef {
    pub(crate) fn read<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Self {
        let Some(table) = item.table(reader, "a table of guards") else { return Self::default() };
        let section = Section::free(reader, "[guard]", item.at, table);
        let known: Vec<_> = OTHERS.into_iter().chain(NUMBERS).collect();
        section.allow(reader, &known);
        let mut numbers = Vec::new();
        for name in NUMBERS {
            let number = section.get(name).and_then(|item| item.positive::<u64>(reader));
            numbers.extend(number.map(|number| (name, number)));
        }
        let mut texts = |key| section.get(key).map(|item| texts(reader, item));
        let allow = texts("allow");
        let [block, destructive, harmless, protect] =
            ["block", "destructive", "harmless", "protect"]
                .map(|key| texts(key).unwrap_or_default());
        let mut flag = |key| section.get(key).and_then(|item| item.boolean(reader));
        Self {
            stuck: flag("stuck"),
            private: flag("private").unwrap_or(false),
            content: flag("content"),
            stop_ends_run: flag("stop_ends_run").unwrap_or(false),
            numbers,
            allow,
            block,
            destructive,
            harmless,
            protect,
            roles: section.get("roles").map(|item| roles(reader, item)).unwrap_or_default(),
        }
    }
}

fn texts<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<String> {
    let elements = item.array(reader, "an array of texts").unwrap_or_default();
    let texts = elements.iter().filter_map(|item| item.filled(reader, "a text"));
    texts.map(|text| text.value.to_owned()).collect()
}

fn roles<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<RoleDef> {
    let expected = "tables by tool, such as [guard.roles.goto]";
    let Some(table) = item.table(reader, expected) else { return Vec::new() };
    let section = Section::free(reader, "[guard.roles]", item.at, table);
    let mut roles = Vec::new();
    for item in section.entries() {
        let Some(table) = item.table(reader, expected) else { continue };
        let title = format!("[guard.roles.{}]", item.key);
        let role = Section::strict(reader, title, item.at, table, &ROLE);
        let mut pointers = |key| role.get(key).map(|item| pointers(reader, item));
        roles.push(RoleDef {
            tool: item.key.to_owned(),
            address: pointers("address").unwrap_or_default(),
            wording: pointers("wording").unwrap_or_default(),
            leads_to: pointers("leads_to").unwrap_or_default(),
        });
    }
    roles
}

fn pointers<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<String> {
    const POINTERS: &str = "an array of places such as [\"/url\"]";
    let elements = item.array(reader, POINTERS).unwrap_or_default();
    let mut pointers = Vec::new();
    for element in elements {
        let Some(text) = element.filled(reader, POINTERS) else { continue };
        if !text.value.starts_with('/') {
            reader.problem(text.at, format!("`{}` is no place", text.value), POINTERS);
        }
        pointers.push(text.value.to_owned());
    }
    pointers
}
