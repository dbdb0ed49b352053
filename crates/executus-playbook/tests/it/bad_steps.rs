//! Mistakes in what asks a model: extract steps, output fields, the recovery.

use crate::bad_files::refused;
use crate::support::{ASKING, load};

/// A line of the file is replaced; the diagnostic in full, without its place.
#[rustfmt::skip]
const CHANGED: &[(&str, &str, &str)] = &[
    // Extract steps.
    ("extract = \"Invoice: {text}, {token}\"", "extract = §3",
        "`extract` is an integer; expected the text to read such as \"{page}\""),
    ("extract = \"Invoice: {text}, {token}\"", "extract = §\" \"",
        "`extract` is empty; expected the text to read such as \"{page}\""),
    ("extract = \"Invoice: {text}, {token}\"", "extract = \"Invoice: §{txt}\"",
        "nothing binds `{txt}` here; expected a parameter or an earlier `store_as` such as `text`"),
    ("extract = \"Invoice: {text}, {token}\"", "§extrct = \"{text}\"",
        "unknown key `extrct` in [[step]]; expected `extract`, or another of `id`, `description`, `tool`, `args`, `extract`, `fields`"),
    ("extract = \"Invoice: {text}, {token}\"", "extract = \"{text}\"\n§tool = \"fetch\"",
        "a step with `extract` has no `tool`; expected either `extract` with `fields`, or `tool`"),
    ("extract = \"Invoice: {text}, {token}\"", "extract = \"{text}\"\n§args = {}",
        "a step with `extract` has no `args`; expected either `extract` with `fields`, or `tool`"),
    ("[step.fields]", "[step.§filds]",
        "unknown key `filds` in [[step]]; expected `fields`, or another of"),
    ("total = { type = \"number\", min = 0, description = \"the sum\" }", "total = §\"number\"",
        "`total` is a text; expected a table such as `{ type = \"string\" }`"),
    ("total = { type = \"number\", min = 0, description = \"the sum\" }", "total = §{ min = 0 }",
        "field `total` has no `type`; expected `type` = \"string\""),
    ("total = { type = \"number\", min = 0, description = \"the sum\" }", "total = { type = §\"money\" }",
        "unknown type `money`; expected one of `string`, `integer`, `number`, `boolean`, `array`, `object`"),
    ("total = { type = \"number\", min = 0, description = \"the sum\" }", "total = { type = \"number\", §env = \"T\" }",
        "unknown key `env` in field `total`; expected one of `type`, `default`, `min`, `max`, `description`"),
    ("total = { type = \"number\", min = 0, description = \"the sum\" }", "§\"the total\" = { type = \"number\" }",
        "`the total` is no field name; expected a name: a letter or `_`, then letters"),
    ("total = { type = \"number\", min = 0, description = \"the sum\" }", "total = { type = \"number\", default = §\"1\" }",
        "the default of `total` is \"1\"; expected a number"),
    ("tool = \"pay\"", "tool = \"pay\"\n§fields = { a = { type = \"string\" } }",
        "`fields` is for a step with `extract`; expected the text to read: `extract` = \"{page}\""),
    ("name = \"pay\"", "name = §\"submit_fields\"",
        "the name `submit_fields` is reserved; expected another name"),
    // The recovery.
    ("[recovery]", "§[[recovery]]", "`recovery` is an array; expected a table with `max_steps`"),
    ("max_steps = 3", "max_steps = §0", "`max_steps` is 0; expected a whole number above zero"),
    ("max_steps = 3", "max_steps = §5000000000", "`max_steps` is 5000000000; expected a smaller number"),
    ("max_steps = 3", "§steps = 3", "unknown key `steps` in [recovery]; expected one of `max_steps`"),
    // The output.
    ("receipt = { type = \"string\", description = \"its number\" }", "receipt = §{}",
        "field `receipt` has no `type`; expected `type` = \"string\""),
    ("[output.fields]", "[output.§field]", "unknown key `field` in [output]; expected `fields`, or another of `template`, `fields`"),
    ("[output.fields]", "fields = §3\n[x]", "`fields` is an integer; expected a table of fields such as"),
    ("template = \"{invoice} paid: {receipt}\"", "template = §3", "`template` is an integer; expected a text"),
];

#[test]
fn every_mistake_is_told_at_its_place() {
    for (old, new, message) in CHANGED {
        assert_eq!(ASKING.matches(old).count(), 1, "{old}");
        let error = refused(new, &ASKING.replace(old, new)).to_string();
        assert!(error.contains(&format!(": {message}")), "{error}");
    }
}

/// Tables whose header is the place, or which are empty.
#[test]
fn missing_and_empty_fields_are_told() {
    let fields =
        &ASKING[ASKING.find("[step.fields]").unwrap()..ASKING.find("[[step]] # paid").unwrap()];
    let without = |fields_instead: &str| ASKING.replace(fields, fields_instead);
    let header = |text: String| text.replace("[[step]] # read", "§[[step]] # read");
    for (marked, message) in [
        (header(without("")), "[[step]] has no `fields`; expected `fields` = a table of fields"),
        (
            without("§[step.fields]\n"),
            "[step.fields] is empty; expected at least one field such as `total = { type = \"number\" }`",
        ),
        (
            ASKING
                .replace("receipt = { type = \"string\", description = \"its number\" }", "")
                .replace("[output.fields]", "§[output.fields]"),
            "[output.fields] is empty; expected at least one field such as `total = { type = \"number\" }`",
        ),
    ] {
        let error = refused(message, &marked).to_string();
        assert!(error.contains(&format!(": {message}")), "{error}");
    }
}

/// The file's model is gone: whatever needs it is told, the first of it where it stands.
#[test]
fn what_needs_a_model_is_refused_without() {
    let text = ASKING.replace("model = \"a:b\"\n", "");
    let modes = ["page", "read", "paid"].iter().fold(text, |text, id| {
        text.replace(&format!("id = \"{id}\""), &format!("id = \"{id}\"\non_failure = \"abort\""))
    });
    let unrecovered = modes.replace("[recovery]\nmax_steps = 3\n", "");
    let extract = "extract = \"Invoice: {text}, {token}\"";
    let fields = &unrecovered
        [unrecovered.find("[step.fields]").unwrap()..unrecovered.find("[[step]] # paid").unwrap()];
    let called = unrecovered
        .replace(fields, "")
        .replace(extract, "tool = \"fetch\"\nargs = { url = \"{page}\" }");
    for (marked, message) in [
        (
            modes.replace("[recovery]", "[§recovery]"),
            "`recovery` needs a model, and the file names none; \
             expected a `model` in the file, or no `[recovery]`",
        ),
        (
            unrecovered.replace(extract, &format!("§{extract}")),
            "`extract` needs a model, and the file names none; \
             expected a `model` in the file, or a `tool`",
        ),
        (
            called.replace("[output.fields]", "[output.§fields]"),
            "`fields` needs a model, and the file names none; \
             expected a `model` in the file, or `template` alone",
        ),
    ] {
        let error = refused(message, &marked).to_string();
        assert!(error.contains(&format!(": {message}")), "{error}");
    }
    // Several models are a model.
    load(&ASKING.replace("model = \"a:b\"", "models = [\"a:b\", \"c:d\"]"));
}
