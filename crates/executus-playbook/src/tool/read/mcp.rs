//! Reading a tool of a server of the Model Context Protocol.

use super::{Places, http, not_from_caller, process};
use crate::reader::{Item, Reader, Section, Text};
use crate::template::Template;
use crate::tool::{McpEndpoint, ToolKind};

/// The keys beside those of every kind.
pub(super) const KEYS: [&str; 6] = ["argv", "cwd", "env", "url", "headers", "tool"];

const REMOTE: &str = "the name that the server gives the tool";

/// What a server is reached by is the same in every call: nothing of it comes from a caller.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    places: &Places<'_>,
) -> Option<ToolKind> {
    let tool = section.get("tool").and_then(|item| {
        let text = item.filled(reader, REMOTE)?;
        if let Some(decoded) = text.value.find(char::is_control) {
            reader.problem(text.offset(decoded), "a control character in `tool`", REMOTE);
        }
        Some(text.value.to_owned())
    });
    let server = match (section.get("argv").copied(), section.get("url").copied()) {
        (Some(argv), None) => {
            misplaced(reader, section, &["headers"], "url");
            stdio(reader, section, &argv, places)
        }
        (None, Some(url)) => {
            misplaced(reader, section, &["cwd", "env"], "argv");
            over_http(reader, section, &url, places)
        }
        (Some(argv), Some(url)) => {
            let second = if argv.key_at < url.key_at { url } else { argv };
            let message = "a server has both `argv` and `url`";
            reader.problem(second.key_at, message, "exactly one of them");
            None
        }
        (None, None) => {
            // A misspelt key is told as such, at its own place.
            if !section.means("argv") && !section.means("url") {
                let message = "[[tool]] of kind \"mcp\" has neither `argv` nor `url`";
                let expected = "`argv` = [\"a-server\"] to start one, or `url` = \"https://…\"";
                reader.problem(section.at, message, expected);
            }
            None
        }
    };
    Some(ToolKind::Mcp { server: server?, tool })
}

/// Notes the first of these keys: it means something beside another alone.
fn misplaced<'a>(reader: &mut Reader<'a>, section: &Section<'a>, keys: &[&str], beside: &str) {
    for item in keys.iter().filter_map(|key| section.get(key)) {
        let message = format!("`{}` is for a server with `{beside}`", item.key);
        reader.problem(item.key_at, message, format!("it beside `{beside}`, or not at all"));
    }
}

fn stdio<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    argv: &Item<'a>,
    places: &Places<'_>,
) -> Option<McpEndpoint> {
    let argv = process::argv(reader, argv, |reader, text, _| {
        not_from_call(reader, text, places);
        process::no_nul(reader, text, places.run)
    });
    let cwd = section.get("cwd").and_then(|item| item.filled(reader, "a folder"));
    let cwd = cwd.map(|text| {
        not_from_call(reader, text, places);
        process::no_nul(reader, text, places.run)
    });
    let env = process::variables(reader, section);
    Some(McpEndpoint::Stdio { argv: argv?, cwd, env })
}

fn over_http<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    url: &Item<'a>,
    places: &Places<'_>,
) -> Option<McpEndpoint> {
    let url = http::address(reader, url).map(|text| {
        not_from_call(reader, text, places);
        let url = places.run.template(reader, text);
        not_sensitive(reader, text, &url, places);
        url
    });
    let headers = section.get("headers").map(|item| {
        http::read_headers(reader, item, |reader, text| {
            not_from_call(reader, text, places);
            places.run.template(reader, text)
        })
    });
    Some(McpEndpoint::Http { url: url?, headers: headers.unwrap_or_default() })
}

/// Notes a parameter of the tool: told here as what it is, and not as unknown.
fn not_from_call<'a>(reader: &mut Reader<'a>, text: Text<'a>, places: &Places<'_>) {
    let template = Template::parse(text.value);
    let names = template.names().count();
    not_from_caller(reader, text, &template, names, places.params, "the server");
}

/// Servers log addresses, and errors show them.
fn not_sensitive<'a>(reader: &mut Reader<'a>, text: Text<'a>, url: &Template, places: &Places<'_>) {
    let sensitive =
        |name: &str| places.run_params.iter().any(|param| param.sensitive && param.name == name);
    let offsets = Template::parse_located(text.value).1;
    let found = url.names().zip(offsets).find(|(name, _)| sensitive(name));
    if let Some((name, decoded)) = found {
        let message = format!("`url` would show the sensitive parameter `{name}`");
        let expected = "it in `headers`, which are not shown";
        reader.bad_reference(text.offset(decoded), message, expected);
    }
}
