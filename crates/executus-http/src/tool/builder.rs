//! Making a tool.

use std::collections::BTreeMap;

use executus_core::secret::{Secret, Secrets};
use executus_core::{Template, ToolSpec};
use serde_json::{Map, Value};

use super::error::ToolBuildError;
use super::{HttpTool, LAST_WORD};
use crate::client::Client;
use crate::method::Method;
use crate::outline::target::NoTarget;
use crate::outline::values::Bound;
use crate::outline::{Field, Outline, Unusable, bound_secrets, forms};

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
                outline: Outline::new(Method::Get, Template::new()),
                bound: BTreeMap::new(),
                secrets: Secrets::default(),
                max_body: MAX_BODY,
                redirects: 0,
            },
        }
    }

    /// The method; `GET` without this.
    #[must_use]
    pub const fn method(mut self, method: Method) -> Self {
        self.tool.outline.method = method;
        self
    }

    /// The URL. A parameter of the run that it begins with is a base address and stands as it is;
    /// every other value is percent-encoded.
    #[must_use]
    pub fn url(mut self, url: Template) -> Self {
        self.tool.outline.url = url;
        self
    }

    /// A header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Template) -> Self {
        self.tool.outline.headers.push((name.into(), Field::Open(value)));
        self
    }

    /// A header field with a sensitive value.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.tool.outline.headers.push((name.into(), Field::Secret(value)));
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

    /// How many redirects are followed, one after the other; none without this. What is secret stays
    /// with the server that the URL names, and each hop goes where the client lets it.
    #[must_use]
    pub const fn follow_redirects(mut self, most: u32) -> Self {
        self.tool.redirects = most;
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
        for place in tool.outline.places() {
            if !declared.contains_key(place) && !tool.bound.contains_key(place) {
                return Err(ToolBuildError::Unbound { tool: name(), name: place.to_owned() });
            }
        }
        tool.outline.check(declared.keys().map(String::as_str), &tool.bound).map_err(|what| {
            let tool = name();
            match what {
                Unusable::Url(NoTarget::Open(name)) => ToolBuildError::OpenAddress { tool, name },
                Unusable::Url(error) => ToolBuildError::Url { tool, message: error.said() },
                Unusable::Fragment => {
                    let message = "the URL has a `#`; what follows it is never sent".to_owned();
                    ToolBuildError::Url { tool, message }
                }
                Unusable::Header(error) => ToolBuildError::Header { tool, message: error.said() },
            }
        })?;
        let is_placed = |name: &str| tool.outline.places().any(|place| place == name);
        // Parameters that neither the URL nor a header field takes go into the body.
        let has_body = declared.keys().any(|name| !is_placed(name));
        tool.outline.has_body = has_body;
        tool.secrets = forms(bound_secrets(&tool.bound).chain(tool.outline.secrets()));
        // The tool ends its request itself; the executor's limit stands behind it.
        tool.spec.timeout = tool.timeout.map(|limit| limit.saturating_add(LAST_WORD));
        Ok(tool)
    }
}
