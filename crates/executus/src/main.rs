//! Reference host.
fn main() {}
