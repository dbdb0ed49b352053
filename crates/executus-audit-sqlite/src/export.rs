//! Export: runs with their records and notes, written out piece by piece.
//!
//! What is written was scrubbed before it was recorded. Everything is read in pieces of bounded size,
//! each from a state of the file of its own: whoever takes the export may be slow without holding
//! the file's log, and memory does not grow with what is exported. Rows are only appended, so the
//! pieces go together; of a run that is under way, the export has what was there when it came by.

mod jsonl;
mod markdown;
mod ocsf;

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use crate::anchor::Mark;
use crate::cursor::Page;
use crate::error::{ExportError, QueryError};
use crate::note::{Note, NoteFilter};
use crate::query::{AuditRecord, RunFilter, RunSummary};
use crate::reader::AuditReader;

/// What an export looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A JSON object on each line, with the field `type`: `audit` first, then each `run` with its
    /// `record`s and `note`s, and `end` with the counts, without which it is not whole.
    Jsonl,
    /// An event on each line, shaped as those of the Open Cybersecurity Schema Framework: beginning
    /// and end of runs as Application Lifecycle (6002), the rest as API Activity (6003), with what
    /// has no field there under `unmapped`.
    Ocsf,
    /// A document for people: a section for each run, with a table of its records. Long texts are
    /// cut, with their length told.
    Markdown,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jsonl, Self::Ocsf, Self::Markdown];

    /// Its name: `jsonl`, `ocsf` or `markdown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Ocsf => "ocsf",
            Self::Markdown => "markdown",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::parse(name)
            .ok_or_else(|| format!("`{name}` is no format; choose jsonl, ocsf or markdown"))
    }
}

/// How much was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Exported {
    /// Runs.
    pub runs: u64,
    /// Records of these runs.
    pub records: u64,
    /// Notes.
    pub notes: u64,
}

/// Runs in one piece: each may hold a long output.
const RUNS: i64 = 16;
/// Records in one piece.
const RECORDS: u32 = 256;
/// Bytes of the records that are enough for a piece. One alone may have more.
const BYTES: usize = 1 << 20;
/// Notes in one piece.
const NOTES: i64 = 64;

/// Writes the parts of an export, in order.
trait Form {
    fn begin(&mut self, mark: &Mark) -> std::io::Result<()>;
    fn run(&mut self, run: &RunSummary) -> std::io::Result<()>;
    fn record(&mut self, run: &RunSummary, record: &AuditRecord) -> std::io::Result<()>;
    fn note(&mut self, run: Option<&RunSummary>, note: &Note) -> std::io::Result<()>;
    fn run_end(&mut self, run: &RunSummary) -> std::io::Result<()>;
    fn end(&mut self, all: &Exported) -> std::io::Result<()>;
}

impl AuditReader {
    /// Writes the runs that pass the filter, by the time of their start and their id, each with its
    /// records and notes. Where the filter asks for no certain run, status or caller, the notes that
    /// belong to no run of the file follow, within the same times. Blocks its thread for as long as
    /// `out` does, and keeps a few megabytes at most, beside the largest single record.
    ///
    /// `limit`, `offset` and `after` of the filter count runs; with one of them no loose notes
    /// follow.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn export(
        &self,
        format: ExportFormat,
        filter: &RunFilter,
        out: &mut dyn Write,
    ) -> Result<Exported, ExportError> {
        let mut form: Box<dyn Form + '_> = match format {
            ExportFormat::Jsonl => Box::new(jsonl::Lines::new(out)),
            ExportFormat::Ocsf => Box::new(ocsf::Events::new(out)),
            ExportFormat::Markdown => Box::new(markdown::Document::new(out)),
        };
        self.export_as(&mut *form, filter)
    }

    fn export_as(&self, form: &mut dyn Form, filter: &RunFilter) -> Result<Exported, ExportError> {
        let mut all = Exported::default();
        // A filter that means nothing is refused before anything is written.
        let mut page = self.runs_page(&piece(filter, filter.limit))?;
        form.begin(&self.mark()?).map_err(written)?;
        loop {
            for run in &page.items {
                self.export_run(form, run, &mut all)?;
            }
            let left = filter.limit.map(|limit| limit.saturating_sub_unsigned(all.runs));
            let Some(next) = page.next.filter(|_| left.is_none_or(|left| left > 0)) else { break };
            let following = RunFilter { after: Some(next), offset: 0, ..filter.clone() };
            page = self.runs_page(&piece(&following, left))?;
        }
        let of_all = RunFilter { since: filter.since, until: filter.until, ..RunFilter::default() };
        if *filter == of_all {
            self.export_loose(form, filter, &mut all)?;
        }
        form.end(&all).map_err(written)?;
        Ok(all)
    }

    fn export_run(
        &self,
        form: &mut dyn Form,
        run: &RunSummary,
        all: &mut Exported,
    ) -> Result<(), ExportError> {
        form.run(run).map_err(written)?;
        all.runs += 1;
        let mut seq = 0;
        loop {
            let records = match self.records_within(&run.run_id, seq, RECORDS, BYTES) {
                // Retention dropped it meanwhile.
                Err(QueryError::NotFound { .. }) => Vec::new(),
                records => records?,
            };
            let Some(last) = records.last() else { break };
            seq = last.seq;
            for record in &records {
                form.record(run, record).map_err(written)?;
                all.records += 1;
            }
        }
        let filter = NoteFilter { run: Some(run.run_id.clone()), ..NoteFilter::default() };
        self.each_note(filter, |note| {
            all.notes += 1;
            form.note(Some(run), &note).map_err(written)
        })?;
        form.run_end(run).map_err(written)
    }

    /// The notes without a run, or with one that is not recorded.
    fn export_loose(
        &self,
        form: &mut dyn Form,
        filter: &RunFilter,
        all: &mut Exported,
    ) -> Result<(), ExportError> {
        let notes = NoteFilter { since: filter.since, until: filter.until, ..Default::default() };
        self.each_note(notes, |note| {
            let recorded = match &note.run_id {
                None => false,
                Some(run) => self.is_recorded(run)?,
            };
            if recorded {
                return Ok(());
            }
            all.notes += 1;
            form.note(None, &note).map_err(written)
        })
    }

    fn each_note(
        &self,
        mut filter: NoteFilter,
        mut note: impl FnMut(Note) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        filter.limit = Some(NOTES);
        loop {
            let Page { items, next } = self.notes_page(&filter)?;
            items.into_iter().try_for_each(&mut note)?;
            if next.is_none() {
                return Ok(());
            }
            filter.after = next;
        }
    }
}

/// The same filter for one piece; `left`: how many runs are asked for at most.
fn piece(filter: &RunFilter, left: Option<i64>) -> RunFilter {
    RunFilter { limit: Some(left.map_or(RUNS, |left| left.min(RUNS))), ..filter.clone() }
}

fn written(source: std::io::Error) -> ExportError {
    ExportError::Write { source }
}
