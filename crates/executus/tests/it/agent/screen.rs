//! What a model says, in a terminal and in a pipe.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use executus_testkit::provider::Answer;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::support::{Scene, WAYS, Way, at_once, eventually, send};

const LOOK: &str = "prompt = \"Look.\"\n[[tool]]\nname = \"look\"\nkind = \"process\"\n\
     argv = [\"echo\", \"nothing\"]\neffect = \"read_only\"\n";

/// A terminal, and what it has shown so far.
struct Terminal {
    end: File,
    screen: File,
    shown: String,
}

/// Which streams of a process are the terminal; the other one goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Output,
    Error,
    Both,
}

impl Terminal {
    fn open() -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let name = ptsname(&end, Vec::new()).unwrap();
        let name = std::ffi::OsStr::from_bytes(name.to_bytes());
        let screen = OpenOptions::new().read(true).write(true).open(name).unwrap();
        Self { end: File::from(end), screen, shown: String::new() }
    }

    /// Starts a command here.
    fn start(&self, mut command: Command, seen: Seen) -> Child {
        let stream = |is_here: bool, other: fn() -> Stdio| match is_here {
            true => Stdio::from(self.screen.try_clone().unwrap()),
            false => other(),
        };
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdout(stream(seen != Seen::Error, Stdio::piped))
            .stderr(stream(seen != Seen::Output, Stdio::null))
            .spawn()
            .unwrap()
    }

    /// Reads on until the screen shows this.
    fn until(&mut self, text: &str) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while !self.shown.contains(text) {
            let count = self.end.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..count]);
            if let Ok(read) = std::str::from_utf8(&bytes) {
                self.shown.push_str(read);
                bytes.clear();
            }
        }
    }

    /// All that is shown until the last writer is gone.
    fn rest(self) -> String {
        let Self { mut end, screen, shown } = self;
        drop(screen);
        let mut bytes = shown.into_bytes();
        let mut buffer = [0; 4096];
        // The terminal ends with an error when its last writer is gone.
        while let Ok(count @ 1..) = end.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(bytes).unwrap()
    }
}

/// Runs the agent to its good end; what the terminal has shown, and the piped standard output.
fn shown(scene: &Scene, seen: Seen) -> (String, String) {
    shown_by(scene.run_command(&[]), seen)
}

/// The same of any command.
pub(crate) fn shown_by(command: Command, seen: Seen) -> (String, String) {
    let terminal = Terminal::open();
    let mut child = terminal.start(command, seen);
    let piped = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut piped) = piped {
            piped.read_to_string(&mut text).unwrap();
        }
        text
    });
    let shown = terminal.rest();
    assert!(child.wait().unwrap().success(), "{shown}");
    (shown, reader.join().unwrap())
}

#[test]
fn the_first_words_are_there_before_the_last_are_sent() {
    let streamed: Vec<_> = WAYS.into_iter().filter(|way| way.stream).collect();
    at_once(&streamed, |way| {
        for seen in [Seen::Output, Seen::Error, Seen::Both] {
            let answer = Answer::text("one two three four").hang_after_pieces(2);
            let scene = Scene::new(*way, [answer]);
            scene.agent(LOOK);
            let mut terminal = Terminal::open();
            let mut child = terminal.start(scene.run_command(&[]), seen);
            // The server holds back the rest for ever.
            terminal.until("one two ");
            assert_eq!((scene.server.answered(), scene.server.aborted()), (0, 0));
            send(&child, Signal::INT);
            let shown = terminal.rest();
            assert_eq!(child.wait().unwrap().code(), Some(130));
            assert!(!shown.contains("three"), "{shown:?}");
            assert!(seen == Seen::Output || shown.contains("cancelled"), "{shown:?}");
        }
    });
}

