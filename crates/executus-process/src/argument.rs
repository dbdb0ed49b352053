//! One element of an argument vector, with its places filled.

use std::borrow::Cow;

use executus_core::template::{Part, Template};

use crate::error::ProcessError;

/// The argument that a template becomes. A value is put in as it stands, so one argument stays one
/// argument whatever the value holds: spaces, quotes, `;`, `$(…)`, newlines, a leading `-`.
///
/// # Errors
/// What `value` answers, and [`ProcessError::Nul`] for text that no argument can hold.
pub(crate) fn bound<'a>(
    template: &'a Template,
    mut value: impl FnMut(&'a str) -> Result<Cow<'a, str>, ProcessError>,
) -> Result<String, ProcessError> {
    let without_nul = |text: &str, parameter: Option<&str>| match text.contains('\0') {
        true => Err(ProcessError::Nul { parameter: parameter.map(str::to_owned) }),
        false => Ok(()),
    };
    let bound = filled(template, |name| {
        let value = value(name)?;
        without_nul(&value, Some(name))?;
        Ok(value)
    })?;
    without_nul(&bound, None)?;
    Ok(bound)
}

/// The text that a template becomes, whatever it holds.
///
/// # Errors
/// What `value` answers.
pub(crate) fn filled<'a>(
    template: &'a Template,
    mut value: impl FnMut(&'a str) -> Result<Cow<'a, str>, ProcessError>,
) -> Result<String, ProcessError> {
    let mut filled = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Place(name) => filled.push_str(&value(name)?),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(source: &str, value: &str) -> String {
        bound(&Template::parse(source), |_| Ok(Cow::from(value.to_owned()))).unwrap()
    }

    #[test]
    fn places_are_filled_and_braces_kept() {
        for (source, value, expected) in [
            ("{n}", "7", "7"),
            ("--count={n}", "7", "--count=7"),
            ("{n}{n}", "7", "77"),
            ("{{n}}", "7", "{n}"),
            ("HEAD@{1}", "7", "HEAD@{1}"),
            ("{ n }", "7", "{ n }"),
            ("awk '{print $1}'", "7", "awk '{print $1}'"),
            ("a{", "7", "a{"),
            ("", "7", ""),
            ("{n}", "{n} {{", "{n} {{"),
            ("{n}", "", ""),
        ] {
            assert_eq!(with(source, value), expected, "{source}");
        }
    }

    #[test]
    fn parts_may_come_one_by_one() {
        let built = Template::new().text("--n=").place("n").text("{n}");
        assert_eq!(bound(&built, |_| Ok(Cow::from("7"))).unwrap(), "--n=7{n}");
    }

    #[test]
    fn nul_is_refused() {
        let source = Template::parse("{n}");
        let refused = bound(&source, |_| Ok(Cow::from("a\0b")));
        assert!(matches!(refused, Err(ProcessError::Nul { parameter: Some(_) })));
    }
}
