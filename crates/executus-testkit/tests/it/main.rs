//! The servers of `provider` against a raw client.

mod client;
mod faults;
mod openai;
mod server;
