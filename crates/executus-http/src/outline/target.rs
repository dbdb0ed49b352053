//! The URL of one request.

use std::fmt::Write as _;
use std::ops::Range;

use executus_core::ToolError;
use executus_core::template::{Part, Template};
use executus_core::text::REDACTED;
use serde_json::{Map, Value};

use crate::error::HttpError;
use crate::outline::values::{Values, text, wrong};

/// Where in a URL something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Scheme,
    Authority,
    Path,
    Query,
}

fn position(url: &str) -> Position {
    match url.split_once("://") {
        None => Position::Scheme,
        Some((_, rest)) if rest.contains('?') => Position::Query,
        Some((_, rest)) if rest.contains('/') => Position::Path,
        Some(_) => Position::Authority,
    }
}

/// Why templates make no request.
#[derive(Debug)]
pub(crate) enum NoTarget {
    /// A value is not there, or cannot stand where it is put.
    Value(ToolError),
    /// An argument would choose the server.
    Open(String),
    /// With these values it is no request.
    Request(HttpError),
}

impl NoTarget {
    /// What is wrong, in words.
    pub(crate) fn said(self) -> String {
        match self {
            Self::Value(ToolError::Arguments { message }) => message,
            Self::Value(other) => other.to_string(),
            Self::Open(name) => format!("`{name}` cannot be passed: it chooses the server"),
            Self::Request(error) => error.to_string(),
        }
    }
}

impl From<HttpError> for NoTarget {
    fn from(error: HttpError) -> Self {
        Self::Request(error)
    }
}

impl From<ToolError> for NoTarget {
    fn from(error: ToolError) -> Self {
        Self::Value(error)
    }
}

/// A URL, and how it may be shown: without its query, and without secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) shown: String,
}

impl Target {
    /// Fills a template.
    ///
    /// A parameter of the run that the template begins with is a base address and stands as it is;
    /// every other value is percent-encoded. So no value can leave its segment of the path or its
    /// part of the query, and none can be a segment that leads elsewhere.
    pub(crate) fn fill(template: &Template, values: Values<'_>) -> Result<Self, NoTarget> {
        let mut target = Self { url: String::new(), shown: String::new() };
        let mut in_path: Vec<(Range<usize>, &str)> = Vec::new();
        for part in template.parts() {
            let name = match part {
                Part::Text(text) => {
                    target.push(text, text);
                    continue;
                }
                Part::Place(name) => name,
            };
            let held = values.get(name)?;
            let at = position(&target.url);
            if held.is_argument && matches!(at, Position::Scheme | Position::Authority) {
                return Err(NoTarget::Open(name.clone()));
            }
            let from = target.url.len();
            let put = match at {
                Position::Scheme if from == 0 => held.text.into_owned(),
                Position::Scheme | Position::Authority => host(name, &held.text)?.to_owned(),
                Position::Path => {
                    if leads_elsewhere(&held.text) {
                        return Err(elsewhere(name).into());
                    }
                    encoded(&held.text)
                }
                Position::Query => encoded(&held.text),
            };
            target.push(&put, if held.is_secret { REDACTED } else { &put });
            if at == Position::Path {
                in_path.push((from..target.url.len(), name));
            }
        }
        for (value, name) in in_path {
            let before = target.url[..value.start].rfind('/').map_or(0, |slash| slash + 1);
            let rest = &target.url[value.end..];
            let after = value.end + rest.find(['/', '?', '#']).unwrap_or(rest.len());
            if matches!(&target.url[before..after], "" | "." | "..") {
                return Err(elsewhere(name).into());
            }
        }
        let query = target.shown.find('?').unwrap_or(target.shown.len());
        target.shown.truncate(query);
        Ok(target)
    }

    fn push(&mut self, url: &str, shown: &str) {
        self.url.push_str(url);
        self.shown.push_str(shown);
    }

    /// With these values behind its query; a list repeats its name.
    pub(crate) fn and_query<'v>(
        mut self,
        more: impl Iterator<Item = (&'v str, &'v Value)>,
    ) -> Self {
        for (name, value) in more {
            let one = std::slice::from_ref(value);
            for value in value.as_array().map_or(one, Vec::as_slice) {
                let sign = match self.url.find('?') {
                    None => "?",
                    Some(_) if self.url.ends_with(['?', '&']) => "",
                    Some(_) => "&",
                };
                // Writing to a text cannot fail.
                let _ = write!(self.url, "{sign}{}={}", encoded(name), encoded(&text(value)));
            }
        }
        self
    }
}

/// The arguments that stand in none of the templates.
pub(crate) fn left(
    args: &Map<String, Value>,
    is_used: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&str, &Value)> {
    args.iter().map(|(name, value)| (name.as_str(), value)).filter(move |(name, _)| !is_used(name))
}

/// A value that names a host or a port; encoding means nothing there.
fn host<'t>(name: &str, text: &'t str) -> Result<&'t str, ToolError> {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if text.chars().all(fits) {
        Ok(text)
    } else {
        Err(wrong(format!("`{name}` has characters that no host or port has")))
    }
}

