//! Any text is a template, and no file makes the loader panic.

use executus_playbook::{Diagnostic, RunFile, Template, parse_duration};
use proptest::prelude::*;

use crate::support::{ASKING, GOOD};

fn braces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("{{".to_owned()),
        Just("{a}".to_owned()),
        Just("{b-2}".to_owned()),
        "[a-c {}é$]{0,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn well_placed(text: &str, error: &Diagnostic) {
    let lines: Vec<_> = text.split('\n').collect();
    let line = lines.get(error.line - 1).unwrap_or_else(|| panic!("no such line: {error}"));
    assert!(error.column <= line.chars().count() + 1, "no such column: {error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

proptest! {
    #[test]
    fn a_template_is_what_it_shows(text in prop_oneof![braces(), any::<String>()]) {
        let template = Template::parse(&text);
        prop_assert_eq!(&Template::parse(&template.to_string()), &template);
    }

    #[test]
    fn bound_values_are_never_scanned(text in braces(), value in braces()) {
        let template = Template::parse(&text);
        let rendered = template.render(|_| Some(value.as_str().into())).unwrap();
        let plain: usize = template.parts().iter().map(|part| match part {
            executus_playbook::Part::Text(text) => text.len(),
            executus_playbook::Part::Name(_) => value.len(),
        }).sum();
        prop_assert_eq!(rendered.len(), plain);
    }

    #[test]
    fn escaped_text_renders_as_itself(text in any::<String>()) {
        let escaped = text.replace('{', "{{").replace('}', "}}");
        let template = Template::parse(&escaped);
        prop_assert!(template.is_plain());
        prop_assert_eq!(template.render(|_| None).unwrap(), text);
    }

    #[test]
    fn durations_never_panic(text in "[0-9]{0,25}(ms|[dhms])?[0-9]{0,3}[dhms ]?") {
        let _ = parse_duration(&text);
    }

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = RunFile::parse("any.toml", bytes);
    }
}

/// A number as somebody would write it in a file.
fn number() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9]{1,20}", "[0-9]{1,15}\\.[0-9]{1,12}", "[0-9]\\.[0-9]e-?[0-9]{1,3}"]
}

proptest! {
    /// Whatever cost is written, the limit is above zero and never below what was written.
    #[test]
    fn a_cost_is_never_rounded_down(cost in number()) {
        let text = GOOD.replace("hard_timeout = \"2m\"", &format!("max_cost = {cost}"));
        if let Ok(file) = RunFile::parse("cost.toml", text) {
            let micros = file.limits.max_cost_micros.unwrap();
            let written: f64 = cost.parse().unwrap();
            prop_assert!(micros >= 1);
            // Both sides are exact to sixteen digits.
            prop_assert!(micros as f64 >= written * 1e6 * (1.0 - 1e-15), "{} of {}", micros, cost);
            prop_assert!(micros as f64 <= written * 1e6 * (1.0 + 1e-15) + 1.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// A good file with a piece cut out, doubled, or replaced: it loads, or the error has a place.
    #[test]
    fn a_changed_file_loads_or_is_refused_at_a_place(
        good in prop_oneof![Just(GOOD), Just(ASKING)],
        from in any::<prop::sample::Index>(),
        len in 0usize..40,
        insert in prop_oneof![
            Just(String::new()),
            Just("\"".to_owned()),
            Just("{repo}".to_owned()),
            Just("[[step]]\n".to_owned()),
            Just("[step.fields]\n".to_owned()),
            Just("extract = ".to_owned()),
            Just("[prices.\"a:b\"]\n".to_owned()),
            Just("1e400".to_owned()),
            Just("= {".to_owned()),
            Just("-1".to_owned()),
            Just("'''".to_owned()),
            Just("\\".to_owned()),
            Just("é\u{0}".to_owned()),
            any::<String>(),
            (0..GOOD.len()).prop_map(|at| GOOD[at..].chars().take(30).collect()),
            (0..ASKING.len()).prop_map(|at| ASKING[at..].chars().take(30).collect()),
        ],
    ) {
        let from = from.index(good.len());
        let to = (from + len).min(good.len());
        let text = format!("{}{insert}{}", &good[..from], &good[to..]);
        if let Err(error) = RunFile::parse("changed.toml", text.as_str()) {
            well_placed(&text, &error);
            prop_assert!(error.message != "the file is not complete", "{}", text);
        }
    }
}
