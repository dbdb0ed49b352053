//! Texts in pieces: the same comes out however they are cut, and nothing that is sensitive.

use proptest::prelude::*;

use super::super::known::Known;
use super::*;

/// What comes out of a text that is cut at these places.
fn run(known: &[Known<'_>], text: &str, cuts: &[usize], most: usize) -> (String, usize) {
    let mut running = Running::default();
    let mut scanner = Scanner::new(known);
    let (mut shown, mut from, mut held) = (String::new(), 0, 0);
    for &cut in cuts {
        let cut = text.floor_char_boundary(cut.clamp(from, text.len()));
        shown += &running.push(&text[from..cut], most, &mut scanner);
        held = held.max(running.held.len());
        from = cut;
    }
    shown += &running.push(&text[from..], most, &mut scanner);
    held = held.max(running.held.len());
    (shown + &running.finish(&mut scanner), held)
}

fn known() -> [Known<'static>; 1] {
    [Known::new(vec!["hunter2-x".into(), "correct horse, battery\nstaple".into()])]
}

#[test]
fn a_secret_that_is_cut_anywhere_is_replaced() {
    for (text, expected) in [
        ("it is hunter2-x, ok", "it is [redacted], ok"),
        ("a correct horse, battery\nstaple b", "a [redacted] b"),
        (r"a correct horse, battery\nstaple b", "a [redacted] b"),
        (
            "a correct%20horse%2C battery b correct horse",
            "a correct%20horse%2C battery b correct horse",
        ),
        ("token = abcdefgh1, x", "token = [redacted], x"),
        // Behind a value that was replaced stands a name of its own.
        ("hunter2-xtoken: abcdefgh1 x", "[redacted]token: [redacted] x"),
        ("token \t: 'ab cd, ef gh' x", "token \t: '[redacted]' x"),
        (r#"{\"password\":  \"ab cd, ef\", 1}"#, r#"{\"password\":  \"[redacted]\", 1}"#),
        ("Authorization: Bearer   abcdefgh12 x", "Authorization: Bearer   [redacted] x"),
        ("to postgres://u,v:pa,ss@host/db, x", "to postgres://[redacted]@host/db, x"),
        ("mail bob@example.com, x", "mail [redacted], x"),
        ("password%3D correcthorse x", "password%3D [redacted] x"),
        ("key: Some(Secret( \"ab cd ef gh\")) x", "key: Some(Secret( \"ab cd ef gh\")) x"),
        ("token: Some(Secret(\"ab cd ef gh\")) x", "token: Some(Secret(\"[redacted]\")) x"),
        ("token: Some(\n    \"ab cd ef gh\",\n) x", "token: Some(\n    \"[redacted]\",\n) x"),
        (
            "x -----BEGIN EC PRIVATE KEY\x2d----\nMHc ab\n-----END EC PRIVATE KEY\x2d----\ny",
            "x -----BEGIN EC PRIVATE KEY\x2d----[redacted]-----END EC PRIVATE KEY\x2d----\ny",
        ),
        ("aHVudGVyMi14, and YTpodW50ZXIyLXg= x", "[redacted], and [redacted]= x"),
    ] {
        let known = known();
        for one in 0..=text.len() {
            assert_eq!(run(&known, text, &[one], 4096).0, expected, "cut at {one}");
            assert_eq!(run(&known, text, &[one, one + 3, one + 4], 4096).0, expected);
        }
        let all: Vec<_> = (0..text.len()).collect();
        assert_eq!(run(&known, text, &all, 4096).0, expected);
    }
}

#[test]
fn words_go_on_as_soon_as_the_next_one_begins() {
    let mut running = Running::default();
    let known = known();
    let mut scanner = Scanner::new(&known);
    assert_eq!(running.push("Hello wor", 4096, &mut scanner), "Hello ");
    assert_eq!(running.push("ld, ", 4096, &mut scanner), "");
    assert_eq!(running.push("and", 4096, &mut scanner), "world, ");
    assert_eq!(running.finish(&mut scanner), "and");
}

#[test]
fn what_is_too_long_is_withheld() {
    let long = "x".repeat(100);
    let spaced = "x y,".repeat(25);
    for (text, expected) in [
        (format!("a {long} b"), "a [withheld] b".to_owned()),
        (format!("a token='{spaced}' b"), "a [withheld]' b".to_owned()),
        (format!("a token='{spaced}\\' {spaced}' b"), "a [withheld]' b".to_owned()),
        (format!("a -----BEGIN PRIVATE KEY\x2d----{spaced}----- b"), "a [withheld] b".to_owned()),
        (format!("a token{}= abcdefgh x", " ".repeat(100)), "a [withheld] x".to_owned()),
        (format!("a token{}= 'ab cd' x", " ".repeat(100)), "a [withheld]' x".to_owned()),
    ] {
        let all: Vec<_> = (0..text.len()).collect();
        for cuts in [&[][..], &[50, 60], &all] {
            assert_eq!(run(&known(), &text, cuts, 64).0, expected);
        }
        assert!(run(&known(), &text, &all, 64).1 <= 64);
    }
}

#[test]
fn hostile_texts_take_no_longer_than_they_are_long() {
    for unit in ["'password=\"b ", "it's ", "token: ", "correct horse, ", "%41 ", "-----BEGIN x "] {
        let text = unit.repeat((1 << 18) / unit.len());
        let cuts: Vec<_> = (0..text.len()).step_by(1000).collect();
        run(&known(), &text, &cuts, 16 * 1024);
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "hunter2-x",
        "hunter2",
        "-x",
        "correct ",
        "horse, ",
        "correct horse, battery\nstaple",
        "password",
        "token: ",
        "=",
        "\"",
        "'",
        " ",
        ", ",
        "\n",
        "\\",
        "\\\"",
        "%20",
        "%3D",
        "Bearer ",
        "abcdefgh",
        "a@b.cd",
        "http://",
        "u:p@",
        "é",
        "aHVudGVyMi14",
        "-----BEGIN PRIVATE KEY\x2d----",
        "-----",
        "eyJh.eyJh.c",
        "\\u0068unter2-x",
        "Some(",
        "x",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_same_comes_out_however_it_is_cut(
        text in text(),
        mut cuts in prop::collection::vec(0_usize..400, 0..20),
        most in 16_usize..200,
    ) {
        cuts.sort_unstable();
        let known = known();
        let (whole, _) = run(&known, &text, &[], most);
        let (shown, held) = run(&known, &text, &cuts, most);
        prop_assert_eq!(&shown, &whole);
        prop_assert!(held <= most);
        for secret in ["hunter2-x", "correct horse, battery\nstaple", "aHVudGVyMi14", "a@b.cd"] {
            prop_assert!(!shown.contains(secret), "{shown}");
        }
        let all: Vec<_> = (0..text.len()).collect();
        prop_assert_eq!(&run(&known, &text, &all, most).0, &whole);
    }
}
