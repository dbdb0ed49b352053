//! Servers of the Model Context Protocol, real ones, on their pipes and over HTTP.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use executus_testkit::provider::Answer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{port, program, results, script};
use crate::support::{Home, Scene, Way, eventually};

const CANARY: &str = "c4n4ry-0f-th3-m1n3";

/// A playbook with two tools of the time server, which notes when it begins and ends, and one of the
/// server of files.
fn book(home: &Home) {
    home.playbook(&format!(
        r#"
[params]
notes = {{ type = "string", default = "notes" }}
folder = {{ type = "string", default = "." }}
[[tool]]
name = "convert_time"
kind = "mcp"
argv = ["sh", "-c", "echo begins >> \"$1\"; \"$2\"; echo ends >> \"$1\"", "sh", "{{notes}}", "{time}"]
effect = "read_only"
timeout = "60s"
[tool.params]
time = {{ type = "string" }}
source_timezone = {{ type = "string", default = "UTC" }}
target_timezone = {{ type = "string" }}
[[tool]]
name = "now"
kind = "mcp"
argv = ["sh", "-c", "echo begins >> \"$1\"; \"$2\"; echo ends >> \"$1\"", "sh", "{{notes}}", "{time}"]
tool = "get_current_time"
effect = "read_only"
[tool.params]
timezone = {{ type = "string" }}
[[tool]]
name = "read_text_file"
kind = "mcp"
argv = ["node", "{files}", "."]
cwd = "{{folder}}"
effect = "read_only"
[tool.params]
path = {{ type = "string" }}
head = {{ type = "integer", default = 1 }}
[[step]]
id = "convert"
tool = "convert_time"
args = {{ time = "12:00", target_timezone = "Asia/Tokyo" }}
store_as = "converted"
verify = {{ contains = "21:00" }}
on_failure = "abort"
[[step]]
id = "now"
tool = "now"
args = {{ timezone = "UTC" }}
store_as = "now"
on_failure = "abort"
[[step]]
id = "read"
tool = "read_text_file"
args = {{ path = "a.txt" }}
store_as = "read"
on_failure = "abort"
[output]
template = "{{read}} {{now}}"
"#,
        time = program("time"),
        files = script("filesystem"),
    ));
}

fn notes(home: &Home) -> String {
    fs::read_to_string(home.path().join("notes")).unwrap_or_default()
}

/// Tools that reach a server in the same way share it, and it is ended in order.
#[test]
fn a_playbook_calls_tools_of_servers() {
    let home = Home::new();
    book(&home);
    home.file("a.txt", "first\nsecond\n");
    let said = home.executus(&["run", "book.toml"]).expect(0);
    assert!(said.stdout.starts_with("first"), "{}", said.stdout);
    assert!(!said.stdout.contains("second") && said.stdout.contains("UTC"), "{}", said.stdout);
    assert_eq!(notes(&home), "begins\nends\n");
}

#[test]
fn a_dry_run_starts_no_server() {
    let home = Home::new();
    book(&home);
    home.executus(&["run", "book.toml", "--dry-run"]).expect(0);
    assert_eq!(notes(&home), "");
}

/// What the file says of a tool holds, whatever the server would take.
#[test]
fn arguments_are_checked_before_the_server_is_started() {
    let call = Answer::calls([("now", json!({"timezone": 3, "more": 1}))]);
    let scene = Scene::new(Way::STREAM, [call, Answer::text("done")]);
    scene.agent(
        "prompt = \"p\"\n[[tool]]\nname = \"now\"\nkind = \"mcp\"\n\
         argv = [\"sh\", \"-c\", \"echo begins > notes\"]\n\
         [tool.params]\ntimezone = { type = \"string\" }\n",
    );
    scene.run(&[]).expect(0);
    let results = results(&scene.home);
    assert!(results[0].contains("error: ") && results[0].contains("more"), "{results:?}");
    assert_eq!(notes(&scene.home), "");
}

/// An agent with tools of the server that has a bit of everything, which notes its process.
fn agent(scene: &Scene) {
    let tool = |name: &str, remote: &str, more: &str| {
        format!(
            "[[tool]]\nname = \"{name}\"\nkind = \"mcp\"\ntool = \"{remote}\"\n\
             argv = [\"sh\", \"-c\", \"echo $$ >> notes; exec node \\\"$1\\\" stdio\", \"sh\", \"{}\"]\n\
             env = [\"LET_IN_TOKEN\"]\n{more}\n",
            script("everything")
        )
    };
    scene.agent(&format!(
        "prompt = \"p\"\n[params]\n\
         word = {{ type = \"string\", sensitive = true, default = \"{CANARY}-of-the-run\" }}\n{}{}{}{}",
        tool("echo", "echo", "effect = \"read_only\"\n[tool.params]\nmessage = { type = \"string\" }"),
        tool("weather", "get-structured-content", "[tool.params]\nlocation = { type = \"string\" }"),
        tool("variables", "get-env", ""),
        tool(
            "long",
            "trigger-long-running-operation",
            "[tool.params]\nduration = { type = \"integer\", default = 60 }\n\
             steps = { type = \"integer\", default = 600 }"
        ),
    ));
}

