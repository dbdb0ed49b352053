//! What a file says of language models: which ones, at what price, within what cost, and what an
//! agent asks.

use executus_core::Limits;
use executus_playbook::PriceDef;

use crate::bad_files::refused;
use crate::support::{GOOD, load};

const AGENT: &str = r#"
kind = "agent"
name = "reviewer"
models = ["openai:gpt-5-mini", "ollama:qwen3:4b"]
system = "You review {repo} with {token}."
prompt = "Review {count} commits. {{done}}"
[params]
repo = { type = "string", default = "." }
count = { type = "integer", default = 5 }
token = { type = "string", sensitive = true, default = "s3cr3t-value" }
[limits]
max_cost = 0.07
[prices."openai:gpt-5-mini"]
input = 0.25
cached = 0.025
output = 2
[prices."ollama:qwen3:4b"]
input = 0
output = 0.0000004
"#;

#[test]
fn models_are_asked_in_their_order() {
    assert_eq!(load(AGENT).models, ["openai:gpt-5-mini", "ollama:qwen3:4b"]);
    let one =
        AGENT.replace("models = [\"openai:gpt-5-mini\", \"ollama:qwen3:4b\"]", "model = \"a:b\"");
    assert_eq!(load(&one).models, ["a:b"]);
}

#[test]
fn prices_are_millionths_of_a_dollar() {
    let price = |model: &str, input, cached, output| {
        let model = model.to_owned();
        PriceDef { model, input, cached, output }
    };
    let expected = [
        price("openai:gpt-5-mini", 250_000, 25_000, 2_000_000),
        // Rounded to the nearest; cached tokens cost what others do when nothing is said.
        price("ollama:qwen3:4b", 0, 0, 0),
    ];
    assert_eq!(load(AGENT).prices, expected);
    let dear = load(&AGENT.replace("input = 0\n", "input = 0.0000006\n"));
    assert_eq!((dear.prices[1].input, dear.prices[1].cached), (1, 1));
}

#[test]
fn a_cost_is_rounded_up_to_millionths() {
    for (cost, micros) in [
        ("0.07", 70_000),
        ("1", 1_000_000),
        ("0x10", 16_000_000),
        ("1e-9", 1),
        ("2.000_000_1", 2_000_001),
    ] {
        let file = load(&AGENT.replace("max_cost = 0.07", &format!("max_cost = {cost}")));
        assert_eq!(file.limits.max_cost_micros, Some(micros), "{cost}");
        assert_eq!(file.limits.over(Limits::default()).max_cost_micros, Some(micros));
    }
    assert_eq!(load(GOOD).limits.over(Limits::default()).max_cost_micros, None);
}

/// A sensitive parameter shows as `[redacted]`, and so does its value wherever else it stands.
///
/// PB-14
#[test]
fn an_agent_is_asked_without_its_secrets() {
    let file = load(AGENT);
    let bound = file.bind(&[("count".into(), "7".into())], &|_| None).unwrap();
    let brief = file.brief(&bound).unwrap();
    assert_eq!(brief.system.as_deref(), Some("You review . with [redacted]."));
    assert_eq!(brief.prompt, "Review 7 commits. {done}");

    let bound = file.bind(&[("repo".into(), "x s3cr3t-value".into())], &|_| None).unwrap();
    let system = file.brief(&bound).unwrap().system;
    assert_eq!(system.as_deref(), Some("You review x [redacted] with [redacted]."));

    let silent = load(&AGENT.replace("system = \"You review {repo} with {token}.\"", ""));
    assert_eq!(silent.brief(&bound).unwrap().system, None);
    assert_eq!(load(GOOD).brief(&bound), None);
}

