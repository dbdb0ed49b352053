//! Drafts: what is kept, what is cut, what cannot be read.

use executus_core::{ModelError, Reply};
use serde_json::{Value, json};

use super::{Draft, Finish, MOST_CALLS, tokens};

fn done(mut draft: Draft, finish: Finish) -> Reply {
    draft.finish = Some(finish);
    draft.finish("openai", "asked").unwrap()
}

fn whole(draft: Draft) -> Reply {
    done(draft, Finish::Whole)
}

/// The reply to a call with these pieces of arguments.
fn call(pieces: &[&str]) -> executus_core::Call {
    let mut draft = Draft::new(1000);
    let place = draft.begin_call("a", "f");
    for piece in pieces {
        draft.push_args(place, piece);
    }
    whole(draft).calls.remove(0)
}

#[test]
fn a_reply_is_what_was_said() {
    let mut draft = Draft::new(100);
    assert_eq!(draft.push_text("Hello "), "Hello ");
    assert_eq!(draft.push_text("world"), "world");
    draft.usage.input_tokens = 3;
    draft.model = Some("served".to_owned());
    let reply = whole(draft);
    assert_eq!(reply.text, "Hello world");
    assert_eq!(reply.usage.input_tokens, 3);
    assert_eq!(reply.model.as_deref(), Some("openai:served"));
    assert_eq!(reply.cut, None);
}

#[test]
fn the_model_that_was_asked_stands_in_for_an_unnamed_one() {
    for named in [None, Some(String::new())] {
        let mut draft = Draft::new(100);
        draft.model = named;
        assert_eq!(whole(draft).model.as_deref(), Some("openai:asked"));
    }
}

#[test]
fn without_a_word_about_its_end_a_reply_is_truncated() {
    let mut draft = Draft::new(100);
    draft.push_text("nearly all");
    let failure = draft.finish("openai", "asked").unwrap_err();
    assert!(matches!(failure.error, ModelError::Malformed { .. }));
    assert!(failure.again);
}

#[test]
fn a_reply_that_was_kept_from_going_on_says_so() {
    let cut = |finish| done(Draft::new(100), finish).cut.unwrap();
    assert!(cut(Finish::Length).contains("limit"));
    assert!(cut(Finish::Withheld("content_filter".into())).contains("content_filter"));
    assert!(cut(Finish::Withheld("x".repeat(10_000))).len() < 1000);
}

#[test]
fn text_is_cut_at_the_limit_between_characters() {
    let mut draft = Draft::new(6);
    assert_eq!(draft.push_text("abcd"), "abcd");
    assert!(!draft.is_full());
    assert_eq!(draft.push_text("e€"), "e");
    assert!(draft.is_full());
    assert_eq!(draft.push_text("f"), "", "nothing is put behind the gap");
    let reply = whole(draft);
    assert_eq!(reply.text, "abcde");
    assert!(reply.cut.unwrap().contains("6 bytes"));

    let mut exact = Draft::new(4);
    exact.push_text("abcd");
    assert!(!exact.is_full());
    assert_eq!(whole(exact).cut, None);
}

#[test]
fn arguments_come_in_pieces() {
    let call = call(&["{\"a\"", "", ": [1, 2", "]}"]);
    assert_eq!((&*call.id, &*call.name), ("a", "f"));
    assert_eq!(call.args, json!({ "a": [1, 2] }));
    assert_eq!(call.broken, None);
}

#[test]
fn no_arguments_are_an_empty_object() {
    for pieces in [&[][..], &["", "  "], &["{}"]] {
        let call = call(pieces);
        assert_eq!(call.args, json!({}));
        assert_eq!(call.broken, None);
    }
}

#[test]
fn arguments_that_cannot_be_read_are_told() {
    let long = format!("{{{}", "x".repeat(900));
    for (text, told) in [
        ("{\"a\":", "not JSON"),
        ("{\"a\":1}{\"a\":2}", "not JSON"),
        ("[1]", "not a JSON object"),
        ("\"text\"", "not a JSON object"),
        ("null", "not a JSON object"),
        (&long, "cut, 901 bytes in all"),
    ] {
        let call = call(&[text]);
        assert_eq!(call.args, json!({}), "{text}");
        let broken = call.broken.unwrap();
        assert!(broken.contains(told), "{text}: {broken}");
        assert!(broken.len() < 500);
    }
}

