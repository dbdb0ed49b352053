//! A document for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use executus_core::Timestamp;
use serde_json::Value;

use super::{Exported, Form};
use crate::anchor::Mark;
use crate::note::Note;
use crate::query::{AuditRecord, RunSummary};

/// The most characters of one text.
const TEXT: usize = 2000;

pub(super) struct Document<'a> {
    out: &'a mut dyn Write,
    /// Whether the notes of the run, or the loose ones, have their table.
    in_notes: bool,
}

impl<'a> Document<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, in_notes: false }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }
}

impl Form for Document<'_> {
    fn begin(&mut self, mark: &Mark) -> io::Result<()> {
        self.put(&format!(
            "# Audit\n\nThe chain has {} entries; its head is `{}`.\n",
            mark.count, mark.head
        ))
    }

    fn run(&mut self, run: &RunSummary) -> io::Result<()> {
        self.in_notes = false;
        let mut text = format!("\n## Run {}\n\n| | |\n|---|---|\n", cell(run.run_id.as_str()));
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "| {name} | {} |", cell(value));
            }
        };
        row("name", &run.name);
        row("caller", &run.caller_id);
        row("parent", run.parent_run_id.as_ref().map_or("", |run| run.as_str()));
        row("started", &run.started_at.utc());
        row("ended", &run.ended_at.map(Timestamp::utc).unwrap_or_default());
        row("status", run.status.map_or("under way, or its process died", |s| s.as_str()));
        row("lives", &run.attempts.to_string());
        row("inputs", &run.spec.inputs.to_string());
        row("output", run.output.as_deref().unwrap_or_default());
        row("error", &run.error.as_ref().map(ToString::to_string).unwrap_or_default());
        if let Some(stats) = &run.stats {
            let tally = &stats.tally;
            let counts = format!(
                "{} steps, {} calls, {} tokens in, {} out, {} ms",
                tally.steps,
                tally.tool_calls,
                tally.input_tokens,
                tally.output_tokens,
                stats.runtime_ms
            );
            row("counts", &counts);
        }
        for artifact in &run.artifacts {
            row("artifact", &format!("{} ({})", artifact.name, artifact.media_type));
        }
        text.push_str("\n| # | time | step | kind | what |\n|---|---|---|---|---|\n");
        self.put(&text)
    }

    fn record(&mut self, _: &RunSummary, record: &AuditRecord) -> io::Result<()> {
        let step = match record.key.call {
            Some(call) => format!("{}.{call}", record.key.step),
            None => record.key.step.to_string(),
        };
        self.put(&format!(
            "| {} | {} | {step} | {} | {} |\n",
            record.seq,
            record.at.utc(),
            cell(&record.kind),
            cell(&what(record)),
        ))
    }

    fn note(&mut self, run: Option<&RunSummary>, note: &Note) -> io::Result<()> {
        if !self.in_notes {
            self.in_notes = true;
            let heading = if run.is_some() { "### Notes" } else { "## Notes of no run" };
            self.put(&format!("\n{heading}\n\n| time | kind | id | what |\n|---|---|---|---|\n"))?;
        }
        self.put(&format!(
            "| {} | {} | {} | {} |\n",
            note.at.utc(),
            cell(&note.kind),
            cell(&note.id),
            cell(&note.body.to_string()),
        ))
    }

    fn run_end(&mut self, _: &RunSummary) -> io::Result<()> {
        self.in_notes = false;
        Ok(())
    }

    fn end(&mut self, all: &Exported) -> io::Result<()> {
        let Exported { runs, records, notes } = all;
        self.put(&format!("\nThese were {runs} runs, {records} records and {notes} notes.\n"))?;
        self.out.flush()
    }
}

/// What a record says, in short. What the run was asked for is in the table of the run.
fn what(record: &AuditRecord) -> Cow<'_, str> {
    if record.kind == "opened" {
        return "see above".into();
    }
    let Some(fields) = record.body.as_object() else { return record.body.to_string().into() };
    let mut text = String::new();
    for (name, value) in fields {
        // Counts of tokens are told for the run as a whole.
        if name == "usage" {
            continue;
        }
        if !text.is_empty() {
            text.push_str("; ");
        }
        let _ = match value {
            Value::String(value) => write!(text, "{name}: {value}"),
            value => write!(text, "{name}: {value}"),
        };
    }
    text.into()
}

/// A text for a cell of a table: on one line, cut where it is long, and nothing in it is markup.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len().min(TEXT) + 16);
    for char in text.chars().take(TEXT) {
        match char {
            '\n' | '\r' | '\t' => cell.push(' '),
            '&' => cell.push_str("&amp;"),
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            // Neither what ends a line elsewhere nor what turns the direction of writing.
            char if char.is_control() || is_format(char) => cell.push('\u{fffd}'),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~'
            | '$' => {
                cell.push('\\');
                cell.push(char);
            }
            char => cell.push(char),
        }
    }
    let length = text.chars().count();
    if length > TEXT {
        let _ = write!(cell, "… ({length} characters)");
    }
    cell
}

/// Whether it is one of those that order text of two directions, or separate lines.
const fn is_format(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_is_markup_or_another_line() {
        assert_eq!(cell("a|b\n## x\r[y](z)"), "a\\|b \\#\\# x \\[y\\]\\(z\\)");
        assert_eq!(cell("<script>&amp;"), "&lt;script&gt;&amp;amp;");
        assert_eq!(cell("a\u{202e}b\0c\u{2028}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn a_long_text_is_cut_with_its_length_told() {
        let long = cell(&"ü".repeat(5000));
        assert!(long.ends_with("… (5000 characters)"));
        assert_eq!(long.chars().filter(|char| *char == 'ü').count(), TEXT);
    }
}
