//! The long runs: each a function of a seed and a count, of which the tests take a slice of seconds.

mod letters;
pub mod machine;

/// How much of a soak was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The first seed, where there are seeds.
    pub seed: u64,
    /// How many, or how deep.
    pub count: u64,
}

/// What a soak found.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done, with its figures.
    pub done: String,
    /// What broke a rule.
    pub violations: Vec<String>,
}

/// A long run.
#[derive(Debug)]
pub struct Soak {
    /// What it is called by.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// How many, unless asked otherwise.
    pub count: u64,
    /// Does it.
    pub run: fn(Asked) -> Report,
}

/// All of them.
pub const SOAKS: &[Soak] = &[Soak {
    name: "machine",
    what: "all sequences of facts up to this length keep what the machine promises",
    count: 8,
    run: |asked| machine::soak(asked),
}];