/// A part of the file is replaced; the diagnostic in full, without its place.
#[rustfmt::skip]
const CHANGED: &[(&str, &str, &str)] = &[
    ("models = [\"openai:gpt-5-mini\", \"ollama:qwen3:4b\"]", "model = \"a:b\"\n§models = [\"a:b\"]",
        "the file has `model` and `models`; expected one of them: `models` for more than one model"),
    ("models = [\"openai:gpt-5-mini\", \"ollama:qwen3:4b\"]", "models = [\"a:b\"]\n§model = \"a:b\"",
        "the file has `model` and `models`; expected one of them: `models` for more than one model"),
    ("models = [\"openai:gpt-5-mini\", \"ollama:qwen3:4b\"]", "models = §\"a:b\"",
        "`models` is a text; expected an array such as [\"openai:gpt-5-mini\", \"anthropic:claude-haiku-4-5\"]"),
    ("models = [\"openai:gpt-5-mini\", \"ollama:qwen3:4b\"]", "models = §[]",
        "`models` is empty; expected at least one `provider:model` such as \"openai:gpt-5-mini\""),
    (", \"ollama:qwen3:4b\"]", ", §4]",
        "`models` is an integer; expected `provider:model` such as \"openai:gpt-5-mini\""),
    (", \"ollama:qwen3:4b\"]", ", §\"ollama:\"]",
        "`ollama:` names no model; expected `provider:model` such as \"openai:gpt-5-mini\""),
    (", \"ollama:qwen3:4b\"]", ", §\"openai:gpt-5-mini\"]",
        "the model `openai:gpt-5-mini` is there twice; expected each model once"),
    ("max_cost = 0.07", "max_cost = §0", "`max_cost` is 0; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "max_cost = §-0.0", "`max_cost` is 0; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "max_cost = §-1", "`max_cost` is -1; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "max_cost = §-0.5", "`max_cost` is -0.5; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "max_cost = §nan", "`max_cost` is nan; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "max_cost = §inf", "`max_cost` is inf; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "max_cost = §1e30", "`max_cost` is 1e30; expected a smaller number"),
    ("max_cost = 0.07", "max_cost = §9000000000000000000", "`max_cost` is 9000000000000000000; expected a smaller number"),
    ("max_cost = 0.07", "max_cost = §\"0.5\"", "`max_cost` is a text; expected US dollars above zero such as 0.50"),
    ("max_cost = 0.07", "§max_cost_micros = 70000",
        "unknown key `max_cost_micros` in [limits]; expected `max_cost`: US dollars above zero such as 0.50"),
    ("[prices.\"ollama:qwen3:4b\"]", "[prices.§\"qwen3\"]",
        "`qwen3` names no model; expected `provider:model` such as \"openai:gpt-5-mini\""),
    ("input = 0\n", "input = §-1\n",
        "`input` is -1; expected US dollars per million tokens, 0 or above, such as 0.25"),
    ("input = 0\n", "input = §inf\n",
        "`input` is inf; expected US dollars per million tokens, 0 or above, such as 0.25"),
    ("input = 0\n", "input = §true\n",
        "`input` is a boolean; expected US dollars per million tokens, 0 or above, such as 0.25"),
    ("cached = 0.025", "§chached = 0.025",
        "unknown key `chached` in [prices.\"openai:gpt-5-mini\"]; expected `cached`, or another of `input`, `cached`, `output`"),
    ("cached = 0.025\noutput = 2\n", "", "[prices.\"openai:gpt-5-mini\"] has no `output`; expected `output` = US dollars per million tokens, 0 or above"),
];

#[test]
fn bad_models_and_prices_are_refused_at_their_place() {
    for (old, new, message) in CHANGED {
        assert_eq!(AGENT.matches(old).count(), 1, "{old}");
        let mut text = AGENT.replace(old, new);
        if new.is_empty() {
            text = text.replace("[prices.\"openai", "§[prices.\"openai");
        }
        let error = refused(new, &text).to_string();
        assert!(error.contains(&format!(": {message}")), "{error}");
    }
    let prices = AGENT.replace("models =", "prices = §3\nmodels =");
    let prices = prices.split("[prices").next().unwrap();
    let error = refused("prices that are no table", prices).to_string();
    assert!(error.contains("`prices` is an integer; expected a table for each model"), "{error}");
}
