//! What tokens cost.

use std::collections::BTreeMap;

use executus_core::Usage;

use crate::name::{ModelName, Provider};

/// The prices of one model, in millionths of a US dollar per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Tokens read.
    pub input: u64,
    /// Tokens read from a cache.
    pub cached: u64,
    /// Tokens written and thought.
    pub output: u64,
}

impl Price {
    /// What a call cost, in millionths of a US dollar, rounded up.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached),
            (usage.output_tokens.saturating_add(usage.thinking_tokens), self.output),
        ];
        let sum: u128 =
            parts.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price)).sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// Prices by model name.
///
/// Those of [`listed`](Self::listed) are the public list prices for text on the day
/// [`LISTED_ON`](Self::LISTED_ON): without discounts, tiers for long prompts, batches or surcharges
/// for writing to a cache. A host that pays otherwise gives its own. Ollama costs nothing unless the
/// host says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    /// The host's own.
    own: BTreeMap<String, Price>,
    listed: BTreeMap<String, Price>,
}

impl Prices {
    /// The day of the listed prices.
    pub const LISTED_ON: &'static str = "2025-10-01";

    /// No prices at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The list prices.
    #[must_use]
    pub fn listed() -> Self {
        let entry = |(name, input, cached, output): &(&str, f64, f64, f64)| {
            (
                (*name).to_owned(),
                Price { input: micros(*input), cached: micros(*cached), output: micros(*output) },
            )
        };
        Self { own: BTreeMap::new(), listed: LISTED.iter().map(entry).collect() }
    }

    /// With the price of one model more, `provider:model`; it goes before the listed ones.
    #[must_use]
    pub fn with(mut self, name: &str, price: Price) -> Self {
        self.own.insert(name.to_owned(), price);
        self
    }

    /// The price of a model: under its own name, or that of a version of it, which ends with a date
    /// or `latest`.
    #[must_use]
    pub fn get(&self, name: &ModelName) -> Option<Price> {
        self.find(name.provider(), &[name.model()])
    }

    /// What a call of this model cost, served by that one, in the provider's name for it. A price
    /// of the host's own for either goes before the listed ones; of the two models, the one that
    /// served goes first. `None` when neither has a price.
    #[must_use]
    pub fn cost(&self, name: &ModelName, served: Option<&str>, usage: &Usage) -> Option<u64> {
        let models = [served.unwrap_or(name.model()), name.model()];
        Some(self.find(name.provider(), &models)?.cost(usage))
    }

    /// The price of the first of these models that has one.
    fn find(&self, provider: Provider, models: &[&str]) -> Option<Price> {
        let within = |prices: &BTreeMap<String, Price>| {
            let of = |model: &str| prices.get(&format!("{provider}:{model}")).copied();
            models.iter().find_map(|model| of(model).or_else(|| of(without_version(model)?)))
        };
        let free = Price { input: 0, cached: 0, output: 0 };
        let at_home = || (provider == Provider::Ollama).then_some(free);
        within(&self.own).or_else(|| within(&self.listed)).or_else(at_home)
    }
}

/// Dollars as millionths.
fn micros(dollars: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
    let micros = (dollars * 1e6).round() as u64;
    micros
}

/// The name without what tells the version: a date, a number of three digits, `latest`.
fn without_version(model: &str) -> Option<&str> {
    const VERSIONS: [&str; 4] = ["-0000-00-00", "-00000000", "-000", "-latest"];
    VERSIONS.iter().find_map(|version| {
        let (name, end) = model.split_at_checked(model.len().checked_sub(version.len())?)?;
        let same = version.bytes().zip(end.bytes()).all(|(expected, byte)| match expected {
            b'0' => byte.is_ascii_digit(),
            _ => byte == expected,
        });
        same.then_some(name)
    })
}

