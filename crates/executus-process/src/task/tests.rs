//! An input that is dropped in either way.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::util::SubscriberInitExt;

use super::*;
use crate::{DROPPED, FailureKind};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a little and lets go, of a pipe or of a socket.
fn lets_go(by_socket: bool) -> Task {
    // More than the system keeps of what a socket has not read yet.
    const INPUT: usize = 64_000_000;
    let script = "head -c 1 >/dev/null; exec 0<&-; echo unauthorized >&2";
    let mut task = Task::new("sh").args(["-c", script]).input(vec![b'x'; INPUT]);
    task.care.by_socket = by_socket;
    task
}

/// SP-02
#[tokio::test]
async fn a_reset_input_is_a_dropped_one() {
    let mut seen = Vec::new();
    for (by_socket, kind) in [(false, ErrorKind::BrokenPipe), (true, ErrorKind::ConnectionReset)] {
        let mut running = lets_go(by_socket).start(Output::Keep(Keep::Head)).unwrap();
        assert_eq!(running.next_line(std::future::pending()).await, None);
        assert_eq!(running.unread(), Some(kind), "what this is about");

        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
        let guard = lines.with_writer(move || writer.clone()).set_default();
        let failure = lets_go(by_socket).run().await.unwrap_err();
        drop(guard);
        let logged = String::from_utf8(log.0.lock().clone()).unwrap();
        assert_eq!((failure.status(), failure.kind()), (502, FailureKind::Dropped));
        seen.push((failure.detail().to_owned(), failure.class(), failure.retry(), logged));
    }
    assert_eq!(seen[0], seen[1]);
    let (detail, class, _, logged) = &seen[0];
    assert_eq!((&**detail, class), (DROPPED, &None));
    assert_eq!(logged.trim(), format!("INFO {DROPPED} status=502"));
}
