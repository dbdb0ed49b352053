//! The store on real files.
#![expect(clippy::unwrap_used, reason = "tests and what they share")]

mod commit;
mod fault;
mod log;
mod open;
mod race;
mod work;
