//! Reading `[[tool]]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use executus_core::{ApprovalLimit, Effect};

use super::ToolDef;
use crate::extract::SUBMIT_FIELDS;
use crate::param::{Owner, ParamDef, read_params};
use crate::reader::{Item, Reader, Section, Text};
use crate::scope::Scope;
use crate::template::Template;

mod http;
mod mcp;
mod process;

const EFFECTS: [(&str, Effect); 3] =
    [("read_only", Effect::ReadOnly), ("idempotent", Effect::Idempotent), ("once", Effect::Once)];

/// The keys that every kind has.
const KEYS: [&str; 8] =
    ["name", "kind", "description", "effect", "timeout", "approval", "approval_timeout", "params"];

/// Tools that a host or a playbook adds itself.
const RESERVED: [&str; 5] =
    ["run_status", SUBMIT_FIELDS, "search_capabilities", "invoke_capability", "expand_handle"];

#[derive(Clone, Copy)]
enum Kind {
    Process,
    Http,
    Mcp,
}

/// What the places of a tool can be filled from.
struct Places<'p> {
    /// The parameters of the run and of the tool.
    all: &'p Scope,
    /// The parameters of the run.
    run: &'p Scope,
    run_params: &'p [ParamDef],
    /// The parameters of the tool.
    params: &'p [ParamDef],
}

/// Reads all `[[tool]]` tables, in file order.
pub(crate) fn read_tools<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    run_params: &[ParamDef],
) -> Vec<Arc<ToolDef>> {
    let mut tools = Vec::new();
    let mut names = BTreeSet::new();
    let run_names = || run_params.iter().map(|param| param.name.as_str());
    let mut scope = Scope::new("a parameter of the run or of this tool", run_names());
    let run = Scope::new("a parameter of the run", run_names());
    for element in item.array(reader, "`[[tool]]` tables").unwrap_or_default() {
        let Some((name, tool)) = read_tool(reader, &element, run_params, &run, &mut scope) else {
            continue;
        };
        if !names.insert(name.value) {
            let message = format!("a second tool is called `{}`", tool.name);
            reader.problem(name.at, message, "a name of its own for each tool");
        }
        tools.push(Arc::new(tool));
    }
    tools
}

fn read_tool<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    run_params: &[ParamDef],
    run: &Scope,
    scope: &mut Scope,
) -> Option<(Text<'a>, ToolDef)> {
    let table = item.table(reader, "a `[[tool]]` table")?;
    let section = Section::free(reader, "[[tool]]", item.at, table);
    let name = section.require(reader, "name", "\"a_name\"").copied();
    let name = name.and_then(|item| item.name(reader));
    if let Some(name) = name.filter(|name| RESERVED.contains(&name.value)) {
        reader.problem(name.at, format!("the name `{}` is reserved", name.value), "another name");
    }
    let kinds = [("process", Kind::Process), ("http", Kind::Http), ("mcp", Kind::Mcp)];
    let kind = section.require(reader, "kind", "\"process\", \"http\" or \"mcp\"").copied();
    let kind = kind.and_then(|item| item.word(reader, &kinds));
    if let Some(kind) = kind {
        let own: &[&str] = match kind {
            Kind::Process => &process::KEYS,
            Kind::Http => &http::KEYS,
            Kind::Mcp => &mcp::KEYS,
        };
        section.allow(reader, &[&KEYS, own].concat());
    }
    let description = section.get("description").and_then(|item| item.text(reader, "a text"));
    let effect = section.get("effect").and_then(|item| item.word(reader, &EFFECTS));
    let timeout = section.get("timeout").and_then(|item| item.duration(reader));
    let approval = read_approval(reader, &section);
    let params = section
        .get("params")
        .map(|item| read_params(reader, "[tool.params]", item, Owner::Tool))
        .unwrap_or_default();

    // A parameter of the tool may hide one of the run; the tool after this one sees neither.
    let own: Vec<_> = params.iter().filter(|param| scope.add(&param.name)).collect();
    let places = Places { all: scope, run, run_params, params: &params };
    let kind = kind.and_then(|kind| match kind {
        Kind::Process => process::read(reader, &section, &places),
        Kind::Http => http::read(reader, &section, &places),
        Kind::Mcp => mcp::read(reader, &section, &places),
    });
    own.iter().for_each(|param| scope.remove(&param.name));
    let name = name?;
    let tool = ToolDef {
        name: name.value.into(),
        description: description.map(|text| text.value.to_owned()).unwrap_or_default(),
        effect: effect.unwrap_or_default(),
        timeout,
        approval,
        params,
        kind: kind?,
    };
    Some((name, tool))
}

/// Reads whether somebody has to approve each call, of a tool or a capability.
pub(crate) fn read_approval<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
) -> Option<ApprovalLimit> {
    let words = [("required", true), ("none", false)];
    let is_required = section.get("approval").and_then(|item| item.word(reader, &words));
    let within = section.get("approval_timeout");
    if let Some(within) = within.filter(|_| is_required != Some(true)) {
        let message = "`approval_timeout` says nothing without an approval";
        reader.problem(within.key_at, message, "`approval = \"required\"` beside it");
    }
    let within = within.and_then(|item| item.duration(reader));
    let limit = within.map_or_else(ApprovalLimit::default, ApprovalLimit::new);
    is_required.filter(|is_required| *is_required).map(|_| limit)
}

/// Notes the first of so many placeholders that the caller of the tool, a model perhaps, would
/// choose.
fn not_from_caller<'a>(
    reader: &mut Reader<'a>,
    text: Text<'a>,
    template: &Template,
    first: usize,
    params: &[ParamDef],
    what: &str,
) {
    let offsets = Template::parse_located(text.value).1;
    let own = |name: &str| params.iter().any(|param| param.name == name);
    let mut names = template.names().zip(offsets).take(first);
    if let Some((name, decoded)) = names.find(|(name, _)| own(name)) {
        let message = format!("{what} cannot come from the tool's parameter `{name}`");
        let expected = "a fixed text or a parameter of the run here";
        reader.bad_reference(text.offset(decoded), message, expected);
    }
}
