//! Reading a tool that is a request over HTTP.

use super::{Places, not_from_caller};
use crate::reader::{Item, Reader, Section, Text};
use crate::template::{Part, Template};
use crate::tool::network::read_networks;
use crate::tool::{HttpMethod, ToolKind};

/// The keys beside those of every kind.
pub(super) const KEYS: [&str; 5] = ["method", "url", "headers", "follow_redirects", "allow"];

/// More hops than any site needs.
const MOST_REDIRECTS: u32 = 20;

const ADDRESS: &str = "an address that begins with http://, https:// or a parameter of the run";

pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    places: &Places<'_>,
) -> Option<ToolKind> {
    let method = section.require(reader, "method", "\"GET\"").copied();
    let method = method.and_then(|item| item.word(reader, &HttpMethod::ALL));
    let url = section.require(reader, "url", "\"https://…\"").copied();
    let url = url.and_then(|item| {
        let text = address(reader, &item)?;
        let template = places.all.template(reader, text);
        let first = in_server(&template);
        not_from_caller(reader, text, &template, first, places.params, "the server");
        Some(template)
    });
    let headers = section
        .get("headers")
        .map(|item| read_headers(reader, item, |reader, text| places.all.template(reader, text)));
    let redirects = section.get("follow_redirects");
    let redirects = redirects.and_then(|item| item.count(reader, MOST_REDIRECTS));
    let allow = section.get("allow").map(|item| read_networks(reader, item));
    Some(ToolKind::Http {
        method: method?,
        url: url?,
        headers: headers.unwrap_or_default(),
        follow_redirects: redirects.unwrap_or_default(),
        allow: allow.unwrap_or_default(),
    })
}

/// A text that begins as an address does.
pub(super) fn address<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<Text<'a>> {
    let text = item.filled(reader, ADDRESS)?;
    if let Some(Part::Text(start)) = Template::parse(text.value).parts().first()
        && !(start.starts_with("http://") || start.starts_with("https://"))
    {
        reader.problem(text.at, "`url` is no HTTP address", ADDRESS);
    }
    Some(text)
}

pub(super) fn read_headers<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    mut value: impl FnMut(&mut Reader<'a>, Text<'a>) -> Template,
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
        headers.push((entry.key.to_owned(), value(reader, text)));
    }
    headers
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
