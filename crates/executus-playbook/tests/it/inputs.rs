//! Binding inputs to parameters.

use executus_playbook::{Bound, InputError, RunFile};
use serde_json::json;

const FILE: &str = r#"
kind = "agent"
name = "inputs"
model = "a:b"
prompt = "p"
[params]
repo = { type = "string", default = "." }
count = { type = "integer", default = 5, min = 1, max = 50 }
ratio = { type = "number", default = 0.5, max = 1 }
deep = { type = "boolean", default = false }
user = { type = "string", env = "RUN_USER" }
token = { type = "string", sensitive = true, env = "RUN_TOKEN", default = "none" }
pin = { type = "integer", sensitive = true, default = 1234, max = 9999 }
"#;

fn bind(inputs: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Bound, InputError> {
    let file = RunFile::parse("inputs.toml", FILE).unwrap();
    let inputs: Vec<_> =
        inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let env =
        |name: &str| env.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
    file.bind(&inputs, &env)
}

#[test]
fn inputs_go_before_the_environment_and_that_before_defaults() {
    let bound = bind(
        &[("count", "7"), ("ratio", "1"), ("deep", "true"), ("repo", "a{count}=b c")],
        &[("RUN_USER", "ada"), ("RUN_TOKEN", "from-env"), ("count", "9")],
    )
    .unwrap();
    assert_eq!(
        bound.inputs,
        json!({"repo": "a{count}=b c", "count": 7, "ratio": 1, "deep": true, "user": "ada"})
    );
    assert_eq!(bound.secrets.get("token").unwrap().expose(), "from-env");
    assert_eq!(bound.secrets.get("pin").unwrap().expose(), "1234");

    let bound = bind(&[("user", "bob"), ("token", "given")], &[("RUN_USER", "ada")]).unwrap();
    assert_eq!(bound.inputs["user"], json!("bob"));
    assert_eq!(bound.inputs["ratio"], json!(0.5));
    assert_eq!(bound.secrets.get("token").unwrap().expose(), "given");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    for (inputs, message) in [
        (
            [("branch", "x")].as_slice(),
            "there is no parameter `branch`; \
             there are: repo, count, ratio, deep, user, token, pin",
        ),
        (&[("user", "a"), ("user", "b")], "the parameter `user` is given twice; give it once"),
        (
            &[],
            "the parameter `user` is missing; give it as an input, a text, \
             or set the environment variable RUN_USER",
        ),
        (
            &[("count", "five")],
            "the parameter `count` is \"five\"; expected an integer from 1 to 50",
        ),
        (&[("count", "51")], "the parameter `count` is \"51\"; expected an integer from 1 to 50"),
        (&[("count", "")], "the parameter `count` is \"\"; expected an integer from 1 to 50"),
        (&[("count", "1.0")], "the parameter `count` is \"1.0\"; expected an integer from 1 to 50"),
        (&[("ratio", "NaN")], "the parameter `ratio` is \"NaN\"; expected a number of at most 1"),
        (
            &[("ratio", "1e400")],
            "the parameter `ratio` is \"1e400\"; expected a number of at most 1",
        ),
        (&[("deep", "yes")], "the parameter `deep` is \"yes\"; expected true or false"),
    ] {
        assert_eq!(bind(inputs, &[]).unwrap_err().to_string(), message);
    }
}

#[test]
fn no_error_shows_a_sensitive_value() {
    for (inputs, env) in [
        ([("pin", "hunter2"), ("user", "u")].as_slice(), [].as_slice()),
        (&[("pin", "99999"), ("user", "u")], &[]),
    ] {
        let error = bind(inputs, env).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("99999"), "{shown}");
        assert_eq!(
            error.to_string(),
            "the parameter `pin` is [redacted]; expected an integer of at most 9999"
        );
    }
    let bound = bind(&[("token", "hunter2"), ("user", "u")], &[]).unwrap();
    assert!(!format!("{bound:?}").contains("hunter2"));
}

#[test]
fn a_bad_value_of_the_environment_names_its_variable() {
    let file = RunFile::parse(
        "env.toml",
        FILE.replace("user = { type = \"string\"", "user = { type = \"integer\""),
    )
    .unwrap();
    let error = file.bind(&[], &|name| (name == "RUN_USER").then(|| "ada".into())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter `user` is \"ada\" in the environment variable RUN_USER; expected an integer"
    );
}