/// Whether a server that decodes before it looks at segments would find one that leads elsewhere.
fn leads_elsewhere(text: &str) -> bool {
    text.contains(['/', '\\']) && text.split(['/', '\\']).any(|part| matches!(part, "." | ".."))
}

fn elsewhere(name: &str) -> ToolError {
    wrong(format!("`{name}` is a part of the path and cannot be empty, `.` or `..`"))
}

/// A text percent-encoded: everything but the unreserved characters of RFC 3986.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use executus_core::secret::{Secret, Secrets};
    use serde_json::json;

    use super::*;
    use crate::outline::values::Bound;

    fn fill(template: &str, args: &Value) -> Result<Target, NoTarget> {
        let bound = BTreeMap::from([
            ("base".to_owned(), Bound::Text("http://h:80/api".to_owned())),
            ("host".to_owned(), Bound::Text("h:80".to_owned())),
            ("odd".to_owned(), Bound::Text("h/x@y".to_owned())),
            ("key".to_owned(), Bound::Secret(Secret::new("s3/cret"))),
        ]);
        let secrets: Secrets = [("pin".to_owned(), Secret::new("0815"))].into_iter().collect();
        let args = args.as_object().unwrap();
        Target::fill(&Template::parse(template), Values { args, bound: &bound, secrets: &secrets })
    }

    #[test]
    fn values_are_encoded_for_their_place() {
        let args = json!({"a": "x y/ü?&=#%", "n": 7, "l": ["a", 1], "dots": "..x", "pin": "0815"});
        for (template, url, shown) in [
            ("http://h/t/{n}", "http://h/t/7", "http://h/t/7"),
            ("{base}/t/{n}", "http://h:80/api/t/7", "http://h:80/api/t/7"),
            ("{base}{n}", "http://h:80/api7", "http://h:80/api7"),
            ("http://{host}/{host}", "http://h:80/h%3A80", "http://h:80/h%3A80"),
            (
                "http://h/{a}?q={a}&n={n}",
                "http://h/x%20y%2F%C3%BC%3F%26%3D%23%25?q=x%20y%2F%C3%BC%3F%26%3D%23%25&n=7",
                "http://h/x%20y%2F%C3%BC%3F%26%3D%23%25",
            ),
            ("http://h?q={n}", "http://h?q=7", "http://h"),
            ("http://h/{l}", "http://h/%5B%22a%22%2C1%5D", "http://h/%5B%22a%22%2C1%5D"),
            ("http://h/{dots}/", "http://h/..x/", "http://h/..x/"),
            ("http://h/bot{key}/x", "http://h/bots3%2Fcret/x", "http://h/bot[redacted]/x"),
            ("http://h/{pin}?{key}", "http://h/0815?s3%2Fcret", "http://h/[redacted]"),
        ] {
            let (url, shown) = (url.to_owned(), shown.to_owned());
            assert_eq!(fill(template, &args).unwrap(), Target { url, shown }, "{template}");
        }
    }

    #[test]
    fn no_value_leads_elsewhere() {
        for value in ["", ".", "..", "../x", "x/..", "a\\..\\b", "./x"] {
            let error = fill("http://h/t/{v}/x", &json!({"v": value}));
            assert!(matches!(error, Err(NoTarget::Value(ToolError::Arguments { .. }))), "{value}");
            // In a query it is a value like any other.
            assert!(fill("http://h/t?v={v}", &json!({"v": value})).is_ok());
        }
        assert!(fill("http://h/{a}{b}", &json!({"a": ".", "b": "."})).is_err());
        assert!(fill("http://h/.{a}?x", &json!({"a": "."})).is_err());
        assert!(fill("http://h/x{a}", &json!({"a": ".."})).is_ok());
        assert!(fill("http://h/x{a}", &json!({"a": ""})).is_ok());
    }

    #[test]
    fn no_argument_chooses_the_server() {
        for template in
            ["{v}", "{v}/x", "http://{v}/", "http://h{v}", "http://h:{v}/", "http{v}://h"]
        {
            let error = fill(template, &json!({"v": "x"}));
            assert!(matches!(error, Err(NoTarget::Open(name)) if name == "v"), "{template}");
        }
        assert!(matches!(fill("http://{odd}/", &json!({})), Err(NoTarget::Value(_))));
        assert!(matches!(fill("http://h/{none}", &json!({})), Err(NoTarget::Value(_))));
    }

    #[test]
    fn the_query_takes_what_is_left() {
        let args = json!({"a b": "x&y", "l": [1, "z"], "t": true});
        let args = args.as_object().unwrap();
        for (template, expected) in [
            ("http://h/", "http://h/?a%20b=x%26y&l=1&l=z"),
            ("http://h/?q=1", "http://h/?q=1&a%20b=x%26y&l=1&l=z"),
            ("http://h/?", "http://h/?a%20b=x%26y&l=1&l=z"),
        ] {
            let target = fill(template, &json!({})).unwrap();
            assert_eq!(target.and_query(left(args, |name| name == "t")).url, expected);
        }
    }
}
