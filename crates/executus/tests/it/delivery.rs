//! Results that go where the configuration says.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Home, end, eventually, send};

const BOOK: &str = r#"
[[tool]]
name = "say"
kind = "process"
argv = ["WHAT", "done"]
[[step]]
id = "one"
tool = "say"
on_failure = "abort"
store_as = "said"
[output]
template = "said {said}"
"#;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn book(home: &Home, what: &str, more: &str) -> String {
    let path = home.playbook(&format!("{}{more}", BOOK.replace("WHAT", what)));
    path.to_str().unwrap().to_owned()
}

/// A server that answers each request with the next of these statuses, the last one for ever.
fn server(statuses: &'static [u16]) -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        let mut status = *statuses.next().unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = request(&mut stream) else { continue };
            let answer =
                format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            status = *statuses.next().unwrap_or(&status);
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (port, received)
}

fn request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse().unwrap() {
                return Some((head.to_owned(), serde_json::from_str(body).unwrap()));
            }
        }
        match stream.read(&mut chunk).unwrap() {
            0 => return None,
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn entries(home: &Home, args: &[&str]) -> Vec<Value> {
    home.executus(&[&["outbox", "list", "--json"], args].concat()).expect(0).json()
}

/// DV-02, DV-03: successes to one target, errors to another, each a file.
#[test]
fn results_go_to_their_targets() {
    let home = Home::new();
    home.file(
        "executus.toml",
        "[[deliver]]\nname = \"good\"\nkind = \"folder\"\npath = \"good\"\non = \"ok\"\n\
         [[deliver]]\nname = \"bad\"\nkind = \"file\"\npath = \"bad.json\"\non = \"error\"\n",
    );
    let said = home.executus(&["run", &book(&home, "echo", ""), "--run-id", "one"]).expect(0);
    assert!(!said.stderr.contains("outbox"), "{}", said.stderr);
    let result: Value =
        serde_json::from_slice(&fs::read(home.path().join("good/one.json")).unwrap()).unwrap();
    assert_eq!(result["data"]["status"], "ok");
    assert!(!home.path().join("bad.json").exists());
    home.executus(&["run", &book(&home, "false", "")]).expect(1);
    let result: Value =
        serde_json::from_slice(&fs::read(home.path().join("bad.json")).unwrap()).unwrap();
    assert_eq!(result["type"], "run.error");
    assert_eq!(fs::read_dir(home.path().join("good")).unwrap().count(), 1);
    assert_eq!(entries(&home, &["--state", "sent"]).len(), 2);
    assert_eq!(entries(&home, &[]).len(), 0);
}

/// A run file chooses among the targets, and which results; one that is not there is told before
/// anything runs.
#[test]
fn a_run_file_chooses() {
    let home = Home::new();
    home.file(
        "executus.toml",
        "[[deliver]]\nname = \"a\"\nkind = \"folder\"\npath = \"a\"\n\
         [[deliver]]\nname = \"b\"\nkind = \"folder\"\npath = \"b\"\n",
    );
    let chosen = "[[deliver]]\nto = \"b\"\non = \"ok\"\n";
    home.executus(&["run", &book(&home, "echo", chosen)]).expect(0);
    home.executus(&["run", &book(&home, "false", chosen)]).expect(1);
    assert!(!home.path().join("a").exists());
    assert_eq!(fs::read_dir(home.path().join("b")).unwrap().count(), 1);
    let unknown = "[[deliver]]\nto = \"c\"\n";
    let said = home.executus(&["run", &book(&home, "echo", unknown)]).expect(2);
    assert!(said.stderr.contains("no target `c`"), "{}", said.stderr);
    for (mistake, told) in [
        ("[[deliver]]\nto = \"b\"\n[[deliver]]\nto = \"b\"\n", "named twice"),
        ("[[deliver]]\nto = \"b\"\nwhen = \"ok\"\n", "`to`"),
        ("[[deliver]]\non = \"ok\"\n", "the name of a target"),
        ("[[deliver]]\nto = \"b\"\non = \"success\"\n", "`always`"),
    ] {
        let said = home.executus(&["run", &book(&home, "echo", mistake)]).expect(2);
        assert!(said.stderr.contains(told), "{mistake}: {}", said.stderr);
    }
}

/// A receiver that refuses leaves a dead letter: listed, sent again when told, and no secret of it is
/// shown.
#[test]
fn dead_letters_are_listed_and_sent_again() {
    let home = Home::new();
    let (port, received) = server(&[403, 200]);
    home.file(
        "executus.toml",
        "[[deliver]]\nname = \"hook\"\nkind = \"webhook\"\nurl_env = \"HOOK\"\n\
         key_env = \"HOOK_KEY\"\ntoken_env = \"HOOK_TOKEN\"\n",
    );
    let secret = |args: &[&str]| {
        let mut command = home.command();
        command.env("HOOK", format!("http://127.0.0.1:{port}/s3cret-path"));
        command.env("HOOK_KEY", KEY).env("HOOK_TOKEN", "t0ken").args(args);
        crate::support::Said::from(command.output().unwrap())
    };
    let book = book(&home, "echo", "");
    let said = home.executus(&["run", &book]).expect(2);
    assert!(said.stderr.contains("`hook`: the variable HOOK is not set"), "{}", said.stderr);
    let said = secret(&["run", &book, "--run-id", "one"]).expect(0);
    assert!(said.stderr.contains("executus outbox retry"), "{}", said.stderr);
    let (head, body) = received.recv().unwrap();
    assert!(head.contains("idempotency-key: one") && head.contains("webhook-signature: v1,"));
    assert!(head.contains("authorization: Bearer t0ken"), "{head}");
    assert_eq!(body["data"]["key"], "one");
    let dead = entries(&home, &[]);
    assert_eq!((dead.len(), &dead[0]["state"]), (1, &Value::from("dead")));
    assert!(dead[0]["error"].as_str().unwrap().contains("403"));
    let listed = home.executus(&["outbox", "list"]).expect(0).stdout;
    for secret in ["s3cret-path", "t0ken", "MfKQ9r8"] {
        assert!(!format!("{listed}{dead:?}{}", said.stderr).contains(secret), "{listed}");
    }
    home.executus(&["outbox", "retry", "--run", "two"]).expect(0);
    home.executus(&["outbox", "retry"]).expect(0);
    secret(&["outbox", "run", "--once"]).expect(0);
    assert!(received.recv().unwrap().0.contains("idempotency-key: one"));
    assert_eq!(entries(&home, &[]).len(), 0);
    home.executus(&["outbox", "discard"]).expect(0);
}

/// What could not be sent while the run ended is sent by a process of its own, until it is stopped.
#[test]
fn what_waits_is_sent_by_the_outbox() {
    let home = Home::new();
    let (port, received) = server(&[503, 200]);
    home.file(
        "executus.toml",
        &format!(
            "[outbox]\nwait = \"100ms\"\n[[deliver]]\nname = \"chat\"\nkind = \"chat\"\n\
             url = \"http://127.0.0.1:{port}/\"\n"
        ),
    );
    let said = home.executus(&["run", &book(&home, "echo", ""), "--run-id", "one"]).expect(0);
    assert!(said.stderr.contains("executus outbox run"), "{}", said.stderr);
    let (_, body) = received.recv().unwrap();
    assert!(body["text"].as_str().unwrap().contains("_run one_"), "{body}");
    let mut command = home.command();
    let sender = command.args(["outbox", "run"]).stderr(std::process::Stdio::piped());
    let sender = sender.stdout(std::process::Stdio::piped()).spawn().unwrap();
    received.recv().unwrap();
    eventually("it is marked", || entries(&home, &["--state", "sent"]).len() == 1);
    send(&sender, Signal::INT);
    let said = end(sender).expect(0);
    assert!(said.stderr.contains("0 wait, 0 were given up"), "{}", said.stderr);
}

/// A target that cannot be one is told with its place.
#[test]
fn a_wrong_target_is_told() {
    let home = Home::new();
    let book = book(&home, "echo", "");
    for (table, told) in [
        ("kind = \"folder\"", "needs `path`"),
        ("kind = \"folder\"\npath = \"a\"\nurl = \"http://h/\"", "has no `url`"),
        ("kind = \"webhook\"", "`url_env`"),
        ("kind = \"webhook\"\nurl = \"ftp://h/\"", "`x`: the URL"),
        ("kind = \"pigeon\"", "unknown variant"),
        (
            "kind = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = \"nobody\"",
            "`nobody` is no mailbox",
        ),
        ("kind = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"", "needs `to`"),
    ] {
        home.file("executus.toml", &format!("[[deliver]]\nname = \"x\"\n{table}\n"));
        let said = home.executus(&["run", &book]).expect(2);
        assert!(said.stderr.contains(told), "{table}: {}", said.stderr);
    }
    let said = home.executus(&["--config", "/dev/null", "outbox", "run"]).expect(2);
    assert!(said.stderr.contains("no target"), "{}", said.stderr);
    home.executus(&["--config", "/dev/null", "outbox", "list"]).expect(0);
}
