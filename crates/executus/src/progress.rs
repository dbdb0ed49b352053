//! Progress on standard error, for people.

use std::time::Duration;

use executus_core::event::Event;
use executus_core::{Outcome, RunStatus};
use executus_process::strip_escapes;

use crate::output::{Screen, raw_note};
use crate::speech::Speech;
use crate::time::short;

/// The longest line, in characters: a live line must not wrap.
const WIDTH: usize = 70;

/// Shows a run as it goes: in a terminal a line per call that is written over when the call ends,
/// elsewhere a plain line for each call that ended.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    speech: Speech,
    /// What the deciding part said it would do.
    doing: String,
    /// Calls under way.
    open: u32,
    /// There is a live line to be written over.
    is_live: bool,
    spinner: usize,
}

impl Progress {
    pub(crate) fn new(screen: Screen) -> Self {
        Self {
            screen,
            speech: Speech::new(screen),
            doing: String::new(),
            open: 0,
            is_live: false,
            spinner: 0,
        }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Started { run_id, name } => {
                let name = if name.is_empty() { "run" } else { name };
                self.line(&format!("{name} {}", self.dim(run_id.as_str())));
            }
            Event::StepStarted { step } => self.speech.begin(*step),
            Event::Delta { step, index, text } => {
                self.clear();
                self.speech.say(*step, *index, text);
            }
            Event::DeltaReset { .. } => self.speech.take_back(),
            Event::AttemptFailed { model, error, .. } => {
                self.line(&format!("  {model} failed: {}", one_line(error)));
            }
            Event::Decided { text, calls, .. } if *calls > 0 => {
                self.doing = if self.speech.has_said() { String::new() } else { one_line(text) };
            }
            Event::ToolStarted { name, .. } => {
                self.open += 1;
                if self.doing.is_empty() {
                    self.doing = one_line(name);
                }
                self.draw();
            }
            Event::ToolFinished { step, name, error, duration_ms, .. } => {
                self.open = self.open.saturating_sub(1);
                self.finished(*step, name, error.as_deref(), *duration_ms);
            }
            Event::ToolProgress { text, .. } => {
                let text = self.dim(&format!("    {}", one_line(text)));
                self.line(&text);
                self.draw();
            }
            Event::ApprovalAsked { name, .. } => {
                self.line(&format!("  {} asks for an approval", one_line(name)));
            }
            Event::ApprovalAnswered { approved, by, .. } => {
                let what = if *approved { "approved" } else { "not approved" };
                let by = if by.is_empty() { "in time by nobody" } else { by };
                self.line(&format!("  {what}: {}", one_line(by)));
            }
            Event::Steered { source, text } => {
                self.line(&format!("  {source} steers: {}", one_line(text)));
            }
            _ => {}
        }
    }

    /// Keeps the live line moving.
    pub(crate) fn tick(&mut self) {
        self.spinner += 1;
        if self.open > 0 {
            self.draw();
        }
    }

    /// Says something between the lines.
    pub(crate) fn say(&mut self, text: &str) {
        self.line(&one_line(text));
    }

    /// Shows the end.
    pub(crate) fn end(&mut self, outcome: &Outcome) {
        if outcome.status == RunStatus::Ok {
            let text = outcome.output.as_deref().unwrap_or_default();
            self.speech.complete(outcome.stats.tally.steps, text);
        }
        let stats = &outcome.stats;
        let took = short(Duration::from_millis(stats.runtime_ms));
        let calls = stats.tally.tool_calls;
        let calls = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
        let status = match outcome.status {
            RunStatus::Ok | RunStatus::DryRun => self.paint("32", outcome.status.as_str()),
            _ => self.paint("31", outcome.status.as_str()),
        };
        self.line(&format!("{status} {}", self.dim(&format!("{calls}, {took}"))));
        if let Some(error) = &outcome.error {
            self.line(&format!("{}: {}", error.kind, strip_escapes(&error.message)));
        }
    }

    fn finished(&mut self, step: u32, name: &str, error: Option<&str>, duration_ms: u64) {
        let took = self.dim(&format!("{name}, {}", short(Duration::from_millis(duration_ms))));
        let doing = if self.doing.is_empty() { one_line(name) } else { self.doing.clone() };
        let mark = match error {
            None => self.paint("32", "ok"),
            Some(_) => self.paint("31", "failed"),
        };
        self.line(&format!("  {step:>2} {doing} … {mark} {took}"));
        if let Some(error) = error {
            self.line(&format!("     {}", one_line(error)));
        }
        if self.open > 0 {
            self.draw();
        }
    }

    /// Draws the live line, where there can be one.
    fn draw(&mut self) {
        if !self.screen.live {
            return;
        }
        self.speech.end_line();
        const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
        let frame = FRAMES[self.spinner % FRAMES.len()];
        raw_note(&format!("\r\u{1b}[2K   {frame} {} …", self.doing));
        self.is_live = true;
    }

    /// Whether this text stands on standard output already.
    pub(crate) fn has_output(&self, text: &str) -> bool {
        self.speech.has_output(text)
    }

    fn line(&mut self, text: &str) {
        self.clear();
        self.speech.end_line();
        raw_note(&format!("{text}\n"));
    }

    /// Takes the live line away.
    fn clear(&mut self) {
        if std::mem::take(&mut self.is_live) {
            raw_note("\r\u{1b}[2K");
        }
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        let text = strip_escapes(text);
        if self.screen.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.into_owned()
        }
    }
}

/// The first line of a text, short and safe to print.
fn one_line(text: &str) -> String {
    let text = strip_escapes(text);
    let line = text.trim().lines().next().unwrap_or_default().replace('\t', " ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_safe() {
        assert_eq!(one_line(" a\u{1b}[31mb\nc"), "ab");
        assert_eq!(one_line(&"ü".repeat(100)).chars().count(), WIDTH + 1);
        assert_eq!(one_line(""), "");
    }
}
