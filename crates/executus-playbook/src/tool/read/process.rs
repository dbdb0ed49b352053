//! Reading a tool that is a child process.

use std::time::Duration;

use super::{Places, not_from_caller};
use crate::name::is_environment_name;
use crate::reader::{Item, Reader, Section, Text};
use crate::scope::Scope;
use crate::template::Template;
use crate::tool::ToolKind;

/// The keys beside those of every kind.
pub(super) const KEYS: [&str; 6] = ["argv", "cwd", "env", "stdin", "grace", "end_strays"];

/// A child that is asked to end has at most this long to do so.
const MOST_GRACE: Duration = Duration::from_secs(600);

const ARGV: &str = "an array of texts such as [\"git\", \"log\"]";
const ENV: &str = "an array of names of environment variables such as [\"HOME\"]";

pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    places: &Places<'_>,
) -> Option<ToolKind> {
    let item = *section.require(reader, "argv", ARGV)?;
    let argv = argv(reader, &item, |reader, text, is_program| {
        let template = no_nul(reader, text, places.all);
        if is_program {
            let names = template.names().count();
            not_from_caller(reader, text, &template, names, places.params, "the program");
        }
        template
    })?;
    let cwd = section.get("cwd").and_then(|item| item.filled(reader, "a folder"));
    let cwd = cwd.map(|text| no_nul(reader, text, places.all));
    let env = variables(reader, section);
    let stdin = section.get("stdin").and_then(|item| item.text(reader, "a text"));
    let stdin = stdin.map(|text| places.all.template(reader, text));
    let grace = section.get("grace").and_then(|item| {
        let grace = item.duration(reader)?;
        if grace > MOST_GRACE {
            let message = "`grace` is longer than ten minutes";
            reader.problem(item.at, message, "a duration of at most \"10m\"");
        }
        Some(grace)
    });
    let end_strays = section.get("end_strays").and_then(|item| item.boolean(reader));
    let end_strays = end_strays.unwrap_or_default();
    Some(ToolKind::Process { argv, cwd, env, stdin, grace, end_strays })
}

/// A program and its arguments, each as this reads it; the first is the program.
pub(super) fn argv<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    mut element: impl FnMut(&mut Reader<'a>, Text<'a>, bool) -> Template,
) -> Option<Vec<Template>> {
    let elements = item.array(reader, ARGV)?;
    if elements.is_empty() {
        reader.problem(item.at, "`argv` is empty", "a program and its arguments");
        return None;
    }
    let mut argv = Vec::new();
    for (position, item) in elements.iter().enumerate() {
        let Some(text) = item.text(reader, ARGV) else { continue };
        let template = element(reader, text, position == 0);
        if position == 0 && text.value.is_empty() {
            reader.problem(text.at, "the program's name is empty", "a program such as \"git\"");
        }
        argv.push(template);
    }
    Some(argv)
}

/// The names of `env`.
pub(super) fn variables<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<String> {
    let names = section.get("env").and_then(|item| item.array(reader, ENV));
    let mut env = Vec::new();
    for element in names.unwrap_or_default() {
        let Some(text) = element.text(reader, ENV) else { continue };
        if !is_environment_name(text.value) {
            let message = format!("`{}` is no name of an environment variable", text.value);
            reader.problem(text.at, message, ENV);
        }
        env.push(text.value.to_owned());
    }
    env
}

/// No argument of a process and no path can hold NUL.
pub(super) fn no_nul<'a>(reader: &mut Reader<'a>, text: Text<'a>, scope: &Scope) -> Template {
    if let Some(decoded) = text.value.find('\0') {
        let message = "an argument of a process cannot hold the character NUL";
        reader.problem(text.offset(decoded), message, "a text without it");
    }
    scope.template(reader, text)
}
