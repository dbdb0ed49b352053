//! The firewall on results that come in pieces.

use executus_capability::firewall::{FirewallError, Limits, Screen, ScreenChunks};
use executus_capability::{Firewall, Frame, Mode};
use serde_json::{Value, json};

use crate::firewall::Asked;

fn chunks(asked: &Asked) -> Box<dyn ScreenChunks> {
    Firewall::default().chunks(&asked.request()).unwrap()
}

fn raws(pieces: &[Value]) -> Vec<Value> {
    let mut chunks = chunks(&Asked::admin(Mode::Raw));
    let shown = pieces.iter().map(|piece| chunks.push(piece, false).unwrap());
    let mut shown: Vec<Frame> = shown.collect();
    shown.push(chunks.finish().unwrap());
    assert!(shown.last().unwrap().is_final);
    shown.into_iter().map(|frame| frame.raw.unwrap_or_default()).collect()
}

/// SI-01
#[test]
fn a_secret_in_two_pieces_is_in_no_frame() {
    let text = "The token=abcdefgh12, and bob@example.com are secret.";
    for cut in 0..=text.len() {
        for last in [false, true] {
            let mut chunks = chunks(&Asked::new(Mode::Summary));
            let mut facts = Vec::new();
            let mut frame = chunks.push(&json!(text[..cut]), false).unwrap();
            assert!(!frame.is_final);
            facts.append(&mut frame.facts);
            let mut frame = chunks.push(&json!(text[cut..]), last).unwrap();
            assert_eq!(frame.is_final, last);
            facts.append(&mut frame.facts);
            if !last {
                facts.append(&mut chunks.finish().unwrap().facts);
            }
            assert_eq!(facts.concat(), "The token=[redacted], and [redacted] are secret.");
            assert_eq!(chunks.push(&json!("more"), false), Err(FirewallError::Ended));
            assert_eq!(chunks.finish(), Err(FirewallError::Ended));
        }
    }
}

/// SI-01
#[test]
fn running_texts_of_fields_are_held_back_each_by_itself() {
    let shown = raws(&[
        json!({"n": 1, "choices": [{"delta": {"content": "a tok"}}], "stdout": "x pass"}),
        json!({"n": 2, "choices": [{"delta": {"content": "en: abcd"}}], "stdout": "word: 'hunter2 hun"}),
        json!({"n": 3, "choices": [{"delta": {"content": "efgh12 b"}}], "state": "ok"}),
    ]);
    let delta = |text: &str| json!([{"delta": {"content": text}}]);
    assert_eq!(
        shown,
        [
            json!({"n": 1, "choices": delta("a "), "stdout": "x "}),
            json!({"n": 2, "choices": delta(""), "stdout": ""}),
            json!({"n": 3, "choices": delta("token: [redacted] "), "state": "ok"}),
            json!({"choices": delta("b"), "stdout": "password: '[redacted]"}),
        ]
    );
}

#[test]
fn a_value_named_as_secret_is_looked_for_from_then_on() {
    let mut pieces = vec![json!([{"id": 1, "password": "Zq7Kp2Wx9Lm4"}])];
    for n in 0..40 {
        pieces.push(json!([{"note": "is Zq7Kp2Wx9Lm4", "token": format!("other-{n}")}]));
    }
    pieces.push(json!("it was other-3 and Zq7K"));
    pieces.push(json!("p2Wx9Lm4 and other-39"));
    let shown = raws(&pieces);
    assert_eq!(shown[1], json!([{"note": "is [redacted]", "token": "[redacted]"}]));
    let text: String = shown[41..].iter().map(|raw| raw.as_str().unwrap()).collect();
    assert_eq!(text, "it was [redacted] and [redacted] and [redacted]");
}