#[test]
fn the_text_is_shown_once() {
    at_once(&WAYS, |way| {
        for seen in [Seen::Output, Seen::Error, Seen::Both] {
            let scene = Scene::new(
                *way,
                [
                    Answer::calls([("look", json!({}))]).and_text("Let me see."),
                    Answer::text("It is nothing,\nreally \u{1f600}."),
                ],
            );
            scene.agent(LOOK);
            let (shown, piped) = shown(&scene, seen);
            // Whole it is not shown as it comes, so it is shown as the result alone.
            let times = usize::from(seen != Seen::Error || way.stream);
            assert_eq!(shown.matches("It is nothing,").count(), times, "{seen:?} {shown:?}");
            assert_eq!(shown.matches("really \u{1f600}.").count(), times, "{seen:?} {shown:?}");
            // What was not shown as it came is what the line of progress is called by.
            let said = !way.stream || shown.matches("Let me see.").count() == 1;
            assert!(said, "{seen:?} {shown:?}");
            if seen == Seen::Error {
                assert_eq!(piped, "It is nothing,\nreally \u{1f600}.\n");
            }
            if seen == Seen::Output {
                assert!(shown.ends_with("really \u{1f600}.\r\n"), "{shown:?}");
            }
        }
    });
}

/// An attempt that failed is taken back, and the text of the next one is whole.
#[test]
fn a_second_attempt_is_told_from_the_first() {
    let cut = Answer::text("first words gone").cut_after_pieces(2);
    let scene = Scene::new(Way::STREAM, [cut, Answer::text("second words stay")]);
    scene.agent(LOOK);
    let (shown, _) = shown(&scene, Seen::Both);
    let first = shown.find("first words").unwrap();
    let second = shown.find("second words stay").unwrap();
    assert!(first < second, "{shown:?}");
    assert!(shown[first..second].contains("once more"), "{shown:?}");
    assert_eq!(shown.matches("second words stay").count(), 1, "{shown:?}");
}

/// A long answer, as fast as it comes, before somebody who reads late: pieces that the terminal
/// had no room for are shown in the end.
#[test]
fn a_long_text_is_shown_once() {
    let text: String = (0..3000).map(|n| format!("word{n} ")).collect();
    at_once(&[Seen::Output, Seen::Both], |seen| {
        let calls = Answer::calls([("look", json!({}))]).and_text("Let me see.");
        let scene = Scene::new(Way::STREAM, [calls, Answer::text(&*text)]);
        scene.agent(LOOK);
        let terminal = Terminal::open();
        let mut child = terminal.start(scene.run_command(&[]), *seen);
        eventually("all is sent", || scene.server.answered() == 2);
        let shown = terminal.rest();
        assert!(child.wait().unwrap().success(), "{shown}");
        assert!(shown.contains(text.trim()), "{shown:?}");
        for word in ["word0 ", "word7 ", "word1500 ", "word2999"] {
            assert_eq!(shown.matches(word).count(), 1, "{word}");
        }
    });
}

const ESCAPES: &str =
    "be \u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}and \u{9b}2Jclean\u{7f} \u{8}now\r.";

#[test]
fn escapes_do_not_reach_the_terminal() {
    at_once(&WAYS, |way| {
        let scene = || {
            let calls = Answer::calls([("look\u{1b}[2J", json!({}))]).and_text(ESCAPES);
            let scene = Scene::new(*way, [calls, Answer::text(ESCAPES)]);
            scene.agent(LOOK);
            scene
        };
        let (output, _) = shown(&scene(), Seen::Output);
        assert!(output.contains("red") && output.contains("now"), "{output:?}");
        for bad in ['\u{1b}', '\u{7}', '\u{9b}', '\u{8}', '\u{7f}'] {
            assert!(!output.contains(bad), "{bad:?} in {output:?}");
        }
        // The lines of progress have escapes of our own.
        let (error, piped) = shown(&scene(), Seen::Error);
        for bad in ["\u{1b}[31mred", "\u{1b}]0;", "\u{9b}", "\u{7}", "\u{1b}[2J", "\u{8}"] {
            assert!(!error.contains(bad), "{bad:?} in {error:?}");
        }
        // Who pipes it gets what the model said.
        assert_eq!(piped, format!("{ESCAPES}\n"));
    });
}

#[test]
fn a_pipe_has_the_text_and_nothing_else() {
    at_once(&WAYS, |way| {
        let text = "one two three four\n";
        let cut = Answer::text("one two").cut_after_pieces(1);
        let calls = Answer::calls([("look", json!({}))]).and_text("Let me see.");
        let late = Answer::text(text).paced(Duration::from_millis(5));
        let scene = Scene::new(*way, [cut, calls, late]);
        scene.agent(LOOK);
        let said = scene.run(&[]).expect(0);
        assert_eq!(said.stdout, text);
        assert!(!said.stderr.contains('\u{1b}'), "{:?}", said.stderr);
        assert!(!said.stderr.contains("one two"), "{}", said.stderr);
    });
}
