//! How a run ended: as it is kept, and read again.

use executus_core::port::AuditError;
use executus_core::{Outcome, RunId, RunStatus};
use executus_sqlite::rusqlite::{self, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use crate::body;
use crate::chain::entry::Entry;
use crate::chain::row::{self as chained, EndSays, Salt};
use crate::row::Group;

/// Finds a run: its number, its spec, whether it is closed, and the columns of its outcome.
pub(crate) const KNOWN: &str = "SELECT id, spec, closed, status, output, error, stats, artifacts
  FROM runs WHERE run_id = ?1";

/// The outcome in a row of [`KNOWN`]; inside, an error that says what of it cannot be read.
pub(crate) fn recorded(
    run: &RunId,
    row: &Row<'_>,
) -> rusqlite::Result<Result<Outcome, AuditError>> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let (status, output, error) = (text(3)?, text(4)?, text(5)?);
    let (stats, artifacts) = (text(6)?, text(7)?);
    let damaged = |what: &str| AuditError::Broken {
        message: format!("{what} of run `{run}` cannot be read; was the file changed by hand?"),
        source: None,
    };
    let read = || {
        let status = status.and_then(|status| RunStatus::parse(&status));
        Ok(Outcome {
            run_id: run.clone(),
            status: status.ok_or_else(|| damaged("the status"))?,
            output,
            error: parse(error).map_err(|()| damaged("the error"))?,
            stats: parse(stats).map_err(|()| damaged("the counts"))?.unwrap_or_default(),
            artifacts: parse(artifacts).map_err(|()| damaged("the artifacts"))?.unwrap_or_default(),
        })
    };
    Ok(read())
}

fn parse<T: DeserializeOwned>(json: Option<String>) -> Result<Option<T>, ()> {
    json.map(|json| serde_json::from_str(&json)).transpose().map_err(|_| ())
}

/// The end of a life or of the run.
pub(crate) struct End {
    run: i64,
    closes: bool,
    ended_at: i64,
    status: &'static str,
    output: Option<String>,
    error: Option<String>,
    stats: String,
    artifacts: String,
}

impl End {
    /// Renders an outcome, scrubbed.
    pub(crate) fn new(
        run: i64,
        closes: bool,
        ended_at: i64,
        outcome: &Outcome,
    ) -> serde_json::Result<Self> {
        let scrub = |text: &String| executus_core::text::scrub(text).into_owned();
        Ok(Self {
            run,
            closes,
            ended_at,
            status: outcome.status.as_str(),
            output: outcome.output.as_ref().map(scrub),
            error: outcome.error.as_ref().map(body::scrubbed_text).transpose()?,
            stats: serde_json::to_string(&outcome.stats)?,
            artifacts: body::scrubbed_text(&outcome.artifacts)?,
        })
    }

    pub(crate) fn apply(&self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let ended = group
            .connection
            .prepare_cached(
                "UPDATE runs SET status = ?2, ended_at = max(started_at, ?3), output = ?4,
                   error = ?5, stats = ?6, artifacts = ?7, closed = ?8
                 WHERE id = ?1 AND closed = 0 RETURNING ended_at, attempt, salt",
            )?
            .query_row(
                params![
                    self.run,
                    self.status,
                    self.ended_at,
                    self.output,
                    self.error,
                    self.stats,
                    self.artifacts,
                    self.closes,
                ],
                |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<Salt>>(2)?)),
            )
            .optional()?;
        let Some((ended_at, attempt, Some(salt))) = ended else { return Ok(()) };
        let says = EndSays {
            output: self.output.as_deref(),
            error: self.error.as_deref(),
            artifacts: Some(&self.artifacts),
        };
        let end = chained::End {
            run: self.run,
            closed: self.closes,
            status: self.status,
            ended_at,
            attempt,
            stats: Some(&self.stats),
        };
        let digest = end.digest(&says.digest(&salt));
        let entry = match self.closes {
            true => Entry::Closed { run: self.run },
            false => Entry::Suspended { run: self.run },
        };
        group.link.push(entry, &digest);
        Ok(())
    }
}
