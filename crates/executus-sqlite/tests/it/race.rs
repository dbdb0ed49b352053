//! Several processes that open one new file at once.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use executus_sqlite::{Config, OpenError, Store};

use crate::work::{SCHEMA, Work};

const PROCESSES: usize = 8;
const ROUNDS: usize = 20;

/// A process that opens what it is told to.
struct Opener {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStderr>>,
}

impl Opener {
    fn spawn() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "race::opens_what_it_is_told", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, orders, answers }
    }

    fn order(&mut self, path: &Path) {
        writeln!(self.orders, "{}", path.display()).unwrap();
    }

    fn answer(&mut self) -> String {
        self.answers.next().unwrap().unwrap()
    }

    fn end(mut self) {
        drop(self.orders);
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn many_processes_make_one_file_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut openers: Vec<_> = (0..PROCESSES).map(|_| Opener::spawn()).collect();
    // Their first one may be late; the files after it are opened by all at once.
    for round in 0..=ROUNDS {
        let path = folder.path().join(format!("{round}.db"));
        openers.iter_mut().for_each(|opener| opener.order(&path));
        for opener in &mut openers {
            assert_eq!(opener.answer(), "opened", "round {round}");
        }
    }
    openers.into_iter().for_each(Opener::end);
}

#[test]
#[ignore = "a process of the test above; by itself it has nothing to do"]
fn opens_what_it_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let open = |path: String| -> Result<(), OpenError> {
        let store = Store::<Work>::open(Config::new(path), SCHEMA)?;
        // Others open while this one closes: the last one takes the log away.
        runtime.block_on(store.close());
        Ok(())
    };
    for path in std::io::stdin().lines() {
        let answer = match open(path.unwrap()) {
            Ok(()) => "opened".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        writeln!(std::io::stderr(), "{answer}").unwrap();
    }
}
