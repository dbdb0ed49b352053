//! How a server is reached, with the run's parameters in it.

use std::fmt::Write as _;

use executus_playbook::{Bindings, Bound, McpEndpoint, Part, Template};
use serde_json::Value;

/// How a server is reached. It has secrets in clear, and so no `Debug`.
#[derive(PartialEq, Eq)]
pub(super) enum Endpoint {
    Stdio { argv: Vec<String>, cwd: Option<String>, env: Vec<String> },
    Http { url: String, headers: Vec<(String, String)> },
}

impl Endpoint {
    /// Binds the templates.
    ///
    /// # Errors
    /// What cannot be bound, or makes no address.
    pub(super) fn bind(server: &McpEndpoint, bound: &Bound) -> Result<Self, String> {
        let values =
            Bindings { args: &Value::Null, inputs: &bound.inputs, secrets: &bound.secrets };
        let text = |template: &Template| {
            template.render(|name| values.expose(name)).map_err(|error| error.to_string())
        };
        match server {
            McpEndpoint::Stdio { argv, cwd, env } => Ok(Self::Stdio {
                argv: argv.iter().map(text).collect::<Result<_, _>>()?,
                cwd: cwd.as_ref().map(text).transpose()?,
                env: env.clone(),
            }),
            McpEndpoint::Http { url, headers } => {
                let header = |(name, value): &(String, Template)| Ok((name.clone(), text(value)?));
                Ok(Self::Http {
                    url: address(url, values)?,
                    headers: headers.iter().map(header).collect::<Result<_, String>>()?,
                })
            }
            _ => Err("this version has no such server".to_owned()),
        }
    }
}

/// An address. A value that it begins with is a base address and stands as it is, as one does that
/// names the host; every other one is percent-encoded.
fn address(url: &Template, values: Bindings<'_>) -> Result<String, String> {
    let mut address = String::new();
    for part in url.parts() {
        match part {
            Part::Text(text) => address.push_str(text),
            Part::Name(name) => {
                let value =
                    values.expose(name).ok_or_else(|| format!("`{{{name}}}` is not bound"))?;
                let behind = address.split_once("://").map(|(_, behind)| behind);
                match behind {
                    None if address.is_empty() => address.push_str(&value),
                    Some(behind) if behind.contains(['/', '?']) => encode(&mut address, &value),
                    _ => address.push_str(host(name, &value)?),
                }
            }
        }
    }
    Ok(address)
}

/// A value that names a host or a port; encoding means nothing there.
fn host<'v>(name: &str, value: &'v str) -> Result<&'v str, String> {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if value.chars().all(fits) {
        Ok(value)
    } else {
        Err(format!("`{name}` has characters that no host or port has"))
    }
}

fn encode(address: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use executus_core::secret::{Secret, Secrets};
    use serde_json::json;

    use super::*;

    fn bind(url: &str) -> Result<String, String> {
        let inputs =
            json!({"base": "http://h:80/api", "host": "h:80", "odd": "h/x@y", "n": "a b/ü"});
        let secrets: Secrets = [("key".to_owned(), Secret::new("s3cret"))].into_iter().collect();
        address(
            &Template::parse(url),
            Bindings { args: &Value::Null, inputs: &inputs, secrets: &secrets },
        )
    }

    #[test]
    fn values_are_encoded_for_their_place() {
        for (url, address) in [
            ("http://h/mcp", "http://h/mcp"),
            ("{base}/mcp", "http://h:80/api/mcp"),
            ("http://{host}/mcp", "http://h:80/mcp"),
            ("{base}/{n}", "http://h:80/api/a%20b%2F%C3%BC"),
            ("http://h/?q={n}", "http://h/?q=a%20b%2F%C3%BC"),
        ] {
            assert_eq!(bind(url).unwrap(), address, "{url}");
        }
        assert!(bind("http://{odd}/").unwrap_err().contains("`odd` has characters"));
        assert!(bind("http://h/{none}").unwrap_err().contains("`{none}` is not bound"));
    }
}
