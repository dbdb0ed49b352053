//! What reaches a child, and what does not.

use executus_core::secret::Secret;
use executus_core::{Template, ToolError, ToolSpec};
use executus_process::{BuildError, Environment, ProcessTool};
use serde_json::json;

use crate::support::{call, message, scratch, tool};

#[tokio::test]
async fn a_value_is_one_argument_whatever_it_holds() {
    for value in [
        "; touch /tmp/executus-was-here",
        "$(id)",
        "`id`",
        "a b\tc",
        "two\nlines",
        "-rf",
        "--help",
        "'\"\\",
        "*",
        "{x}",
        "~",
        "",
        "ü 🦀",
    ] {
        // The brackets show where an argument begins and ends.
        let output = call(tool(&["printf", "[%s]", "{x}", "end"]), json!({"x": value})).await;
        assert_eq!(output.unwrap().text, format!("[{value}][end]"));
    }
}

#[tokio::test]
async fn a_value_fills_a_part_of_an_argument() {
    let output = call(tool(&["printf", "[%s]", "--name={x}!"]), json!({"x": "a b"})).await;
    assert_eq!(output.unwrap().text, "[--name=a b!]");
}

#[tokio::test]
async fn a_nul_byte_is_refused() {
    let result = call(tool(&["printf", "%s", "{x}"]), json!({"x": "a\0b"})).await;
    let Err(ToolError::Arguments { message }) = result else { panic!("{result:?}") };
    assert!(message.starts_with("`x` holds a NUL byte"), "{message}");
}

#[tokio::test]
async fn too_long_arguments_are_refused_by_the_system() {
    let long = "x".repeat(1 << 19);
    let result = call(tool(&["printf", "%s", "{x}"]), json!({"x": long})).await;
    let Err(ToolError::Arguments { message }) = result else { panic!("{result:?}") };
    assert!(message.contains("`printf` are too long (524290 bytes)"), "{message}");
}

#[tokio::test]
async fn arguments_that_the_tool_does_not_take_are_refused() {
    let result = call(tool(&["printf", "%s", "{x}"]), json!({"x": "a", "y": "b"})).await;
    let Err(ToolError::Arguments { message }) = result else { panic!("{result:?}") };
    assert_eq!(message, "there is no parameter `y`; there are: x");
    let result = call(tool(&["printf", "%s", "{x}"]), json!({})).await;
    assert!(matches!(result, Err(ToolError::Arguments { .. })), "{result:?}");
}

#[tokio::test]
async fn the_run_binds_what_the_call_may_not() {
    let bound = || {
        tool(&["printf", "%s %s", "{repo}", "{key}"])
            .bind("repo", "a b")
            .bind_secret("key", Secret::new("hush"))
    };
    assert_eq!(call(bound(), json!({})).await.unwrap().text, "a b hush");
    let result = call(bound(), json!({"repo": "/etc"})).await;
    assert!(matches!(result, Err(ToolError::Arguments { .. })), "{result:?}");
    assert!(!format!("{:?}", bound().build().unwrap()).contains("hush"));
}

#[tokio::test]
async fn the_environment_is_what_is_named() {
    // Cargo sets it for every test; the allow-list does not name it.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let output = call(tool(&["env"]), json!({})).await.unwrap().text;
    let names: Vec<_> = output.lines().filter_map(|line| line.split_once('=')).collect();
    assert!(names.iter().any(|(name, _)| *name == "PATH"), "{output}");
    for (name, _) in names {
        assert!(executus_process::DEFAULT_VARIABLES.contains(&name), "{name} passed");
    }
    // `sh` knows nothing of a preloaded library that the host was started with.
    let host = Environment::default().set("LANG", "C").allow("CARGO_MANIFEST_DIR");
    let output = call(tool(&["env"]).environment(host), json!({})).await.unwrap().text;
    assert!(output.contains("CARGO_MANIFEST_DIR=") && output.contains("LANG=C"), "{output}");
    let output = call(tool(&["/usr/bin/env"]).environment(Environment::empty()), json!({})).await;
    assert_eq!(output.unwrap().text, "");
}

#[tokio::test]
async fn the_folder_is_what_is_named() {
    let pwd = |folder: Template| tool(&["pwd"]).current_dir(folder).bind("home", "/");
    let output = call(pwd(Template::parse("{home}usr")), json!({})).await;
    assert_eq!(output.unwrap().text, "/usr");
    let output = call(pwd(Template::new().place("x")), json!({"x": "/"})).await;
    assert_eq!(output.unwrap().text, "/");
    let unbound = tool(&["pwd"]).current_dir(Template::parse("{nobody}")).build();
    assert!(matches!(unbound, Err(BuildError::Unbound { .. })), "{unbound:?}");
}

#[tokio::test]
async fn a_secret_variable_reaches_the_child() {
    let hush = tool(&["sh", "-c", "echo ${#KEY}"]).secret_variable("KEY", Secret::new("hush"));
    assert_eq!(call(hush, json!({})).await.unwrap().text, "4");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let plain = scratch("not-executable");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    for (program, parts) in [
        ("executus-no-such-program", &["cannot start `executus-no-such-program`", "not found"][..]),
        (plain.to_str().unwrap(), &["cannot start `", "permission denied"]),
        ("/", &["cannot start `/`", "permission denied"]),
        ("", &["cannot start ``", "not found"]),
    ] {
        let said = message(call(tool(&[program]), json!({})).await);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let said = message(
        call(tool(&["true"]).current_dir(Template::parse("/no/such/folder")), json!({})).await,
    );
    assert!(said.contains("the folder /no/such/folder was not found"), "{said}");
}

#[test]
fn a_description_that_cannot_work_is_refused() {
    let build = |argv: &[&str]| tool(argv).build().map(drop).unwrap_err();
    assert_eq!(build(&[]), BuildError::NoProgram { tool: "t".to_owned() });
    assert!(matches!(build(&["{x}"]), BuildError::OpenProgram { .. }));
    let unbound = build(&["git", "-C", "{repo}"]);
    assert!(
        matches!(unbound, BuildError::Unbound { ref name, .. } if name == "repo"),
        "{unbound:?}"
    );
    // The host may take the program from a parameter of the run.
    let chosen = ProcessTool::builder(ToolSpec::new("t", "")).argv(["{program}"]);
    assert!(chosen.bind("program", "true").build().is_ok());
}
