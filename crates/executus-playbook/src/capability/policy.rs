//! Reading `[principal]` and `[policy]`.

use std::time::Duration;

use super::{PolicyDef, PrincipalDef};
use crate::reader::{Item, Reader, Section};

const PRINCIPAL_KEYS: [&str; 4] = ["id", "kind", "roles", "attributes"];
const POLICY_KEYS: [&str; 6] =
    ["rules", "justification", "budget_tokens", "invoke_timeout", "denial_ends_run", "search"];

/// Whole numbers up to it are the same everywhere.
const MOST_TOKENS: u64 = (1 << 53) - 1;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn read_principal<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> PrincipalDef {
    let Some(table) = item.table(reader, "a table such as `{ roles = [\"reader\"] }`") else {
        return PrincipalDef::default();
    };
    let section = Section::strict(reader, "[principal]", item.at, table, &PRINCIPAL_KEYS);
    let id = section.get("id").and_then(|item| one_line(reader, item, "a name"));
    let kinds = [("user", false), ("service", true)];
    let is_service = section.get("kind").and_then(|item| item.word(reader, &kinds));
    let roles = section.get("roles").map(|item| texts(reader, item, "roles such as [\"reader\"]"));
    let attributes = section.get("attributes").map(|item| read_attributes(reader, item));
    PrincipalDef {
        id,
        is_service: is_service.unwrap_or_default(),
        roles: roles.unwrap_or_default(),
        attributes: attributes.unwrap_or_default(),
    }
}

fn read_attributes<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<(String, String)> {
    let Some(table) = item.table(reader, "a table of texts such as `{ tenant = \"acme\" }`") else {
        return Vec::new();
    };
    let section = Section::free(reader, "attributes", item.at, table);
    let read = |entry: &Item<'a>| {
        let text = one_line(reader, entry, "a text")?;
        Some((entry.key.to_owned(), text))
    };
    section.entries().iter().filter_map(read).collect()
}

pub(super) fn read_policy<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    is_agent: bool,
) -> PolicyDef {
    let Some(table) = item.table(reader, "a table such as `{ search = true }`") else {
        return PolicyDef::default();
    };
    let section = Section::strict(reader, "[policy]", item.at, table, &POLICY_KEYS);
    let rules = section.get("rules").and_then(|item| one_line(reader, item, "a file of rules"));
    let why = section.get("justification").and_then(|item| item.filled(reader, "a text"));
    let budget_tokens = section.get("budget_tokens").and_then(|item| {
        let tokens: u64 = item.positive(reader)?;
        if tokens > MOST_TOKENS {
            let message = format!("`budget_tokens` is {tokens}");
            reader.problem(item.at, message, format!("at most {MOST_TOKENS}"));
        }
        Some(tokens)
    });
    let invoke_timeout = section.get("invoke_timeout").and_then(|item| {
        let timeout = item.duration(reader)?;
        if timeout > DAY {
            reader.problem(item.at, "`invoke_timeout` is more than a day", "at most \"24h\"");
        }
        Some(timeout)
    });
    let flag = |reader: &mut Reader<'a>, key| {
        section.get(key).and_then(|item| item.boolean(reader)).unwrap_or_default()
    };
    let denial_ends_run = flag(reader, "denial_ends_run");
    let search = flag(reader, "search");
    if let Some(item) = section.get("search").filter(|_| search && !is_agent) {
        let message = "`search` is for an agent, and this is a playbook";
        let expected = "no `search`: the steps name the capabilities that they perform";
        reader.problem(item.key_at, message, expected);
    }
    PolicyDef {
        rules,
        justification: why.map(|text| text.value.to_owned()).unwrap_or_default(),
        budget_tokens,
        invoke_timeout,
        denial_ends_run,
        search,
    }
}

/// A list of texts, each of one line.
pub(super) fn texts<'a>(reader: &mut Reader<'a>, item: &Item<'a>, expected: &str) -> Vec<String> {
    let expected = format!("an array of {expected}");
    let elements = item.array(reader, &expected).unwrap_or_default();
    elements.iter().filter_map(|element| one_line(reader, element, &expected)).collect()
}

/// A text that is not empty and has no control character.
pub(super) fn one_line<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    expected: &str,
) -> Option<String> {
    let text = item.filled(reader, expected)?;
    if let Some(decoded) = text.value.find(char::is_control) {
        let message = format!("`{}` holds a control character", item.key);
        reader.problem(text.offset(decoded), message, "a text of one line");
    }
    Some(text.value.to_owned())
}
