//! Capabilities whose drivers are tools of every kind, with others behind them.

use executus_testkit::hostile::{HostileServer, Reply};
use executus_testkit::provider::Answer;
use serde_json::json;

use super::{port, program, results};
use crate::capability::{actions, explain};
use crate::support::{Scene, Way};

fn capability(drivers: &str) -> String {
    format!(
        r#"
[[capability]]
id = "rows.list"
description = "Lists rows"
safety = "read"
mode = "table"
drivers = [{drivers}]
"#
    )
}

/// The first server is down, and its circuit opens: what also asks it fails at once.
#[test]
fn the_second_server_serves_while_the_first_is_left_alone() {
    let call = || Answer::calls([("rows__list", json!({}))]);
    let direct = Answer::calls([("dead_too", json!({}))]);
    let script = [call(), call(), call(), call(), direct, Answer::text("done")];
    let scene = Scene::new(Way::STREAM, script);
    let alive = HostileServer::always(Reply::json(&json!([{"row": 1}, {"row": 2}])));
    let get = |name: &str, url: &str| {
        format!(
            "[[tool]]\nname = \"{name}\"\nkind = \"http\"\nmethod = \"GET\"\nurl = \"{url}\"\n\
             effect = \"read_only\"\n"
        )
    };
    let dead = format!("http://127.0.0.1:{}", port());
    scene.agent(&format!(
        "prompt = \"p\"\n{}{}{}{}",
        get("dead", &format!("{dead}/rows")),
        get("dead_too", &format!("{dead}/other")),
        get("alive", &alive.url("/rows")),
        capability("\"dead\", \"alive\""),
    ));
    scene.run(&[]).expect(0);
    let results = results(&scene.home);
    assert!(results[..4].iter().all(|text| text.contains("{\"row\":2}")), "{results:?}");
    assert!(results[4].contains("its circuit is open"), "{results:?}");
    assert_eq!(alive.counts().requests, 4);
    for action in actions(&scene) {
        let action = explain(&scene, &action);
        assert_eq!(
            (&action["driver_id"], &action["counts"]["fallback_count"]),
            (&json!("alive"), &json!(1))
        );
    }
}

/// Each kind in front of each other: the one that serves is the last.
#[test]
fn every_kind_of_tool_is_a_driver() {
    let call = || Answer::calls([("rows__list", json!({"timezone": "UTC"}))]);
    let down = port();
    let alive = HostileServer::always(Reply::json(&json!({"timezone": "of the site"})));
    let tools = format!(
        r#"
prompt = "p"
[[tool]]
name = "program"
kind = "process"
argv = ["sh", "-c", "test -e works && echo '{{\"timezone\": \"of the program\"}}'"]
effect = "read_only"
params = {{ timezone = {{ type = "string" }} }}
[[tool]]
name = "site"
kind = "http"
method = "GET"
url = "{}"
effect = "read_only"
params = {{ timezone = {{ type = "string" }} }}
[[tool]]
name = "no_site"
kind = "http"
method = "GET"
url = "http://127.0.0.1:{down}/"
effect = "read_only"
params = {{ timezone = {{ type = "string" }} }}
[[tool]]
name = "server"
kind = "mcp"
argv = ["{}"]
tool = "get_current_time"
effect = "read_only"
params = {{ timezone = {{ type = "string" }} }}
[[tool]]
name = "no_server"
kind = "mcp"
url = "http://127.0.0.1:{down}/mcp"
effect = "read_only"
params = {{ timezone = {{ type = "string" }} }}
"#,
        alive.url("/"),
        program("time")
    );
    for (drivers, serves, part) in [
        ("\"program\", \"no_site\", \"server\"", "server", "\"timezone\":\"UTC\""),
        ("\"no_server\", \"program\", \"site\"", "site", "of the site"),
    ] {
        let scene = Scene::new(Way::STREAM, [call(), Answer::text("done")]);
        scene.agent(&format!("{tools}{}", capability(drivers).replace("table", "raw")));
        let scene_file = scene.home.path().join("agent.toml");
        let text = std::fs::read_to_string(&scene_file).unwrap();
        let text =
            text.replace("[[capability]]", "[principal]\nroles = [\"admin\"]\n[[capability]]");
        std::fs::write(&scene_file, text).unwrap();
        scene.run(&[]).expect(0);
        let results = results(&scene.home);
        assert!(results[0].contains(part), "{drivers}: {results:?}");
        let action = explain(&scene, &actions(&scene)[0]);
        assert_eq!(action["driver_id"], json!(serves), "{drivers}");
        assert_eq!(action["counts"]["fallback_count"], json!(2), "{drivers}");
    }
}
