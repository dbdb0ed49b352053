//! `[budget]`: what callers may spend, and where it is kept.

use std::time::Duration;

use executus_budget_redis::{Allowance, Away, Config as RedisConfig, Namespace};
use executus_core::port::Amounts;
use executus_core::port::budget::{Limit, Window};
use serde::Deserialize;

use crate::amounts::{self, Named};

/// Where budgets are kept, and the limits of those callers that have none of their own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct BudgetConfig {
    /// `None` for the memory of the process.
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) limits: Vec<Limit>,
}

impl BudgetConfig {
    /// Whether money is limited: then models need prices.
    pub(crate) fn limits_cost(&self) -> bool {
        self.limits.iter().any(|limit| limit.amounts.cost_micros < Amounts::MAX)
    }
}

/// The table as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    store: Store,
    namespace: Option<NamespaceText>,
    limit: Vec<LimitTable>,
    allowance: Option<AmountsTable>,
    seed_if_empty: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
enum Store {
    #[default]
    Memory,
    Redis(Box<RedisConfig>),
}

impl TryFrom<String> for Store {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "memory" => Ok(Self::Memory),
            url if url.contains(':') => RedisConfig::new(url)
                .map(|config| Self::Redis(Box::new(config)))
                .map_err(|error| error.to_string()),
            _ => Err(format!(
                "`{text}` is no store: expected \"memory\", or an address such as \
                 \"redis://localhost:6379\""
            )),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct NamespaceText(Namespace);

impl TryFrom<String> for NamespaceText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Namespace::new(&text).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct WindowText(Window);

impl TryFrom<String> for WindowText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        amounts::window(&text).map(Self)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct DurationText(Duration);

impl TryFrom<String> for DurationText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        amounts::duration(&text).map(Self)
    }
}

/// Millionths of a dollar, written as dollars.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Dollars(u64);

impl TryFrom<f64> for Dollars {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        amounts::dollars(value).map(Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitTable {
    window: WindowText,
    tokens: Option<u64>,
    runtime: Option<DurationText>,
    cost: Option<Dollars>,
    runs: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountsTable {
    tokens: Option<u64>,
    runtime: Option<DurationText>,
    cost: Option<Dollars>,
    runs: Option<u64>,
}

const DIMENSIONS: &str = "`tokens`, `runtime`, `cost` or `runs`";

impl LimitTable {
    fn limit(&self) -> Result<Limit, String> {
        let Self { window: WindowText(window), tokens, runtime, cost, runs } = *self;
        let amounts = AmountsTable { tokens, runtime, cost, runs };
        let named = amounts.named("a [[budget.limit]]")?;
        Ok(named.limit(window))
    }
}

impl AmountsTable {
    fn named(&self, what: &str) -> Result<Named, String> {
        let named = Named {
            tokens: self.tokens,
            runtime: self.runtime.map(|DurationText(runtime)| runtime),
            cost_micros: self.cost.map(|Dollars(cost)| cost),
            runs: self.runs,
        };
        match named.is_empty() {
            true => Err(format!("{what} limits nothing: expected at least one of {DIMENSIONS}")),
            false => Ok(named),
        }
    }
}

impl TryFrom<Written> for BudgetConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let limits: Result<Vec<_>, _> = written.limit.iter().map(LimitTable::limit).collect();
        let limits = limits?;
        Limit::check(&limits).map_err(|error| error.to_string())?;
        let allowance = written.allowance.map(|table| table.named("[budget.allowance]"));
        let allowance = allowance.transpose()?.map(|named| named.over(Amounts::UNLIMITED));
        let Store::Redis(redis) = written.store else {
            let key = match (written.namespace, allowance, written.seed_if_empty) {
                (Some(_), ..) => "namespace",
                (_, Some(_), _) => "allowance",
                (_, _, true) => "seed_if_empty",
                (None, None, false) => return Ok(Self { redis: None, limits }),
            };
            return Err(format!(
                "`{key}` is for a budget on Redis: expected `store = \"redis://host:port\"` beside it"
            ));
        };
        let mut redis = *redis;
        redis.seed_if_empty = written.seed_if_empty;
        if let Some(NamespaceText(namespace)) = written.namespace {
            redis = redis.namespace(namespace);
        }
        if let Some(most) = allowance {
            let most = most.check().map_err(|error| error.to_string())?;
            redis = redis.away(Away::Allow(Allowance { most }));
        }
        Ok(Self { redis: Some(redis), limits })
    }
}
