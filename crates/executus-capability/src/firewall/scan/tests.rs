//! What the scanner replaces and what it leaves.

use super::*;

fn scrub(known: &[&str], text: &str) -> String {
    let known = Known::new(known.iter().map(|&value| value.into()).collect());
    Scanner::new(&[known]).scrub(text).into_owned()
}

#[test]
fn mails_are_replaced_and_the_rest_is_kept() {
    for (text, expected) in [
        ("to Bob.O'Neil+x@mail.example.com.", "to [redacted]."),
        ("a@b.cd,é@ü.de;x", "[redacted],[redacted];x"),
        (
            "root@localhost @home a@ @b.cd a@.b a@b.c 5@",
            "root@localhost @home a@ @b.cd a@.b a@b.c 5@",
        ),
        ("a@b@c.de", "a@[redacted]"),
        ("a@b.cd.e a@b.c.d.e", "[redacted].e a@b.c.d.e"),
        ("x=a%40b.example", "x=[redacted]"),
    ] {
        assert_eq!(scrub(&[], text), expected, "{text}");
    }
}

#[test]
fn known_values_are_found_in_every_form() {
    let secret = "hunter2/é?\"x y";
    for (form, expected) in [
        ("a hunter2/é?\"x y b", "a [redacted] b"),
        (r#"{\"a\": \"hunter2\/\u00e9?\\\"x y\"}"#, r#"{\"a\": \"[redacted]\"}"#),
        (r#"Error { text: "hunter2/\u{e9}?\"x y" }"#, r#"Error { text: "[redacted]" }"#),
        ("q?x=hunter2%2F%C3%A9%3f%22x%20y&z", "q?x=[redacted]&z"),
        ("x=hunter2%2F%C3%A9%3F%22x+y&z", "x=[redacted]&z"),
        ("a aHVudGVyMi/DqT8ieCB5 b", "a [redacted] b"),
        ("a aHVudGVyMi_DqT8ieCB5 b", "a [redacted] b"),
        // Base64 of a longer text, and behind digits that do not belong to it.
        ("YWI6aHVudGVyMi/DqT8ieCB5Og==", "[redacted]=="),
        ("xYaHVudGVyMi/DqT8ieCB5", "[redacted]"),
        ("aHVudGVyMi%2FDqT8ieCB5", "[redacted]"),
    ] {
        assert_eq!(scrub(&[secret], form), expected, "{form}");
    }
}

#[test]
fn what_looks_sensitive_is_found_in_every_form() {
    for (text, expected) in [
        (
            r#"{"body": "{\"pass\u0077ord\": \"correct horse\"}"}"#,
            r#"{"body": "{\"pass\u0077ord\": \"[redacted]\"}"}"#,
        ),
        ("at /?q=password%3Dcorrecthorse%26x", "at /?q=password%3D[redacted]%26x"),
        // {"password":"correct horse"}
        ("see eyJwYXNzd29yZCI6ImNvcnJlY3QgaG9yc2UifQ== end", "see [redacted]== end"),
        // user:bob@example.com
        ("dXNlcjpib2JAZXhhbXBsZS5jb20=", "[redacted]="),
    ] {
        assert_eq!(scrub(&[], text), expected, "{text}");
    }
}

#[test]
fn harmless_texts_are_untouched() {
    for text in [
        "",
        "a",
        "the quick brown fox",
        "/usr/local/share/documentation/readme.html",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "https://example.com/a/b?c=d%20e&f=50%",
        r"C:\new\table",
        "4f7d9a1c2b3e4d5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "ünïcödé text: with = signs",
        "50% of 3 + 4",
    ] {
        assert_eq!(scrub(&["unrelated-secret"], text), text);
        assert_eq!(scrub(&[], text), text);
    }
}

#[test]
fn what_is_encoded_too_often_is_withheld_or_bounded() {
    // Each of these has to be decoded in many ways, or looks like the beginning of very much.
    for unit in [
        "%41", "\\\\", "aGVs", "%5C%5c", "\\u0041%", "a@", "eyJ.", "token=\"", "b64/", "%2525",
        "++a ",
    ] {
        let text = unit.repeat((1 << 18) / unit.len());
        let shown = scrub(&["known secret", "b64/b64/b64/b"], &text);
        assert!(shown.len() <= text.len() + REDACTED.len());
    }
}

#[test]
fn the_start_of_a_text_ends_at_no_half_of_a_secret() {
    let text = format!("{} password=correcthorse", "x".repeat(10));
    let known = [Known::default()];
    let mut scanner = Scanner::new(&known);
    assert_eq!(scanner.scrub_start(&text, 24), format!("{} password=[red…", "x".repeat(10)));
    assert_eq!(scanner.scrub_start("short", 5), "short");
}
