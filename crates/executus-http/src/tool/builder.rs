//! Making a tool.

use std::collections::BTreeMap;

use executus_core::secret::{Secret, Secrets};
use executus_core::{Template, ToolError, ToolSpec};
use serde_json::{Map, Value};

use super::error::ToolBuildError;
use super::target::{NoTarget, Target, encoded};
use super::values::{Bound, Values};
use super::{Field, HttpTool, LAST_WORD};
use crate::client::Client;
use crate::method::Method;
use crate::request::Request;

const MAX_BODY: usize = 256 * 1024;

/// Collects what an [`HttpTool`] needs.
#[derive(Debug)]
pub struct HttpToolBuilder {
    tool: HttpTool,
}

impl HttpToolBuilder {
    pub(super) fn new(spec: ToolSpec, client: Client) -> Self {
        Self {
            tool: HttpTool {
                timeout: spec.timeout,
                spec,
                client,
                method: Method::Get,
                url: Template::new(),
                headers: Vec::new(),
                bound: BTreeMap::new(),
                secrets: Secrets::default(),
                max_body: MAX_BODY,
                has_body: false,
            },
        }
    }

    /// The method; `GET` without this.
    #[must_use]
    pub const fn method(mut self, method: Method) -> Self {
        self.tool.method = method;
        self
    }

    /// The URL. A parameter of the run that it begins with is a base address and stands as it is;
    /// every other value is percent-encoded.
    #[must_use]
    pub fn url(mut self, url: Template) -> Self {
        self.tool.url = url;
        self
    }

    /// A header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Template) -> Self {
        self.tool.headers.push((name.into(), Field::Open(value)));
        self
    }

    /// A header field with a sensitive value.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.headers.push((name.into(), Field::Secret(value)));
        self
    }

    /// A parameter of the run: bound in every call, and not for the call to set.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tool.bound.insert(name.into(), Bound::Text(value.into()));
        self
    }

    /// A sensitive parameter of the run.
    #[must_use]
    pub fn bind_secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.bound.insert(name.into(), Bound::Secret(value));
        self
    }

    /// The most bytes of a body that are read; 256 KiB without this.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.tool.max_body = bytes;
        self
    }

    /// The tool.
    ///
    /// # Errors
    /// [`ToolBuildError`] when a place can never be filled, when the call could choose the server,
    /// or when the run's values make no URL or header field.
    pub fn build(self) -> Result<HttpTool, ToolBuildError> {
        let mut tool = self.tool;
        let name = || tool.spec.name.to_string();
        let none = Map::new();
        let declared =
            tool.spec.parameters.get("properties").and_then(Value::as_object).unwrap_or(&none);
        for place in tool.places() {
            if !declared.contains_key(place) && !tool.bound.contains_key(place) {
                return Err(ToolBuildError::Unbound { tool: name(), name: place.to_owned() });
            }
        }
        // A call whose every argument is harmless shows what is wrong with the rest.
        let harmless: Map<_, _> =
            declared.keys().map(|place| (place.clone(), Value::from("x"))).collect();
        let secrets = Secrets::default();
        let values = Values { args: &harmless, bound: &tool.bound, secrets: &secrets };
        let url = |message: String| ToolBuildError::Url { tool: name(), message };
        match Target::fill(&tool.url, values) {
            Ok(target) if target.url.contains('#') => {
                return Err(url("the URL has a `#`; what follows it is never sent".to_owned()));
            }
            Ok(target) => {
                let request = Request::new(tool.method, &target.url);
                request.map_err(|error| url(error.to_string()))?;
            }
            Err(NoTarget::Open(place)) => {
                return Err(ToolBuildError::OpenAddress { tool: name(), name: place });
            }
            Err(NoTarget::Value(error)) => return Err(url(said(error))),
        }
        if let Err(NoTarget::Value(error)) = tool.request(&harmless, &secrets, None) {
            return Err(ToolBuildError::Header { tool: name(), message: said(error) });
        }
        let is_placed = |name: &str| tool.places().any(|place| place == name);
        tool.has_body = declared.keys().any(|name| !is_placed(name));
        tool.secrets = forms(&tool);
        // The tool ends its request itself; the executor's limit stands behind it.
        tool.spec.timeout = tool.timeout.map(|limit| limit.saturating_add(LAST_WORD));
        Ok(tool)
    }
}

/// What is wrong with a value, where nobody has passed an argument yet.
fn said(error: ToolError) -> String {
    match error {
        ToolError::Arguments { message } => message,
        other => other.to_string(),
    }
}

/// The secrets of a tool, as an answer may repeat them: as they are, in a URL, and in JSON.
fn forms(tool: &HttpTool) -> Secrets {
    let bound = tool.bound.values().filter_map(|bound| match bound {
        Bound::Secret(secret) => Some(secret),
        Bound::Text(_) => None,
    });
    let fields = tool.headers.iter().filter_map(|(_, field)| match field {
        Field::Secret(secret) => Some(secret),
        Field::Open(_) => None,
    });
    let forms = bound.chain(fields).flat_map(|secret| {
        let text = secret.expose();
        let quoted = Value::from(text).to_string();
        let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
        [text.to_owned(), encoded(text), inside]
    });
    // Each under a name of its own; the names are not looked at.
    forms.enumerate().map(|(at, form)| (at.to_string(), Secret::new(form))).collect()
}
