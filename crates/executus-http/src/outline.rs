//! A request with places for values: what a tool and an endpoint of a driver are.

use std::collections::BTreeMap;
use std::fmt;

use executus_core::secret::{Secret, Secrets};
#[cfg(feature = "driver")]
use executus_core::template::Part;
use executus_core::template::Template;
use serde_json::{Map, Value};

use crate::method::Method;
use crate::request::Request;

pub(crate) mod redact;
pub(crate) mod target;
pub(crate) mod values;

use target::{NoTarget, Target, encoded, left};
use values::{Bound, Values};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request with places for values. `Debug` shows the names of its header fields.
#[derive(Clone)]
pub(crate) struct Outline {
    pub(crate) method: Method,
    pub(crate) url: Template,
    /// A later one of the same name wins.
    pub(crate) headers: Vec<(String, Field)>,
    /// Whether what stands in no place goes into the body, where the method has one.
    pub(crate) has_body: bool,
}

/// The value of a header field.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    Open(Template),
    Secret(Secret),
}

impl Outline {
    pub(crate) const fn new(method: Method, url: Template) -> Self {
        Self { method, url, headers: Vec::new(), has_body: true }
    }

    /// The request with these values, and how its address may be shown.
    pub(crate) fn fill(&self, values: Values<'_>, key: Option<&str>) -> Result<Request, NoTarget> {
        let mut target = Target::fill(&self.url, values)?;
        let left = || left(values.args, |name| self.places().any(|place| place == name));
        let in_query = matches!(self.method, Method::Get | Method::Delete);
        if in_query {
            target = target.and_query(left());
        }
        let mut request = Request::new(self.method, &target.url)?.shown_as(target.shown);
        if !in_query && self.has_body {
            let body = left().map(|(name, value)| (name.to_owned(), value.clone())).collect();
            request = request.json(&Value::Object(body));
        }
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key)?;
        }
        for (name, field) in &self.headers {
            request = match field {
                Field::Open(template) => {
                    let (value, secret) = values.fill(template)?;
                    request.field(name, &value, secret)
                }
                Field::Secret(secret) => request.secret_header(name, secret),
            }?;
        }
        Ok(request)
    }

    /// The names of the places of the URL and of the header fields.
    pub(crate) fn places(&self) -> impl Iterator<Item = &str> {
        let fields = self.headers.iter().filter_map(|(_, field)| match field {
            Field::Open(template) => Some(template),
            Field::Secret(_) => None,
        });
        std::iter::once(&self.url).chain(fields).flat_map(Template::names)
    }

    /// What is wrong with it, tried with a value for each of these names that does no harm.
    pub(crate) fn check<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        bound: &BTreeMap<String, Bound>,
    ) -> Result<(), Unusable> {
        let args: Map<_, _> = names.map(|name| (name.to_owned(), Value::from("x"))).collect();
        let secrets = Secrets::default();
        let values = Values { args: &args, bound, secrets: &secrets };
        let target = Target::fill(&self.url, values).map_err(Unusable::Url)?;
        if target.url.contains('#') {
            return Err(Unusable::Fragment);
        }
        Request::new(self.method, &target.url).map_err(|error| Unusable::Url(error.into()))?;
        self.fill(values, None).map(drop).map_err(Unusable::Header)
    }

    /// Its URL without the query and without user and password, places by their names.
    #[cfg(feature = "driver")]
    pub(crate) fn shown(&self) -> String {
        let url: String = self
            .url
            .parts()
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Place(name) => format!("{{{name}}}"),
            })
            .collect();
        let url = url.split(['?', '#']).next().unwrap_or_default();
        match url.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = authority.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => url.to_owned(),
        }
    }

    /// The secrets of its header fields.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.headers.iter().filter_map(|(_, field)| match field {
            Field::Secret(secret) => Some(secret),
            Field::Open(_) => None,
        })
    }
}

impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Outline")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// What no call could change.
#[derive(Debug)]
pub(crate) enum Unusable {
    Url(NoTarget),
    /// The URL has one, which is never sent.
    Fragment,
    Header(NoTarget),
}

/// A text that a header field can hold as a key.
pub(crate) fn key(key: &str) -> String {
    // A run's id may have characters that no header field can hold.
    if key.bytes().all(|byte| byte.is_ascii_graphic()) { key.to_owned() } else { encoded(key) }
}

/// Secrets as an answer may repeat them: as they are, in a URL, and in JSON.
pub(crate) fn forms<'s>(secrets: impl Iterator<Item = &'s Secret>) -> Secrets {
    let forms = secrets.flat_map(|secret| {
        let text = secret.expose();
        let quoted = Value::from(text).to_string();
        let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
        [text.to_owned(), encoded(text), inside]
    });
    // Each under a name of its own; the names are not looked at.
    forms.enumerate().map(|(at, form)| (at.to_string(), Secret::new(form))).collect()
}

/// The secrets among values that are bound.
pub(crate) fn bound_secrets(bound: &BTreeMap<String, Bound>) -> impl Iterator<Item = &Secret> {
    bound.values().filter_map(|bound| match bound {
        Bound::Secret(secret) => Some(secret),
        Bound::Text(_) => None,
    })
}
