//! How much memory what is too much takes: the client is alone in a process, and the system counts.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::{fs, io};

use executus_http::events::Framing;
use executus_http::{Method, Request};
use executus_testkit::hostile::{HostileServer, Reply};

use super::{CAP, Case, End, Limits, Taken, large, taken};
use crate::support::client;

/// What may be resident beside a body as large as allowed.
const BESIDE: usize = 8 << 20;

const WAYS: [(Taken, &str); 5] = [
    (Taken::Bytes, "bytes"),
    (Taken::Json, "json"),
    (Taken::Text, "text"),
    (Taken::Pieces(Framing::Sse), "sse"),
    (Taken::Pieces(Framing::Lines), "lines"),
];

/// What the system says of this process, in bytes.
fn resident(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// The client. Its standard input says what to ask for, and how.
#[tokio::test]
#[ignore = "run by whatever_is_too_much_stays_bounded in a process of its own"]
async fn client_alone() {
    let asked = io::read_to_string(io::stdin()).unwrap();
    let words: Vec<_> = asked.split_whitespace().collect();
    let [url, way, end] = words[..] else { panic!("unexpected: {asked}") };
    let way = WAYS.iter().find(|(_, name)| *name == way).unwrap().0;
    let late = End::Late(executus_http::Phase::Headers);
    let limits = Limits::of(if end == "late" { late } else { End::Whole });
    // What is made once, whatever is asked for.
    let first = Request::new(Method::Get, &format!("{url}/first")).unwrap();
    client().send(first).await.unwrap().bytes(9).await.unwrap();
    // From here on the peak is that of the case.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = resident("VmRSS:");
    let found = taken(url, way, limits).await;
    let more = resident("VmHWM:").saturating_sub(before);
    println!("\nfound {found:?}\ntook {more}");
}

/// How it ends, and how many bytes it takes at most.
fn measure(case: &Case) -> (String, usize) {
    let reply = case.reply.clone();
    let server = HostileServer::start(move |request| match request.path.as_str() {
        "/p/first" => Reply::ok("hello"),
        _ => reply.clone(),
    });
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "body::memory::client_alone", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let way = WAYS.iter().find(|(taken, _)| *taken == case.taken).unwrap().1;
    let end = if matches!(case.end, End::Late(_)) { "late" } else { "soon" };
    let asked = format!("{} {way} {end}", server.url("/p"));
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let (mut told, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success(), "{}: {told}{errors}", case.name);
    let line = |start: &str| told.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    (line("found ").to_owned(), line("took ").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_too_much_stays_bounded() {
    for case in large().await {
        let (found, bytes) = tokio::task::block_in_place(|| measure(&case));
        println!("{}: {found}, {} KiB", case.name, bytes / 1024);
        assert_eq!(found, format!("{:?}", case.end), "{}", case.name);
        assert!(bytes <= CAP + BESIDE, "{} took {bytes} bytes", case.name);
    }
}
