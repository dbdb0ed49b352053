//! Which names a placeholder may bind where it stands, and what they are bound to in a run.

use std::borrow::Cow;
use std::collections::BTreeSet;

use executus_core::secret::Secrets;
use executus_core::text::REDACTED;
use serde_json::Value;

use crate::diagnostic::listed;
use crate::name::nearest;
use crate::reader::{Reader, Text};
use crate::template::Template;
use crate::value::value_text;

/// The names that can be bound at some place of a run file.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    meaning: &'static str,
    names: BTreeSet<String>,
}

impl Scope {
    pub(crate) fn new<'n>(meaning: &'static str, names: impl IntoIterator<Item = &'n str>) -> Self {
        Self { meaning, names: names.into_iter().map(str::to_owned).collect() }
    }

    /// Adds a name; `false` when it was there.
    pub(crate) fn add(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Reads a template and notes the first placeholder that cannot be bound here.
    pub(crate) fn template<'a>(&self, reader: &mut Reader<'a>, text: Text<'a>) -> Template {
        let (template, offsets) = Template::parse_located(text.value);
        // One mistake per text is enough, and finding a place costs a walk over the text.
        let unbound = template.names().zip(offsets).find(|(name, _)| !self.contains(name));
        if let Some((name, decoded)) = unbound
            && reader.cares_for(text.at)
        {
            let expected = match nearest(name, self.names.iter().map(String::as_str)) {
                Some(meant) => format!("{} such as `{meant}`", self.meaning),
                None => format!(
                    "{} (there are: {}), or `{{{{{name}}}}}` for the text itself",
                    self.meaning,
                    listed(self.names.iter().map(String::as_str)),
                ),
            };
            let message = format!("nothing binds `{{{name}}}` here");
            reader.bad_reference(text.offset(decoded), message, expected);
        }
        template
    }
}

/// What the names of a tool's templates are bound to in one call: its arguments, then the run's
/// inputs, then its sensitive parameters.
#[derive(Debug, Clone, Copy)]
pub struct Bindings<'a> {
    /// The arguments of the call, an object, with their secrets bound.
    pub args: &'a Value,
    /// The inputs of the run, an object: `RunSpec::inputs`.
    pub inputs: &'a Value,
    /// The sensitive parameters of the run.
    pub secrets: &'a Secrets,
}

impl<'a> Bindings<'a> {
    /// The value of a name, sensitive ones in clear: only for the effect itself.
    #[must_use]
    pub fn expose(&self, name: &str) -> Option<Cow<'a, str>> {
        self.public(name).or_else(|| self.secrets.get(name).map(|secret| secret.expose().into()))
    }

    /// The value of a name, sensitive parameters as `[redacted]`: for what people read.
    #[must_use]
    pub fn show(&self, name: &str) -> Option<Cow<'a, str>> {
        self.public(name).or_else(|| self.secrets.get(name).map(|_| REDACTED.into()))
    }

    fn public(&self, name: &str) -> Option<Cow<'a, str>> {
        self.args.get(name).or_else(|| self.inputs.get(name)).map(value_text)
    }
}
