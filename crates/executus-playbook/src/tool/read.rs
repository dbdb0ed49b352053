//! Reading `[[tool]]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use executus_core::Effect;

use super::{HttpMethod, ToolDef, ToolKind};
use crate::extract::SUBMIT_FIELDS;
use crate::name::is_environment_name;
use crate::param::{Owner, ParamDef, read_params};
use crate::reader::{Item, Reader, Section, Text};
use crate::scope::Scope;
use crate::template::{Part, Template};

const EFFECTS: [(&str, Effect); 3] =
    [("read_only", Effect::ReadOnly), ("idempotent", Effect::Idempotent), ("once", Effect::Once)];

const PROCESS_KEYS: [&str; 9] =
    ["name", "kind", "description", "effect", "timeout", "params", "argv", "cwd", "env"];
const HTTP_KEYS: [&str; 9] =
    ["name", "kind", "description", "effect", "timeout", "params", "method", "url", "headers"];

/// Tools that a host or a playbook adds itself.
const RESERVED: [&str; 5] =
    ["run_status", SUBMIT_FIELDS, "search_capabilities", "invoke_capability", "expand_handle"];

#[derive(Clone, Copy)]
enum Kind {
    Process,
    Http,
}

/// Reads all `[[tool]]` tables, in file order.
pub(crate) fn read_tools<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    run_params: &[ParamDef],
) -> Vec<Arc<ToolDef>> {
    let mut tools = Vec::new();
    let mut names = BTreeSet::new();
    let mut scope = Scope::new(
        "a parameter of the run or of this tool",
        run_params.iter().map(|param| param.name.as_str()),
    );
    for element in item.array(reader, "`[[tool]]` tables").unwrap_or_default() {
        let Some((name, tool)) = read_tool(reader, &element, &mut scope) else { continue };
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
    scope: &mut Scope,
) -> Option<(Text<'a>, ToolDef)> {
    let table = item.table(reader, "a `[[tool]]` table")?;
    let section = Section::free(reader, "[[tool]]", item.at, table);
    let name = section.require(reader, "name", "\"a_name\"").copied();
    let name = name.and_then(|item| item.name(reader));
    if let Some(name) = name.filter(|name| RESERVED.contains(&name.value)) {
        reader.problem(name.at, format!("the name `{}` is reserved", name.value), "another name");
    }
    let kinds = [("process", Kind::Process), ("http", Kind::Http)];
    let kind = section.require(reader, "kind", "\"process\" or \"http\"").copied();
    let kind = kind.and_then(|item| item.word(reader, &kinds));
    match kind {
        Some(Kind::Process) => section.allow(reader, &PROCESS_KEYS),
        Some(Kind::Http) => section.allow(reader, &HTTP_KEYS),
        None => {}
    }
    let description = section.get("description").and_then(|item| item.text(reader, "a text"));
    let effect = section.get("effect").and_then(|item| item.word(reader, &EFFECTS));
    let timeout = section.get("timeout").and_then(|item| item.duration(reader));
    let params = section
        .get("params")
        .map(|item| read_params(reader, "[tool.params]", item, Owner::Tool))
        .unwrap_or_default();

    // A parameter of the tool may hide one of the run; the tool after this one sees neither.
    let own: Vec<_> = params.iter().filter(|param| scope.add(&param.name)).collect();
    let kind = kind.and_then(|kind| match kind {
        Kind::Process => process(reader, &section, scope, &params),
        Kind::Http => http(reader, &section, scope, &params),
    });
    own.iter().for_each(|param| scope.remove(&param.name));
    let name = name?;
    let tool = ToolDef {
        name: name.value.into(),
        description: description.map(|text| text.value.to_owned()).unwrap_or_default(),
        effect: effect.unwrap_or_default(),
        timeout,
        params,
        kind: kind?,
    };
    Some((name, tool))
}

const ARGV: &str = "an array of texts such as [\"git\", \"log\"]";

fn process<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    scope: &Scope,
    params: &[ParamDef],
) -> Option<ToolKind> {
    let item = *section.require(reader, "argv", ARGV)?;
    let elements = item.array(reader, ARGV)?;
    if elements.is_empty() {
        reader.problem(item.at, "`argv` is empty", "a program and its arguments");
        return None;
    }
    let mut argv = Vec::new();
    for (position, element) in elements.iter().enumerate() {
        let Some(text) = element.text(reader, ARGV) else { continue };
        let template = no_nul(reader, text, scope);
        if position == 0 {
            if text.value.is_empty() {
                reader.problem(text.at, "the program's name is empty", "a program such as \"git\"");
            }
            let names = template.names().count();
            not_from_caller(reader, text, &template, names, params, "the program");
        }
        argv.push(template);
    }
    let cwd = section.get("cwd").and_then(|item| item.filled(reader, "a folder"));
    let cwd = cwd.map(|text| no_nul(reader, text, scope));
    let expected = "an array of names of environment variables such as [\"HOME\"]";
    let names = section.get("env").and_then(|item| item.array(reader, expected));
    let mut env = Vec::new();
    for element in names.unwrap_or_default() {
        let Some(text) = element.text(reader, expected) else { continue };
        if !is_environment_name(text.value) {
            let message = format!("`{}` is no name of an environment variable", text.value);
            reader.problem(text.at, message, expected);
        }
        env.push(text.value.to_owned());
    }
    Some(ToolKind::Process { argv, cwd, env })
}

