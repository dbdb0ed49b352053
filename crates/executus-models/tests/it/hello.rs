//! The smallest program with a provider.

#[test]
fn hello_has_at_most_20_lines() {
    let hello = include_str!("../../examples/hello.rs");
    assert!(hello.contains("fn main"));
    assert!(hello.lines().count() <= 20, "{} lines", hello.lines().count());
}