/// Neither a variable of the host nor what one is that was let in is in anything that is kept.
#[test]
fn an_agent_calls_tools_and_the_server_gets_no_secret() {
    let script = [
        Answer::calls([
            ("echo", json!({"message": "grüß"})),
            ("weather", json!({"location": "Chicago"})),
            ("variables", json!({})),
        ]),
        Answer::text("done"),
    ];
    let scene = Scene::new(Way::STREAM, script);
    agent(&scene);
    let said = scene
        .run_command(&["--json"])
        .env("HOST_API_KEY", format!("{CANARY}-of-the-host"))
        .env("LET_IN_TOKEN", format!("{CANARY}-let-in"))
        .env("EXECUTUS_LOG", "trace")
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    scene.no_complaints();
    let results = results(&scene.home);
    assert_eq!(results[0], "Echo: grüß");
    assert!(results[1].contains("humidity"), "{results:?}");
    assert!(
        results[2].contains("LET_IN_TOKEN") && results[2].contains("[redacted]"),
        "{results:?}"
    );
    assert!(!results[2].contains("HOST_API_KEY"), "{results:?}");
    let kept = scene.home.executus(&["explain", "r", "--json"]).expect(0).stdout;
    for text in [kept.as_bytes(), &said.stdout, &said.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(CANARY), "{text}");
    }
    // One server for all of them.
    assert_eq!(notes(&scene.home).lines().count(), 1);
    scene.replays();
}

/// The call that was under way is not made again; the next one starts the server anew.
#[test]
fn a_server_that_is_killed_in_the_middle_is_started_again() {
    let script = [
        Answer::calls([("long", json!({}))]),
        Answer::calls([("echo", json!({"message": "again"}))]),
        Answer::text("done"),
    ];
    let scene = Scene::new(Way::STREAM, script);
    agent(&scene);
    let mut started = scene.start(&["--json"]);
    started.until("tool.progress");
    let pid = notes(&scene.home).trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    started.end().expect(0);
    let results = results(&scene.home);
    assert!(results[0].contains("whether it had its effect is not known"), "{results:?}");
    assert_eq!(results[1], "Echo: again");
    assert_eq!(notes(&scene.home).lines().count(), 2);
}

/// Ctrl-C in the middle of a call: the run is over at once, and the server with it.
#[test]
fn a_run_that_is_stopped_leaves_no_server() {
    let scene = Scene::new(Way::STREAM, [Answer::calls([("long", json!({}))])]);
    agent(&scene);
    let mut started = scene.start(&["--json"]);
    started.until("tool.progress");
    let pid = Pid::from_raw(notes(&scene.home).trim().parse().unwrap()).unwrap();
    crate::support::send(&started.child, Signal::INT);
    started.end().expect(130);
    eventually("the server is gone", || rustix::process::test_kill_process(pid).is_err());
}

/// The everything server over HTTP, until it is dropped.
struct Everything(Child);

impl Everything {
    fn start(home: &Home, port: u16) -> Self {
        let said = home.path().join("said");
        let child = Command::new("node")
            .args([script("everything").as_str(), "streamableHttp"])
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let server = Self(child);
        eventually("the server listens", || {
            fs::read_to_string(&said).unwrap_or_default().contains("listening")
        });
        server
    }
}

impl Drop for Everything {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn a_server_over_http_is_called() {
    let home = Home::new();
    let port = port();
    home.playbook(&format!(
        r#"
[params]
base = {{ type = "string", default = "http://127.0.0.1:{port}" }}
token = {{ type = "string", sensitive = true, default = "{CANARY}" }}
[[tool]]
name = "echo"
kind = "mcp"
url = "{{base}}/mcp"
headers = {{ Authorization = "Bearer {{token}}" }}
[tool.params]
message = {{ type = "string" }}
[[step]]
id = "echo"
tool = "echo"
args = {{ message = "over HTTP" }}
store_as = "echoed"
on_failure = "abort"
[output]
template = "{{echoed}}"
"#
    ));
    let said = home.executus(&["run", "book.toml"]).expect(1);
    assert!(said.stderr.contains("did not start"), "{}", said.stderr);
    assert!(!said.stderr.contains(CANARY), "{}", said.stderr);
    let _running = Everything::start(&home, port);
    let said = home.executus(&["run", "book.toml", "--run-id", "r"]).expect(0);
    assert_eq!(said.stdout, "Echo: over HTTP\n");
    home.file("executus.toml", "[http]\ndeny = [\"127.0.0.0/8\"]\n");
    let said = home.executus(&["run", "book.toml"]).expect(1);
    assert!(said.stderr.contains("127.0.0.1"), "{}", said.stderr);
}