fn http<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    scope: &Scope,
    params: &[ParamDef],
) -> Option<ToolKind> {
    let method = section.require(reader, "method", "\"GET\"").copied();
    let method = method.and_then(|item| item.word(reader, &HttpMethod::ALL));
    let url = section.require(reader, "url", "\"https://…\"").copied();
    let url = url.and_then(|item| {
        let expected = "an address that begins with http://, https:// or a parameter of the run";
        let text = item.filled(reader, expected)?;
        let template = scope.template(reader, text);
        if let Some(Part::Text(start)) = template.parts().first()
            && !(start.starts_with("http://") || start.starts_with("https://"))
        {
            reader.problem(text.at, "`url` is no HTTP address", expected);
        }
        not_from_caller(reader, text, &template, in_server(&template), params, "the server");
        Some(template)
    });
    let headers = section.get("headers").map(|item| read_headers(reader, item, scope));
    Some(ToolKind::Http { method: method?, url: url?, headers: headers.unwrap_or_default() })
}

fn read_headers<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    scope: &Scope,
) -> Vec<(String, Template)> {
    let expected = "a table of header fields such as `{ Accept = \"text/plain\" }`";
    let mut headers = Vec::new();
    let Some(table) = item.table(reader, expected) else { return headers };
    for entry in Section::free(reader, "headers", item.at, table).entries() {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if entry.key.is_empty() || !entry.key.bytes().all(token) {
            let message = format!("`{}` is no name of a header field", entry.key);
            reader.problem(entry.key_at, message, expected);
        }
        let Some(text) = entry.text(reader, "a text") else { continue };
        if let Some(decoded) = text.value.find(['\r', '\n', '\0']) {
            let message = "a header field cannot hold a line break";
            reader.problem(text.offset(decoded), message, "a text of one line");
        }
        headers.push((entry.key.to_owned(), scope.template(reader, text)));
    }
    headers
}

/// No argument of a process and no path can hold NUL.
fn no_nul<'a>(reader: &mut Reader<'a>, text: Text<'a>, scope: &Scope) -> Template {
    if let Some(decoded) = text.value.find('\0') {
        let message = "an argument of a process cannot hold the character NUL";
        reader.problem(text.offset(decoded), message, "a text without it");
    }
    scope.template(reader, text)
}

/// How many placeholders of an address stand before its path.
fn in_server(url: &Template) -> usize {
    let (mut names, mut seen) = (0, String::new());
    for part in url.parts() {
        match part {
            Part::Text(text) => seen.push_str(text),
            Part::Name(_) => {
                let server = seen.split_once("://").map_or(seen.as_str(), |(_, server)| server);
                if server.contains(['/', '?', '#']) {
                    break;
                }
                names += 1;
                // Whatever it is, it is not nothing.
                seen.push('x');
            }
        }
    }
    names
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
