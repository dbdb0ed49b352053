//! What a server lists, as what a run is offered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use executus_core::text::bounded_to;
use executus_core::{Effect, ToolSpec};
use executus_process::strip_escapes;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::Value;

use crate::config::McpLimits;
use crate::error::McpError;

/// The longest name that every provider of models takes.
const NAME_BYTES: usize = 64;
/// A description goes into every turn of a run.
const DESCRIPTION_BYTES: usize = 4 * 1024;
const SCHEMA_BYTES: usize = 64 * 1024;
/// The tool ends its call itself; the executor's limit stands this far behind it.
const BEHIND: Duration = Duration::from_secs(1);

/// What of a server's tools is offered, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offer {
    pub(crate) prefix: String,
    pub(crate) only: Option<BTreeSet<String>>,
    pub(crate) effects: BTreeMap<String, Effect>,
    pub(crate) trust: bool,
}

/// One tool of a server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    /// What the server calls it.
    pub(crate) tool: Arc<str>,
    /// What a run is offered.
    pub(crate) spec: Arc<ToolSpec>,
    /// How long a call may take.
    pub(crate) limit: Duration,
}

impl Definition {
    pub(crate) fn new(tool: Arc<str>, mut spec: ToolSpec, limit: Duration) -> Self {
        spec.timeout = Some(limit.saturating_add(BEHIND));
        Self { tool, spec: Arc::new(spec), limit }
    }
}

impl Offer {
    /// The tools that are offered, by name.
    pub(crate) fn of(
        &self,
        server: &str,
        listed: Vec<Tool>,
        limits: &McpLimits,
    ) -> Result<Arc<[Definition]>, McpError> {
        let names: BTreeSet<&str> = listed.iter().map(|tool| &*tool.name).collect();
        let named = self.only.iter().flatten().chain(self.effects.keys());
        if let Some(missing) = named.into_iter().find(|name| !names.contains(name.as_str())) {
            let known = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(McpError::NoTool {
                server: server.to_owned(),
                tool: missing.clone(),
                known: bounded_to(known, DESCRIPTION_BYTES),
            });
        }
        let mut offered = BTreeMap::<Arc<str>, Definition>::new();
        for tool in listed {
            if self.only.as_ref().is_some_and(|only| !only.contains(&*tool.name)) {
                continue;
            }
            let Some(definition) = self.definition(server, &tool, limits) else { continue };
            let name = Arc::clone(&definition.spec.name);
            if let Some(first) = offered.insert(Arc::clone(&name), definition) {
                return Err(McpError::Names {
                    server: server.to_owned(),
                    first: first.tool.to_string(),
                    second: tool.name.into_owned(),
                    name: name.to_string(),
                });
            }
        }
        Ok(offered.into_values().collect())
    }

    fn definition(&self, server: &str, tool: &Tool, limits: &McpLimits) -> Option<Definition> {
        let mut schema = (*tool.input_schema).clone();
        // Of no use to a model, and some providers refuse it.
        schema.remove("$schema");
        let schema = Value::Object(schema);
        let bytes = serde_json::to_vec(&schema).map_or(usize::MAX, |text| text.len());
        if bytes > SCHEMA_BYTES {
            tracing::warn!(server, tool = %tool.name, bytes, "tool left out: its schema is too large");
            return None;
        }
        let said = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
        let said = bounded_to(strip_escapes(said).into_owned(), DESCRIPTION_BYTES);
        let spec = ToolSpec::new(self.name(&tool.name), said)
            .parameters(schema)
            .effect(self.effect(&tool.name, tool.annotations.as_ref()));
        Some(Definition::new((&*tool.name).into(), spec, limits.call))
    }

