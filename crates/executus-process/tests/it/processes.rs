//! The list of children.

use std::time::Duration;

use executus_process::{FailureKind, Processes, Task};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{call, eventually, is_known, message, pids, scratch, sh, tool};

#[tokio::test]
async fn children_are_listed_while_they_run() {
    let processes = Processes::new();
    let file = scratch("listed");
    let script = "echo $$ > \"$0\"; read line";
    let task = sh(script, file.to_str().unwrap()).processes(&processes);
    let mut lines = task.lines().unwrap();
    let pid = pids(&file, 1).await[0];
    let list = processes.list();
    assert_eq!((list.len(), list[0].pid, &*list[0].program), (1, pid as u32, "sh"));
    let _no_input = lines.next().await;
    drop(lines);
    assert_eq!(processes.list(), []);
    // Tools are listed too, and one that never started is not.
    let _gone = Task::new("executus-no-such-program").processes(&processes).run().await;
    call(tool(&["true"]).processes(&processes), json!({})).await.unwrap();
    assert_eq!(processes.list(), []);
}

#[tokio::test]
async fn one_child_is_ended_by_its_number() {
    let processes = Processes::new();
    let run = |seconds: &str| Task::new("sleep").args([seconds]).processes(&processes).run();
    let end = async {
        let list = loop {
            let list = processes.list();
            if list.len() == 2 {
                break list;
            }
            tokio::task::yield_now().await;
        };
        assert!(processes.end(list[0].id));
        assert!(!processes.end(999));
    };
    let (first, second, ()) = tokio::join!(run("60"), run("0.3"), end);
    assert_eq!(first.unwrap_err().kind(), FailureKind::Cancelled);
    assert!(second.is_ok());
    assert_eq!(processes.list(), []);
}

#[tokio::test]
async fn closing_ends_all_and_waits() {
    let processes = Processes::new();
    let (meek, stubborn) = (scratch("close-meek"), scratch("close-stubborn"));
    let meek_script = "trap 'exit 0' TERM; echo $$ > \"$0\"; sleep 60 & wait";
    let stubborn_script = "trap '' TERM; echo $$ > \"$0\"; sleep 60 & wait; wait";
    let mut runs = JoinSet::new();
    for (script, file) in [(meek_script, &meek), (stubborn_script, &stubborn)] {
        runs.spawn(sh(script, file.to_str().unwrap()).processes(&processes).run());
    }
    let seen = [pids(&meek, 1).await[0], pids(&stubborn, 1).await[0]];
    let begun = Instant::now();
    assert_eq!(processes.close(Duration::from_secs(3)).await, []);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(!seen.iter().any(|&pid| is_known(pid)), "they are waited for");
    while let Some(result) = runs.join_next().await {
        assert_eq!(result.unwrap().unwrap_err().kind(), FailureKind::Cancelled);
    }
    let failure = Task::new("true").processes(&processes).run().await.unwrap_err();
    assert_eq!((failure.kind(), failure.status()), (FailureKind::Cancelled, 504));
    assert_eq!(failure.class(), None);
    let late = call(tool(&["true"]).processes(&processes), json!({})).await;
    assert_eq!(message(late), "`true` was not started: the host is ending");
    assert_eq!(processes.close(Duration::ZERO).await, []);
}

#[tokio::test]
async fn closing_ends_a_stream_that_nobody_reads() {
    let processes = Processes::new();
    let file = scratch("close-unread");
    let script = "trap '' TERM; echo $$ > \"$0\"; sleep 60; sleep 60";
    let lines = sh(script, file.to_str().unwrap()).processes(&processes).lines().unwrap();
    let pid = pids(&file, 1).await[0];
    let left = processes.close(Duration::from_millis(50)).await;
    assert_eq!(left.len(), 1, "nobody has waited for it");
    assert!(!crate::support::is_running(pid));
    drop(lines);
    assert_eq!(processes.close(Duration::from_secs(3)).await, []);
    assert!(!is_known(pid));
}

#[tokio::test]
async fn a_dropped_task_is_listed_until_it_is_gone() {
    let processes = Processes::new();
    let file = scratch("close-dropped");
    let script = "echo $$ > \"$0\"; sleep 60; true";
    let task = sh(script, file.to_str().unwrap()).processes(&processes).lines().unwrap();
    let pid = pids(&file, 1).await[0];
    drop(task);
    assert_eq!(processes.close(Duration::from_secs(3)).await, []);
    assert!(!is_known(pid));
    eventually("the list is empty", || processes.list().is_empty()).await;
}
