//! The long runs: each a function of a seed and a count, of which the tests take a slice of seconds.

pub mod budget;
pub mod bursts;
pub mod crashes;
pub mod faults;
pub mod invocations;
mod kernel;
pub mod kill9;
pub mod ledger;
mod letters;
pub mod machine;
pub mod mailbox;
pub mod network;
pub mod outbox;
pub mod parked;
pub mod polls;
pub mod probes;
pub mod routed;
pub mod siblings;
pub mod simulated;
pub mod stage;

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
pub const SOAKS: &[Soak] = &[
    Soak {
        name: "sim",
        what: "every seed is a schedule of faults, cancels, drops, shutdowns and crashes",
        count: 100_000,
        run: simulated::soak,
    },
    Soak {
        name: "broken-order",
        what: "a settle order that is broken on purpose is found by the simulator",
        count: 2_000,
        run: simulated::broken_order,
    },
    Soak {
        name: "machine",
        what: "all sequences of so many facts keep what the machine promises",
        count: 8,
        run: machine::soak,
    },
    Soak {
        name: "parked",
        what: "so many runs parked in the model call: each is cancelled, each is recorded",
        count: 100_000,
        run: parked::soak,
    },
    Soak {
        name: "kernel-faults",
        what: "panics, drops and crashes at every call, poll and phase, beside so many siblings",
        // The budget in memory remembers ten thousand holds that ended.
        count: 9_000,
        run: kernel::soak,
    },
    Soak {
        name: "invocations",
        what: "64 invocations at once, callers that drop theirs: each recorded, the budget exact",
        count: 100_000,
        run: invocations::soak,
    },
    Soak {
        name: "network",
        what: "a client on a simulated network: bursts of drops, stalls, restarts, deaths, cuts, cancels",
        count: 20_000,
        run: network::soak,
    },
    Soak {
        name: "bursts",
        what: "10,000 requests at once, all dropped by a healthy server, so many times; then it dies",
        count: 5,
        run: bursts::soak,
    },
    Soak {
        name: "probes",
        what: "1,000 callers in 8 processes and a dead peer: one probe at a time reaches it",
        count: 400,
        run: probes::soak,
    },
    Soak {
        name: "budget",
        what: "8 processes of 125 reservers on one Redis for so many seconds: killed, stopped, cut off",
        count: 60,
        run: budget::soak,
    },
    Soak {
        name: "outbox",
        what: "so many deliveries to a receiver that drops, delays, fails and dies, by a process that is killed",
        count: 10_000,
        run: outbox::soak,
    },
    Soak {
        name: "kill9",
        what: "so many kill -9 of the host at random moments of real runs, each resumed to its end",
        count: 1_000,
        run: kill9::soak,
    },
];