/// Found by fuzzing: once a part is replaced, what is left of a word may be a sensitive name.
#[test]
fn what_was_shown_in_parts_is_not_scrubbed_again() {
    let secret = json!({"token": "Zq7 Kp2,Wx9-Lm4"});
    let text = "Zq7 Kp2,Wx9-Lm4token: \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd} x";
    let shown = |pieces: &[&str]| -> String {
        let mut values = vec![secret.clone()];
        values.extend(pieces.iter().map(|&piece| json!(piece)));
        raws(&values)[1..].iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (one, other) = text.split_at(25);
    assert_eq!(shown(&[one, other]), shown(&[text]));
}

#[test]
fn a_scope_and_fields_hold_for_pieces() {
    let asked = Asked::admin(Mode::Raw).with("scope", json!({"owner": "bob@example.com"}));
    let mut chunks = chunks(&asked.with("allowed_fields", vec!["id", "owner"]));
    let piece = json!([
        {"id": 1, "owner": "bob@example.com", "x": 1}, {"id": 2, "owner": "eve@example.com"},
    ]);
    let frame = chunks.push(&piece, false).unwrap();
    assert_eq!(frame.raw, Some(json!([{"id": 1, "owner": "[redacted]"}])));
    assert_eq!(frame.warnings.len(), 3, "{:?}", frame.warnings);
    for piece in [json!("a text"), json!({"id": 3}), json!([])] {
        let shown = chunks.push(&piece, false).unwrap().raw.unwrap_or_default();
        assert!(shown.is_null() || shown == json!([]), "{shown}");
    }
}

#[test]
fn rows_are_whole_and_a_secret_that_goes_on_in_the_next_is_cut() {
    let shown = raws(&[
        json!({"password": "Zq7Kp2Wx9Lm4"}),
        json!({"id": 1, "name": "Ann", "piece": "is Zq7K"}),
        json!({"id": 2, "name": "Bob", "piece": "p2Wx"}),
        json!({"id": 3, "name": "Cid", "piece": "9Lm4 x"}),
    ]);
    assert_eq!(shown[2], json!({"id": 2, "name": "Bob", "piece": "p2Wx"}));
    assert_eq!(shown[3], json!({"id": 3, "name": "Cid", "piece": "[redacted] x"}));
    assert_eq!(shown[4], Value::Null);
}

#[test]
fn limits_are_those_of_the_whole_stream() {
    let mut table = chunks(&Asked::new(Mode::Table));
    let mut rows = 0;
    for n in 0..10 {
        let piece = vec![json!({"id": n}); 8];
        rows += table.push(&json!(piece), false).unwrap().rows.len();
    }
    assert_eq!(rows, 50);

    let mut summary = chunks(&Asked::new(Mode::Summary));
    let mut told = 0;
    for _ in 0..100 {
        let frame =
            summary.push(&json!("some words of a text that goes on, and on, and on\n"), false);
        told += frame.unwrap().facts.concat().chars().count();
    }
    assert!((3900..=4000).contains(&told), "{told}");

    let mut raw = chunks(&Asked::admin(Mode::Raw));
    let mut bytes = 0;
    for _ in 0..8 {
        let frame = raw.push(&json!([{"a": "x".repeat(200_000)}]), false).unwrap();
        bytes += frame.raw.map_or(0, |raw| raw.to_string().len());
    }
    assert!(bytes <= (1 << 20) + 1000, "{bytes}");
}

#[test]
fn what_is_held_back_and_remembered_is_bounded() {
    let limits = Limits { held_bytes: 100, known_bytes: 100, ..Limits::default() };
    let asked = Asked::admin(Mode::Raw);
    let mut chunks = Firewall::new(limits).chunks(&asked.request()).unwrap();
    let frame = chunks.push(&json!("x".repeat(500)), false).unwrap();
    assert_eq!(frame.raw, Some(json!("[withheld]")));
    assert_eq!(frame.warnings, ["a text was withheld: it could not be looked through"]);
    assert_eq!(chunks.push(&json!("x y"), false).unwrap().raw, Some(json!(" ")));
    for (n, warned) in [(0, false), (1, true)] {
        let secret = format!("{n}").repeat(60);
        let piece = json!([{"token": secret, "note": secret}]);
        let frame = chunks.push(&piece, false).unwrap();
        assert_eq!(frame.raw, Some(json!([{"token": "[redacted]", "note": "[redacted]"}])));
        let warning = "secrets of this piece are not looked for in later ones";
        assert_eq!(frame.warnings.iter().any(|found| found == warning), warned);
    }
}
