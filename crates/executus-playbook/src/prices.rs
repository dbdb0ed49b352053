//! What models cost, as a run file says it.

use crate::models::check_model;
use crate::money::{Round, read_millionths};
use crate::reader::{Item, Reader, Section};

/// The price of a model's tokens, in millionths of a US dollar per million tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceDef {
    /// The model: `provider:model`. The file need not use it.
    pub model: String,
    /// Tokens read.
    pub input: u64,
    /// Tokens read from a cache; the price of `input` where the file has none.
    pub cached: u64,
    /// Tokens written and thought.
    pub output: u64,
}

const KEYS: [&str; 3] = ["input", "cached", "output"];
const DOLLARS: &str = "US dollars per million tokens, 0 or above, such as 0.25";

/// Reads `[prices]`: a table for each model.
pub(crate) fn read_prices<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<PriceDef> {
    let expected = "a table for each model such as `[prices.\"openai:gpt-5-mini\"]`";
    let Some(table) = item.table(reader, expected) else { return Vec::new() };
    let section = Section::free(reader, "[prices]", item.at, table);
    section.entries().iter().filter_map(|entry| read_price(reader, entry)).collect()
}

fn read_price<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<PriceDef> {
    if let Err(problem) = check_model(item.key_at, item.key) {
        reader.problem(problem.at, problem.message, problem.expected);
    }
    let table = item.table(reader, "a table with `input` and `output`")?;
    let title = format!("[prices.\"{}\"]", item.key);
    let section = Section::strict(reader, title, item.at, table, &KEYS);
    let read = |reader: &mut Reader<'a>, item: Option<&Item<'a>>| {
        item.and_then(|item| read_millionths(reader, item, Round::Nearest, DOLLARS))
    };
    let input = section.require(reader, "input", DOLLARS);
    let input = read(reader, input);
    let cached = read(reader, section.get("cached"));
    let output = section.require(reader, "output", DOLLARS);
    let output = read(reader, output);
    Some(PriceDef {
        model: item.key.to_owned(),
        input: input?,
        cached: cached.or(input)?,
        output: output?,
    })
}