/// Name, input, cached input and output, in US dollars per million tokens.
const LISTED: [(&str, f64, f64, f64); 24] = [
    ("anthropic:claude-3-5-haiku", 0.80, 0.08, 4.00),
    ("anthropic:claude-3-7-sonnet", 3.00, 0.30, 15.00),
    ("anthropic:claude-haiku-4-5", 1.00, 0.10, 5.00),
    ("anthropic:claude-opus-4", 15.00, 1.50, 75.00),
    ("anthropic:claude-opus-4-1", 15.00, 1.50, 75.00),
    ("anthropic:claude-sonnet-4", 3.00, 0.30, 15.00),
    ("anthropic:claude-sonnet-4-5", 3.00, 0.30, 15.00),
    ("gemini:gemini-2.0-flash", 0.10, 0.025, 0.40),
    ("gemini:gemini-2.0-flash-lite", 0.075, 0.075, 0.30),
    ("gemini:gemini-2.5-flash", 0.30, 0.03, 2.50),
    ("gemini:gemini-2.5-flash-lite", 0.10, 0.01, 0.40),
    ("gemini:gemini-2.5-pro", 1.25, 0.125, 10.00),
    ("openai:gpt-4.1", 2.00, 0.50, 8.00),
    ("openai:gpt-4.1-mini", 0.40, 0.10, 1.60),
    ("openai:gpt-4.1-nano", 0.10, 0.025, 0.40),
    ("openai:gpt-4o", 2.50, 1.25, 10.00),
    ("openai:gpt-4o-mini", 0.15, 0.075, 0.60),
    ("openai:gpt-5", 1.25, 0.125, 10.00),
    ("openai:gpt-5-codex", 1.25, 0.125, 10.00),
    ("openai:gpt-5-mini", 0.25, 0.025, 2.00),
    ("openai:gpt-5-nano", 0.05, 0.005, 0.40),
    ("openai:o3", 2.00, 0.50, 8.00),
    ("openai:o3-mini", 1.10, 0.55, 4.40),
    ("openai:o4-mini", 1.10, 0.275, 4.40),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModelName {
        text.parse().unwrap()
    }

    #[test]
    fn cached_tokens_cost_less_and_sums_are_rounded_up() {
        let price = Price { input: 250_000, cached: 25_000, output: 2_000_000 };
        let usage = Usage {
            input_tokens: 1000,
            cached_tokens: 400,
            output_tokens: 10,
            thinking_tokens: 5,
            cost_micros: 0,
        };
        // 600 x 0.25 + 400 x 0.025 + 15 x 2 = 190 millionths.
        assert_eq!(price.cost(&usage), 190);
        let one = Usage { input_tokens: 1, ..Usage::default() };
        assert_eq!(price.cost(&one), 1);
        let odd = Usage { input_tokens: 1, cached_tokens: 9, ..Usage::default() };
        assert_eq!(price.cost(&odd), 1);
        let most = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() };
        assert!(price.cost(&most) > 0);
    }

    #[test]
    fn a_version_has_the_price_of_its_model() {
        let prices = Prices::listed();
        for (version, of) in [
            ("openai:gpt-5-mini-2025-08-07", "openai:gpt-5-mini"),
            ("openai:gpt-4o-2024-08-06", "openai:gpt-4o"),
            ("anthropic:claude-sonnet-4-5-20250929", "anthropic:claude-sonnet-4-5"),
            ("anthropic:claude-3-5-haiku-latest", "anthropic:claude-3-5-haiku"),
            ("gemini:gemini-2.0-flash-001", "gemini:gemini-2.0-flash"),
        ] {
            assert_eq!(prices.get(&name(version)), prices.get(&name(of)), "{version}");
            assert!(prices.get(&name(of)).is_some(), "{of}");
        }
        assert_eq!(prices.get(&name("openai:gpt-5-ultra")), None);
        assert_eq!(prices.get(&name("ollama:any")).map(|price| price.output), Some(0));
    }

    #[test]
    fn a_hosts_own_price_goes_first() {
        let own = Price { input: 1_000_000, cached: 0, output: 0 };
        let prices = Prices::listed().with("openai:gpt-5-mini", own);
        let usage = Usage { input_tokens: 7, ..Usage::default() };
        let asked = name("openai:gpt-5-mini");
        assert_eq!(prices.cost(&asked, Some("gpt-5-mini-2025-08-07"), &usage), Some(7));
        assert_eq!(prices.cost(&name("openai:mine"), Some("also-mine"), &usage), None);
        let rented = Prices::listed().with("ollama:big", own);
        assert_eq!(rented.cost(&name("ollama:big"), None, &usage), Some(7));
        assert_eq!(rented.cost(&name("ollama:small"), None, &usage), Some(0));
        // What is paid for a deployment, whatever it says that it is.
        let deployed = Prices::listed().with("openai:prod", own);
        assert_eq!(deployed.cost(&name("openai:prod"), Some("gpt-5-nano"), &usage), Some(7));
    }

    #[test]
    fn the_model_that_served_is_paid() {
        let (prices, usage) = (Prices::listed(), Usage { output_tokens: 100, ..Usage::default() });
        for (asked, served, expected) in [
            ("openai:alias", Some("gpt-5-nano"), Some(40)),
            ("openai:gpt-5", Some("gpt-5-nano-2025-08-07"), Some(40)),
            ("openai:gpt-5-nano", Some("nobody-knows"), Some(40)),
            ("openai:gpt-5-nano", None, Some(40)),
            ("openai:alias", None, None),
        ] {
            assert_eq!(prices.cost(&name(asked), served, &usage), expected, "{asked} {served:?}");
        }
    }
}
