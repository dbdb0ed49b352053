//! A provider's server, a home, and the binary that asks the one from the other.

use std::fmt::{self, Debug};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use executus_testkit::provider::{Answer, Dialect, ProviderServer};
use serde_json::Value;

use super::{Home, Said};

/// A key that must be in nothing that a run leaves.
pub(crate) const KEY: &str = "sk-canary-5d41402abc4b2a76b9719d911017c592";

/// The variables that choose a provider: none of them comes from whoever runs the tests.
pub(crate) const VARIABLES: [&str; 8] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "GEMINI_BASE_URL",
    "OLLAMA_API_KEY",
    "OLLAMA_HOST",
];

/// How a model is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
}

/// Every dialect, streamed and whole.
pub(crate) const WAYS: [Way; 8] = [
    Way { dialect: Dialect::OpenAi, stream: true },
    Way { dialect: Dialect::OpenAi, stream: false },
    Way { dialect: Dialect::Anthropic, stream: true },
    Way { dialect: Dialect::Anthropic, stream: false },
    Way { dialect: Dialect::Gemini, stream: true },
    Way { dialect: Dialect::Gemini, stream: false },
    Way { dialect: Dialect::Ollama, stream: true },
    Way { dialect: Dialect::Ollama, stream: false },
];

impl Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.dialect, if self.stream { "streamed" } else { "whole" })
    }
}

impl Way {
    /// Chat completions, as they come.
    pub(crate) const STREAM: Self = WAYS[0];

    /// The name before the colon of a model.
    pub(crate) const fn provider(self) -> &'static str {
        match self.dialect {
            Dialect::OpenAi => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
            Dialect::Ollama => "ollama",
        }
    }

    /// The name of a model there.
    pub(crate) fn model(self, name: &str) -> String {
        format!("{}:{name}", self.provider())
    }

    /// The variables of its key and of its address.
    pub(crate) const fn variables(self) -> (&'static str, &'static str) {
        let at = match self.dialect {
            Dialect::OpenAi => 0,
            Dialect::Anthropic => 2,
            Dialect::Gemini => 4,
            Dialect::Ollama => 6,
        };
        (VARIABLES[at], VARIABLES[at + 1])
    }
}

/// Does this for every case, all at once: most of it is waiting. A failure names its thread, which
/// is the case.
pub(crate) fn at_once<T: Debug + Sync>(cases: &[T], act: impl Fn(&T) + Sync) {
    let act = &act;
    std::thread::scope(|scope| {
        for case in cases {
            let thread = std::thread::Builder::new().name(format!("{case:?}"));
            thread.spawn_scoped(scope, move || act(case)).unwrap();
        }
    });
}

/// A server with a script, and a home whose agent asks it.
pub(crate) struct Scene {
    pub(crate) home: Home,
    pub(crate) server: ProviderServer,
    pub(crate) way: Way,
}

impl Scene {
    pub(crate) fn new(way: Way, script: impl IntoIterator<Item = Answer>) -> Self {
        Self { home: Home::new(), server: ProviderServer::start(way.dialect, script), way }
    }

    /// Writes `agent.toml`: an agent on the server's `test-model`, with this after its model.
    pub(crate) fn agent(&self, rest: &str) {
        let model = self.way.model("test-model");
        let head = format!("kind = \"agent\"\nname = \"agent\"\nmodel = \"{model}\"\n");
        self.home.file("agent.toml", &(head + rest));
    }

    /// A command of the binary that finds the server and its key.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let (key, base) = self.way.variables();
        let mut command = self.home.command();
        command.args(args).env(key, KEY).env(base, self.server.base_url());
        command
    }

    /// `executus run agent.toml --run-id r`, and more.
    pub(crate) fn run_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(&["run", "agent.toml", "--run-id", "r"]);
        if !self.way.stream {
            command.arg("--no-stream");
        }
        command.args(args);
        command
    }

    /// Runs the agent to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::from(self.run_command(args).output().unwrap())
    }

    /// Starts the agent; its standard output can be waited for.
    pub(crate) fn start(&self, args: &[&str]) -> Started {
        let mut command = self.run_command(args);
        Started::new(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// What is recorded of the run.
    pub(crate) fn explained(&self) -> Explained {
        Explained(self.home.executus(&["explain", "r", "--json"]).expect(0).last())
    }

    /// The run replays to what was recorded.
    pub(crate) fn replays(&self) {
        let said = self.home.executus(&["replay", "r"]).expect(0);
        assert!(said.stdout.starts_with("same: "), "{}", said.stdout);
    }

    /// The server found nothing wrong with what it was asked.
    pub(crate) fn no_complaints(&self) {
        assert_eq!(self.server.refusals(), Vec::<String>::new());
    }
}

/// A process whose standard output is read as it comes.
pub(crate) struct Started {
    pub(crate) child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Started {
    fn new(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { break };
                let _gone = sender.send(line);
            }
        });
        Self { child, lines, said: String::new() }
    }

    /// Reads on until there is a line with this text.
    pub(crate) fn until(&mut self, text: &str) {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(10)) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if line.contains(text) {
                        return;
                    }
                }
                Err(error) => panic!("{error} without `{text}` in:\n{}", self.said),
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        use std::os::unix::process::ExitStatusExt;

        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        for line in &self.lines {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        let code = status.code().unwrap_or_else(|| panic!("signal {:?}", status.signal()));
        Said { code, stdout: self.said, stderr }
    }
}

/// What `explain --json` says of a run.
#[derive(Debug)]
pub(crate) struct Explained(pub(crate) Value);

impl Explained {
    /// How the run ended, and who asked for what.
    pub(crate) fn run(&self) -> &Value {
        &self.0["run"]
    }

    pub(crate) fn records(&self) -> &[Value] {
        self.0["records"].as_array().unwrap()
    }

    /// The records of one kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.records().iter().filter(|record| record["kind"] == kind).collect()
    }

    /// The executed calls.
    pub(crate) fn calls(&self) -> Vec<&Value> {
        self.records().iter().filter(|record| record.get("tool").is_some()).collect()
    }

    /// Who failed to decide, and why.
    pub(crate) fn attempts(&self) -> Vec<(&str, &str)> {
        self.of("attempted")
            .into_iter()
            .map(|record| (record["model"].as_str().unwrap(), record["error"].as_str().unwrap()))
            .collect()
    }
}
