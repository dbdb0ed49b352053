//! Steps of a playbook: what may be told of them.

use executus_core::text::{REDACTED, scrub};
use serde_json::{Map, Value, json};

use crate::cut::short;

const RESULT: usize = 240;
const URL: usize = 120;
const NAMES: usize = 100;

/// One step of a playbook as it was performed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlaybookStep {
    /// Its place, from 0.
    pub index: u32,
    /// What it does: `click`, `type`, `api`, …
    pub action: String,
    /// The page.
    pub url: Option<String>,
    /// The element.
    pub selector: Option<String>,
    /// What is typed. It is never written.
    pub text: Option<String>,
    /// The request that it makes.
    pub api: Option<ApiCall>,
    /// What came of it.
    pub result: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// A request. Of its fields only the names are written, of its URL nothing behind the path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApiCall {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Header fields.
    pub headers: Map<String, Value>,
    /// Cookies.
    pub cookies: Map<String, Value>,
    /// Fields of the query, beside those in the URL.
    pub query: Map<String, Value>,
    /// Fields of the form.
    pub form: Map<String, Value>,
}

impl PlaybookStep {
    /// The step that a call of a tool is.
    pub(crate) fn of_call(index: u32, tool: &str, args: &Value) -> Self {
        let text = |name: &str| args.get(name).and_then(Value::as_str).map(str::to_owned);
        let map = |name: &str| args.get(name).and_then(Value::as_object).cloned();
        let api = text("method").zip(text("url")).map(|(method, url)| ApiCall {
            method,
            url,
            headers: map("headers").unwrap_or_default(),
            cookies: map("cookies").unwrap_or_default(),
            query: map("query").unwrap_or_default(),
            form: map("form").or_else(|| map("body")).unwrap_or_default(),
        });
        Self {
            index,
            action: text("action").or_else(|| text("operation")).unwrap_or_else(|| tool.into()),
            url: text("url").filter(|_| api.is_none()),
            selector: text("selector"),
            text: text("text").or_else(|| text("value")).or_else(|| text("credential")),
            api,
            ..Self::default()
        }
    }

    /// What is written of what it was asked to do.
    pub(crate) fn input(&self) -> Value {
        let mut input = Map::new();
        input.insert("action".into(), scrub(&self.action).into());
        if let Some(url) = &self.url {
            input.insert("url".into(), short(&scrub(url), URL).into());
        }
        if let Some(selector) = &self.selector {
            input.insert("selector".into(), short(&scrub(selector), URL).into());
        }
        if self.text.is_some() {
            input.insert("text".into(), REDACTED.into());
        }
        if let Some(api) = &self.api {
            input.insert("api".into(), api.shown());
        }
        Value::Object(input)
    }

    /// The step in one line.
    pub(crate) fn summary(&self) -> String {
        let mut parts = vec![short(&scrub(&self.action), 30)];
        parts.extend(self.url.as_ref().map(|url| short(&scrub(url), 80)));
        parts.extend(self.selector.as_ref().map(|selector| short(&scrub(selector), 50)));
        parts.extend(self.text.as_ref().map(|_| REDACTED.to_owned()));
        parts.extend(
            self.api.as_ref().map(|api| format!("{} {}", api.verb(), short(&api.place(), 80))),
        );
        parts.join(" ")
    }

    pub(crate) fn told(text: &str) -> String {
        short(&scrub(text), RESULT)
    }
}

impl ApiCall {
    fn verb(&self) -> String {
        short(&scrub(&self.method), 10)
    }

    /// The URL without user, query and fragment.
    fn place(&self) -> String {
        let bare = self.url.split(['?', '#']).next().unwrap_or_default();
        let bare = match bare.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = host.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => bare.to_owned(),
        };
        short(&scrub(&bare), URL)
    }

    fn shown(&self) -> Value {
        let names = |fields: &Map<String, Value>| -> Vec<String> {
            fields.keys().take(NAMES).map(|name| short(name, 80)).collect()
        };
        let mut query: Vec<String> = self
            .url
            .split_once('?')
            .map_or("", |(_, query)| query.split('#').next().unwrap_or_default())
            .split('&')
            .filter_map(|pair| pair.split('=').next().filter(|name| !name.is_empty()))
            .take(NAMES)
            .map(|name| short(name, 80))
            .collect();
        query.extend(names(&self.query));
        json!({
            "method": self.verb(), "url": self.place(), "headers": names(&self.headers),
            "cookies": names(&self.cookies), "query": query, "form": names(&self.form),
        })
    }
}
