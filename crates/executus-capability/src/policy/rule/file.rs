//! The form of a file of rules, read strictly.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::{Effect, Pattern, Rule, RulesError, is_foreign};
use crate::capability::{Safety, Sensitivity};
use crate::constraint::Constraints;
use crate::policy::Denial;
use crate::principal::PrincipalKind;

/// The largest file of rules, in bytes: 1 MiB.
pub const MAX_RULES_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<i64>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleDef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EffectDef {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleDef {
    name: Spanned<String>,
    effect: EffectDef,
    capability: Option<Spanned<Vec<Spanned<String>>>>,
    safety: Option<Spanned<Vec<Safety>>>,
    sensitivity: Option<Spanned<Vec<Sensitivity>>>,
    kind: Option<Spanned<Vec<PrincipalKind>>>,
    principal: Option<Spanned<Vec<String>>>,
    roles: Option<Spanned<Vec<String>>>,
    unless_roles: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    justification: Option<Spanned<i64>>,
    constraints: Option<Spanned<Map<String, Value>>>,
    code: Option<Spanned<String>>,
    message: Option<Spanned<String>>,
}

/// The rules of a file.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, RulesError> {
    if text.len() > MAX_RULES_BYTES {
        return Err(RulesError::at(text, 0, "the file is larger than 1 MiB", "at most 1 MiB"));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        RulesError::at(text, at, error.message(), "what the form of rules has there")
    })?;
    let place = Place { text };
    if *file.version.get_ref() != 1 {
        return Err(place.fault(&file.version, "this version is not known", "`version = 1`"));
    }
    let mut names = std::collections::BTreeSet::new();
    for rule in &file.rules {
        if rule.name.get_ref().trim().is_empty() || !names.insert(rule.name.get_ref().as_str()) {
            let expected = "a name of its own for each rule";
            return Err(place.fault(
                &rule.name,
                "the name is empty, or that of a rule before",
                expected,
            ));
        }
    }
    file.rules.into_iter().map(|rule| place.rule(rule)).collect()
}

/// Tells places in the text.
struct Place<'a> {
    text: &'a str,
}

impl Place<'_> {
    fn fault<T>(&self, at: &Spanned<T>, message: &str, expected: &str) -> RulesError {
        RulesError::at(self.text, at.span().start, message, expected)
    }

    fn rule(&self, def: RuleDef) -> Result<Rule, RulesError> {
        let effect = match def.effect {
            EffectDef::Deny => self.deny(&def)?,
            EffectDef::Allow => self.allow(&def)?,
        };
        let mut capability = Vec::new();
        for text in self.list(def.capability)? {
            let expected = "such as `tickets.close`, `tickets.*`, `tickets.**` or `**`";
            let pattern = Pattern::read(text.get_ref());
            capability.push(
                pattern.ok_or_else(|| {
                    self.fault(&text, "no capability's id can match this", expected)
                })?,
            );
        }
        Ok(Rule {
            name: def.name.into_inner(),
            effect,
            capability,
            safety: self.list(def.safety)?,
            sensitivity: self.list(def.sensitivity)?,
            kind: self.list(def.kind)?,
            principal: self.list(def.principal)?,
            roles: self.list(def.roles)?,
            unless_roles: self.list(def.unless_roles)?,
            attributes: def.attributes.into_iter().collect(),
        })
    }

    /// A list, which must say something when it is there.
    fn list<T>(&self, items: Option<Spanned<Vec<T>>>) -> Result<Vec<T>, RulesError> {
        match items {
            Some(items) if items.get_ref().is_empty() => {
                Err(self.fault(&items, "this list is empty", "at least one item, or no such key"))
            }
            Some(items) => Ok(items.into_inner()),
            None => Ok(Vec::new()),
        }
    }

    fn deny(&self, def: &RuleDef) -> Result<Effect, RulesError> {
        let of_allow = "it in a rule with `effect = \"allow\"`";
        if let Some(at) = &def.justification {
            return Err(self.fault(at, "`justification` has no meaning here", of_allow));
        }
        if let Some(at) = &def.constraints {
            return Err(self.fault(at, "`constraints` have no meaning here", of_allow));
        }
        let code = match &def.code {
            None => Denial::RULE_DENIED.into(),
            Some(code) => {
                let text = code.get_ref();
                let plain =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                if !(1..=64).contains(&text.len()) || !text.bytes().all(plain) {
                    let expected = "1 to 64 lower-case letters, digits and `_`";
                    return Err(self.fault(code, "this is no reason code", expected));
                }
                text.clone().into()
            }
        };
        let name = def.name.get_ref();
        let message = match &def.message {
            Some(message) => message.get_ref().clone(),
            None => format!("the rule `{name}` denies it"),
        };
        Ok(Effect::Deny(Denial { code, message: executus_core::text::bounded(message) }))
    }

    fn allow(&self, def: &RuleDef) -> Result<Effect, RulesError> {
        if let Some(key) = def.code.as_ref().or(def.message.as_ref()) {
            let of_deny = "it in a rule with `effect = \"deny\"`";
            return Err(self.fault(key, "this key has no meaning here", of_deny));
        }
        let justification = match &def.justification {
            None => 0,
            Some(found) => match usize::try_from(*found.get_ref()) {
                Ok(least @ 0..=10_000) => least,
                _ => {
                    let expected = "a number from 0 to 10000";
                    return Err(self.fault(found, "this is no number of characters", expected));
                }
            },
        };
        let constraints = match &def.constraints {
            None => Constraints::default(),
            Some(found) => {
                let fields = found.get_ref();
                if fields.values().any(is_foreign) {
                    let expected = "texts, finite numbers, booleans, lists and tables";
                    return Err(self.fault(found, "one of these is no value of JSON", expected));
                }
                let constraints = Constraints::new(fields.clone());
                constraints.check().map_err(|error| {
                    let message = format!("`{}` is {}", error.field, error.found);
                    self.fault(found, &message, error.expected)
                })?;
                constraints
            }
        };
        Ok(Effect::Allow { justification, constraints })
    }
}