    /// With the prefix, and with `_` for every character that a provider would refuse.
    fn name(&self, tool: &str) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name = self.prefix.chars().chain(tool.chars());
        name.map(|c| if fits(c) { c } else { '_' }).take(NAME_BYTES).collect()
    }

    /// The host's word goes before the server's, which counts only where the host says so.
    fn effect(&self, tool: &str, hints: Option<&ToolAnnotations>) -> Effect {
        if let Some(effect) = self.effects.get(tool) {
            return *effect;
        }
        match hints.filter(|_| self.trust) {
            Some(hints) if hints.read_only_hint == Some(true) => Effect::ReadOnly,
            Some(hints) if hints.idempotent_hint == Some(true) => Effect::Idempotent,
            Some(_) | None => Effect::Once,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(tools: Value) -> Vec<Tool> {
        serde_json::from_value(tools).unwrap()
    }

    fn offer() -> Offer {
        Offer { prefix: "s_".to_owned(), ..Offer::default() }
    }

    #[test]
    fn hints_count_only_where_the_host_says_so() {
        let tools = json!([
            {"name": "read", "inputSchema": {}, "annotations": {"readOnlyHint": true}},
            {"name": "set", "inputSchema": {}, "annotations": {"idempotentHint": true}},
            {"name": "add", "inputSchema": {}, "annotations": {"destructiveHint": false}},
            {"name": "bare", "inputSchema": {}},
        ]);
        let effects = |offer: &Offer| {
            let all = offer.of("s", listed(tools.clone()), &McpLimits::default()).unwrap();
            all.iter().map(|one| (one.tool.to_string(), one.spec.effect)).collect::<Vec<_>>()
        };
        assert!(effects(&offer()).iter().all(|(_, effect)| *effect == Effect::Once));
        let trusting = Offer { trust: true, ..offer() };
        let own = [("read".to_owned(), Effect::Once)].into();
        for (offer, read) in [
            (trusting.clone(), Effect::ReadOnly),
            (Offer { effects: own, ..trusting }, Effect::Once),
        ] {
            let expected = [
                ("add", Effect::Once),
                ("bare", Effect::Once),
                ("read", read),
                ("set", Effect::Idempotent),
            ];
            assert_eq!(effects(&offer), expected.map(|(name, effect)| (name.to_owned(), effect)));
        }
    }

    #[test]
    fn names_are_what_providers_take_and_differ() {
        let tools = json!([{"name": "a.b", "inputSchema": {"type": "object", "$schema": "x"}}]);
        let all = offer().of("s", listed(tools), &McpLimits::default()).unwrap();
        assert_eq!(&*all[0].spec.name, "s_a_b");
        assert_eq!(*all[0].spec.parameters, json!({"type": "object"}));
        let tools = json!([{"name": "a.b", "inputSchema": {}}, {"name": "a/b", "inputSchema": {}}]);
        let error = offer().of("s", listed(tools), &McpLimits::default()).unwrap_err();
        assert!(error.to_string().contains("`a.b` and `a/b`"), "{error}");
    }

    #[test]
    fn what_the_host_named_must_be_there() {
        let tools = || listed(json!([{"name": "a", "inputSchema": {}}]));
        for offer in [
            Offer { only: Some(["b".to_owned()].into()), ..offer() },
            Offer { effects: [("b".to_owned(), Effect::Once)].into(), ..offer() },
        ] {
            let error = offer.of("s", tools(), &McpLimits::default()).unwrap_err();
            assert_eq!(error.to_string(), "server `s` has no tool `b`; it has: a");
        }
    }

    #[test]
    fn what_is_too_long_for_every_turn_is_cut_or_left_out() {
        let tools = json!([
            {"name": "a", "inputSchema": {}, "description": "d\u{1b}".repeat(5000)},
            {"name": "b", "inputSchema": {"title": "x".repeat(SCHEMA_BYTES)}},
        ]);
        let all = offer().of("s", listed(tools), &McpLimits::default()).unwrap();
        assert_eq!(all.len(), 1);
        assert!(all[0].spec.description.len() < DESCRIPTION_BYTES + 64);
        assert!(!all[0].spec.description.contains('\u{1b}'));
    }
}