#[test]
fn whole_arguments_are_taken_as_they_are() {
    let args = |args: Value| {
        let mut draft = Draft::new(1000);
        let place = draft.begin_call("a", "f");
        draft.set_args(place, args);
        whole(draft).calls.remove(0)
    };
    assert_eq!(args(json!({ "a": 1 })).args, json!({ "a": 1 }));
    assert_eq!(args(json!("{\"a\":1}")).args, json!({ "a": 1 }), "text is read");
    assert_eq!(args(Value::Null).broken, None);
    assert!(args(json!([1])).broken.unwrap().contains("[1]"));
    assert!(args(json!("{")).broken.is_some());
}

#[test]
fn an_empty_object_may_be_followed_by_the_real_one() {
    let mut draft = Draft::new(1000);
    let place = draft.begin_call("a", "f");
    draft.set_args(place, json!({}));
    draft.push_args(place, "{\"a\":");
    draft.push_args(place, "1}");
    assert_eq!(whole(draft).calls[0].args, json!({ "a": 1 }));

    let mut draft = Draft::new(1000);
    let place = draft.begin_call("a", "f");
    draft.set_args(place, json!({ "a": 1 }));
    draft.push_args(place, "");
    assert_eq!(whole(draft).calls[0].args, json!({ "a": 1 }), "nothing is no other object");
}

#[test]
fn ids_and_names_may_come_late_and_are_bounded() {
    let mut draft = Draft::new(1000);
    let place = draft.begin_call("", "");
    draft.name_call(place, Some("a"), None);
    draft.name_call(place, None, Some("f"));
    draft.name_call(place, Some("other"), Some("other"));
    let long = "n".repeat(100_000);
    draft.begin_call(&long, &long);
    let reply = whole(draft);
    assert_eq!((&*reply.calls[0].id, &*reply.calls[0].name), ("a", "f"));
    assert!(reply.calls[1].id.len() + reply.calls[1].name.len() < 1000);
}

#[test]
fn arguments_of_all_calls_share_one_limit() {
    let mut draft = Draft::new(20);
    for n in 0..2 {
        let place = draft.begin_call("", "f");
        draft.push_args(place, &format!("{{\"a\":{n}}}"));
    }
    assert!(!draft.is_full());
    let place = draft.begin_call("", "f");
    draft.push_args(place, "{\"a\":2}");
    assert!(draft.is_full());
    let reply = whole(draft);
    assert!(reply.cut.unwrap().contains("20 bytes"));
    assert_eq!(reply.calls[1].args, json!({ "a": 1 }));
    assert!(reply.calls[2].broken.is_some(), "what was cut is not a call without arguments");
}

#[test]
fn whole_arguments_and_signatures_count_too() {
    let mut draft = Draft::new(20);
    let place = draft.begin_call("", "f");
    draft.set_args(place, json!({ "a": "x".repeat(20) }));
    assert!(draft.is_full());
    assert!(whole(draft).calls[0].broken.is_some());

    let mut draft = Draft::new(20);
    let place = draft.begin_call("", "f");
    draft.sign_call(place, "s".repeat(10));
    assert!(!draft.is_full());
    draft.sign_call(place, "t".repeat(11));
    assert!(draft.is_full());
    assert_eq!(whole(draft).calls[0].signature.as_deref(), Some("ssssssssss"));
}

#[test]
fn a_call_that_the_limit_met_before_its_arguments_is_broken() {
    let mut draft = Draft::new(1000);
    let place = draft.begin_call("", "delete_all_but");
    let reply = |draft, finish| done(draft, finish).calls.remove(0).broken;
    assert!(reply(draft, Finish::Length).unwrap().contains("missing"));

    let mut draft = Draft::new(1000);
    draft.begin_call("", "f");
    draft.push_args(place, "{}");
    assert_eq!(reply(draft, Finish::Length), None);
}

#[test]
fn calls_have_a_greatest_number() {
    let mut draft = Draft::new(1000);
    for _ in 0..MOST_CALLS {
        draft.begin_call("", "f");
    }
    assert!(!draft.is_full());
    let place = draft.begin_call("", "f");
    draft.name_call(place, Some("a"), Some("b"));
    draft.push_args(place, "{}");
    assert!(draft.is_full());
    let reply = whole(draft);
    assert_eq!(reply.calls.len(), MOST_CALLS);
    assert!(reply.cut.is_some());
}

#[test]
fn numbers_of_tokens_are_tamed() {
    for (reported, expected) in [
        (json!(7), 7),
        (json!(7.9), 7),
        (json!(0), 0),
        (json!(-3), 0),
        (json!(-3.5), 0),
        (json!(null), 0),
        (json!("7"), 0),
        (json!(u64::MAX), 1 << 40),
        (json!(1e300), 1 << 40),
    ] {
        assert_eq!(tokens(&reported), expected, "{reported}");
    }
}
