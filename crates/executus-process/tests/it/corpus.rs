//! The bad inputs of processes: each ends typed, in time and in bounded memory.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use executus_core::{ToolError, ToolOutput};
use executus_process::{
    Answer, FailureKind, Format, OutputLimits, Task, TaskFailure, TaskOutput, strip_escapes,
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    alone_with, call, eventually, is_known, is_running, much, pids, resident_kib, scratch, sh, tool,
};

/// What an input must end with.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Text(String),
    Failed(u16, FailureKind),
    Tool(ToolError),
}

type Case = (&'static str, Pin<Box<dyn Future<Output = End>>>, End);

const LIMIT: Duration = Duration::from_millis(400);
/// More than one takes by itself; beyond it, memory is counted.
const BIG_CAP: usize = 32 * 1024 * 1024;

fn of_task(result: Result<TaskOutput, TaskFailure>) -> End {
    match result {
        Ok(TaskOutput { answer: Answer::Text(text), .. }) => End::Text(text),
        Ok(other) => panic!("expected a text, found {other:?}"),
        Err(failure) => End::Failed(failure.status(), failure.kind()),
    }
}

fn of_tool(result: Result<ToolOutput, ToolError>) -> End {
    match result {
        Ok(output) => End::Text(output.text),
        Err(error) => End::Tool(error),
    }
}

fn run(name: &'static str, task: Task, end: End) -> Case {
    (name, Box::pin(async move { of_task(task.timeout(LIMIT).run().await) }), end)
}

/// A value of the model's, in one argument.
fn value(name: &'static str, value: String, end: Option<End>) -> Case {
    let end = end.unwrap_or_else(|| End::Text(format!("[{value}][end]")));
    let args = json!({"x": value});
    let print = tool(&["printf", "[%s]", "{x}", "end"]);
    (name, Box::pin(async move { of_tool(call(print, args).await) }), end)
}

fn text(text: &str) -> End {
    End::Text(text.to_owned())
}

fn arguments(message: &str) -> Option<End> {
    Some(End::Tool(ToolError::arguments(message)))
}

fn values() -> Vec<Case> {
    let of = |name, text: &str| value(name, text.to_owned(), None);
    let too_long = "the arguments of `printf` are too long (524295 bytes); pass less, or a file";
    vec![
        of("semicolon", "; touch /tmp/executus-was-here"),
        of("command substitution", "$(touch /tmp/executus-was-here)"),
        of("backticks", "`touch /tmp/executus-was-here`"),
        of("newline", "one\ntouch /tmp/executus-was-here"),
        of("leading dash", "-rf"),
        of("long option", "--help"),
        of("LD_PRELOAD as text", "LD_PRELOAD=/no/such.so"),
        value(
            "NUL",
            "a\0b".into(),
            arguments("`x` holds a NUL byte, which no argument of a process can hold"),
        ),
        value("too long", "x".repeat(1 << 19), arguments(too_long)),
    ]
}

fn programs() -> Vec<Case> {
    let failed = End::Failed;
    let (late, exit) = (FailureKind::Timeout, FailureKind::Exit);
    let variables = sh("env | grep -c LD_PRELOAD; echo; true", "sh");
    let big = OutputLimits { stdout: BIG_CAP, stderr: BIG_CAP };
    vec![
        run("LD_PRELOAD of the host", variables, text("0\n")),
        run("missing binary", Task::new("no-such-program"), failed(503, FailureKind::NotFound)),
        run("a folder", Task::new("/usr"), failed(503, FailureKind::Permission)),
        run("ignores SIGTERM", sh("trap '' TERM; sleep 60; sleep 60", "sh"), failed(504, late)),
        run("a grandchild holds the pipe", sh("sleep 60 & echo out", "sh"), text("out")),
        run("setsid", sh("setsid sleep 2 & echo out", "sh"), text("out")),
        run("yes", Task::new("yes"), failed(504, late)),
        run("yes, and much is kept", Task::new("yes").output_limits(big), failed(504, late)),
        run("yes on standard error", sh("yes >&2", "sh").output_limits(big), failed(504, late)),
        run(
            "a flood on standard error",
            sh("yes | head -c 9000000 >&2; exit 1", "sh"),
            failed(500, exit),
        ),
        run("an endless line", sh("tr '\\0' x </dev/zero", "sh"), failed(504, late)),
        run("broken text", sh("tr '\\0' '\\377' </dev/zero", "sh"), failed(504, late)),
        run(
            "its input closed",
            sh("exec 0<&-; exit 0", "sh").input(much()),
            failed(502, FailureKind::Dropped),
        ),
        run("its input never read", sh("sleep 60", "sh").input(much()), failed(504, late)),
        run("no input", Task::new("cat"), text("")),
        run(
            "partial JSON with exit 0",
            sh("printf '{\"a\": [1,'", "sh").format(Format::Json),
            failed(500, FailureKind::Output),
        ),
        run(
            "a report cut short",
            sh("printf '{\"cost\": 1, \"re'", "sh").format(Format::Report),
            failed(500, FailureKind::Output),
        ),
        run(
            "JSON 10,000 deep",
            sh("head -c 10000 /dev/zero | tr '\\0' '['", "sh").format(Format::Json),
            failed(500, FailureKind::Output),
        ),
        run("killed", sh("kill -9 $$", "sh"), failed(504, FailureKind::Signal)),
        run(
            "a fork that outlives it",
            sh("(trap '' TERM; sleep 60) & exit 3", "sh"),
            failed(500, exit),
        ),
    ]
}

/// Counts memory, so it needs a process of its own: the test below starts it.
#[tokio::test]
#[ignore = "started by `every_bad_input_ends_typed`"]
async fn all_of_it() {
    assert!(std::env::var_os("LD_PRELOAD").is_some(), "the host has what children must not");
    call(tool(&["true"]), json!({})).await.unwrap();
    // What is passed to them is ours, and was there before.
    let cases: Vec<_> = values().into_iter().chain(programs()).collect();
    let (tried, before) = (cases.len(), resident_kib());
    for (name, case, expected) in cases {
        let begun = Instant::now();
        assert_eq!(case.await, expected, "{name}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{name}: {:?}", begun.elapsed());
    }
    let (grown, most) = (resident_kib() - before, (BIG_CAP as u64 / 1024) + 8 * 1024);
    assert!(grown <= most, "{tried} inputs took {grown} KiB, {most} KiB may be");
    assert!(!std::path::Path::new("/tmp/executus-was-here").exists(), "a shell has read it");
}

#[test]
fn every_bad_input_ends_typed() {
    alone_with("corpus::all_of_it", &[("LD_PRELOAD", "/no/such.so")]);
}

#[tokio::test]
async fn escape_sequences_do_not_reach_an_error() {
    let script =
        "printf '\\033]0;title\\007\\033[31mred\\033[0m\\033]52;c;Zm9v\\033\\\\' >&2; exit 1";
    let failure = sh(script, "sh").run().await.unwrap_err();
    assert_eq!(failure.detail(), "`sh` ended with exit code 1: red");
    // A text is what the child wrote; whoever prints it strips it.
    let output = sh("printf '\\033[31mred\\033]0;t\\007'", "sh").run().await.unwrap();
    let Answer::Text(text) = output.answer else { panic!() };
    assert_eq!(strip_escapes(&text), "red");
}

/// The one that escapes is ended where it was asked for.
#[tokio::test]
async fn who_leaves_the_session_is_caught() {
    let file = scratch("corpus-setsid");
    let script = "setsid sh -c 'echo $$ > \"$0\"; exec sleep 60' \"$0\" & \
                  while ! test -s \"$0\"; do sleep 0.01; done; echo out";
    let task = sh(script, file.to_str().unwrap()).end_strays();
    assert_eq!(of_task(task.run().await), text("out"));
    let stray = pids(&file, 1).await[0];
    eventually("it is ended", || !is_running(stray)).await;
}

/// Counts descriptors, so it needs a process of its own: the test below starts it.
#[tokio::test]
#[ignore = "started by `nothing_of_them_stays`"]
async fn many_of_each() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let file = scratch("corpus-many");
    let zero = file.to_str().unwrap();
    let short = Duration::from_millis(30);
    let round = || async {
        let named = |rest: &str| sh(&format!("echo $$ >> \"$0\"; {rest}"), zero);
        let _dropped = named("exec 0<&-").input(much()).run().await;
        let _late = named("sleep 60").input(much()).timeout(short).run().await;
        let _killed = named("kill -9 $$").run().await;
        let _gone = Task::new("no-such-program").input("x").run().await;
        let mut lines = named("yes").end_strays().lines().unwrap();
        lines.next().await.unwrap();
        drop(lines);
        let cut_off = named("sleep 60").input(much()).run();
        let _elapsed = tokio::time::timeout(short, cut_off).await;
    };
    round().await;
    let before = descriptors();
    for _ in 0..20 {
        round().await;
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let seen: Vec<i32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(seen.len() > 80, "{}", seen.len());
    eventually("no child is left", || !seen.iter().any(|&pid| is_known(pid))).await;
    eventually("no descriptor is left", || descriptors() == before).await;
}

#[test]
fn nothing_of_them_stays() {
    alone_with("corpus::many_of_each", &[]);
}
