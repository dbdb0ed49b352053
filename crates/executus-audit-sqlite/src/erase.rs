//! Erasing what a caller's runs say. Their rows stay, and the chain over them holds.

use std::sync::Arc;

use executus_core::Timestamp;
use executus_core::digest::Digest;
use executus_core::port::AuditError;
use executus_sqlite::rusqlite::{self, Connection, OpenFlags, params};
use serde_json::{Value, json};

use crate::audit::SqliteAudit;
use crate::chain::entry::Entry;
use crate::chain::row::{self as chained, EndSays, RecordSays, Salt, StartSays};
use crate::config::Config;
use crate::job::Work;
use crate::note::Note;
use crate::row::Group;

/// What stands in place of the caller of a run that was erased.
pub(crate) const ERASED: &str = "erased";
/// What stands in place of what a record or a note said.
pub(crate) const MARK: &str = r#"{"erased":true}"#;

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Erased {
    /// Runs.
    pub runs: u64,
    /// Records of these runs.
    pub records: u64,
    /// Notes of these runs.
    pub notes: u64,
    /// Runs of the caller that are not closed, and were left as they are: close them, then erase
    /// again.
    pub open: u64,
    /// Whether the write-ahead log was emptied too. If not, a reader held it: what was erased is in
    /// it until it is written over.
    pub log_emptied: bool,
}

impl SqliteAudit {
    /// Erases what the closed runs of a caller say: inputs, names, outputs, errors, the bodies of
    /// records and of notes, the journal, and the caller's own id. What is left is that there were
    /// such runs, when, of what subject and status, with which kinds of records and counts. Run ids
    /// and note ids stay.
    ///
    /// No query shows it any more, and no digest helps to guess it. Older copies of a row may be
    /// left in unused space of the file: [`compact`](Self::compact) removes them.
    ///
    /// The erasure itself is recorded, as entries of the chain and as a note of the kind
    /// `audit.erased`, without the caller's id. `at`: now.
    ///
    /// # Errors
    /// As of a flush. What was erased before stays erased; call it again.
    ///
    /// # Cancellation
    /// What was begun is done all the same; call it again for the rest.
    pub async fn erase(&self, caller: &str, at: Timestamp) -> Result<Erased, AuditError> {
        if caller == ERASED {
            let message = format!("`{ERASED}` is the mark of runs that were erased");
            return Err(AuditError::Conflict { message });
        }
        let mut all = Erased::default();
        loop {
            let erase = Box::new(Erase::new(caller));
            let done = self.wait_for(|answer| Work::Erase(erase, answer)).await?;
            all.runs += done.runs;
            all.records += done.records;
            all.notes += done.notes;
            all.open = done.open;
            if done.runs < u64::from(Erase::RUNS) {
                break;
            }
        }
        let body = json!({"runs": all.runs, "records": all.records, "notes": all.notes});
        self.own_note("audit.erased", at, body).await?;
        all.log_emptied = self.apart(empty_log).await.unwrap_or(false);
        Ok(all)
    }

    /// Writes the file anew without its unused space, in which parts of what was erased or dropped
    /// may be left, and cuts the write-ahead log. It takes as long as to copy the file, and as much
    /// space again; whoever records waits meanwhile, and fails where that takes longer than
    /// [`Config::wait`]: for a large file, choose a time without runs.
    ///
    /// # Errors
    /// [`AuditError::Unavailable`]: somebody held the file, or there was no space. Nothing changed.
    pub async fn compact(&self) -> Result<(), AuditError> {
        let compact = |connection: &Connection| {
            connection.execute_batch("VACUUM")?;
            empty_log(connection)
        };
        let path = self.store().path().display().to_string();
        let unavailable = |message| AuditError::Unavailable { message, source: None };
        match self.apart(compact).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(unavailable(format!("a reader holds the log of {path}"))),
            Err(error) => Err(unavailable(format!("{path} was not compacted: {error}"))),
        }
    }

    /// Does something that takes a connection outside of any transaction.
    async fn apart(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<bool> + Send + 'static,
    ) -> Result<bool, String> {
        let path = self.store().path().to_path_buf();
        let work = move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(Config::new(path).busy_timeout)?;
            work(&connection)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Records something about the audit itself.
    pub(crate) async fn own_note(
        &self,
        kind: &str,
        at: Timestamp,
        body: Value,
    ) -> Result<(), AuditError> {
        let id = format!("{kind}/{}", executus_core::RunId::random());
        let note = Note { id, run_id: None, at, kind: kind.to_owned(), body };
        self.note(&note).await.map(drop)
    }
}

/// Puts the write-ahead log back into the file, and cuts it. Whether nobody held it.
fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0).map(|busy| busy == 0)
    })
}

/// Erases some runs of a caller.
pub(crate) struct Erase {
    caller: Arc<str>,
    done: Erased,
}

/// A run to erase.
struct Run {
    id: i64,
    run_id: String,
    salt: Option<Salt>,
    spec: String,
    start: Option<Digest>,
    end: Option<Digest>,
}

impl Erase {
    /// How many runs one job takes: others wait for its transaction.
    const RUNS: u32 = 16;

    fn new(caller: &str) -> Self {
        Self { caller: caller.into(), done: Erased::default() }
    }

    pub(crate) const fn done(&self) -> Erased {
        self.done
    }

    pub(crate) fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let connection = group.connection;
        self.done = Erased::default();
        // What is freed is written over: erased is not only unlinked.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.execute("INSERT INTO leaving (what) VALUES ('erase')", [])?;
        for run in self.runs(connection)? {
            self.erase(group, &run)?;
        }
        connection.execute("DELETE FROM leaving", [])?;
        connection.pragma_update(None, "secure_delete", false)?;
        let open = "SELECT count(*) FROM runs WHERE caller_id = ?1 AND closed = 0";
        let open: i64 = connection.query_row(open, [&self.caller], |row| row.get(0))?;
        self.done.open = open.cast_unsigned();
        Ok(())
    }

    fn runs(&self, connection: &Connection) -> rusqlite::Result<Vec<Run>> {
        let mut runs = connection.prepare_cached(
            "SELECT id, run_id, salt, name, caller_id, channel_id, spec, output, error, artifacts
             FROM runs WHERE caller_id = ?1 AND closed = 1 LIMIT ?2",
        )?;
        let runs = runs.query_map(params![self.caller, Self::RUNS], |row| {
            let text = |column: usize| row.get::<_, String>(column);
            let optional = |column: usize| row.get::<_, Option<String>>(column);
            let salt: Option<Salt> = row.get(2)?;
            let (name, caller, channel, spec) = (text(3)?, text(4)?, text(5)?, text(6)?);
            let (output, error, artifacts) = (optional(7)?, optional(8)?, optional(9)?);
            let start =
                StartSays { name: &name, caller_id: &caller, channel_id: &channel, spec: &spec };
            let end = EndSays {
                output: output.as_deref(),
                error: error.as_deref(),
                artifacts: artifacts.as_deref(),
            };
            Ok(Run {
                id: row.get(0)?,
                run_id: text(1)?,
                salt,
                start: salt.map(|salt| start.digest(&salt)),
                end: salt.map(|salt| end.digest(&salt)),
                spec: left_of(&spec),
            })
        })?;
        runs.collect()
    }

    fn erase(&mut self, group: &mut Group<'_>, run: &Run) -> rusqlite::Result<()> {
        let connection = group.connection;
        self.done.records += erase_records(connection, run)?;
        connection.prepare_cached("DELETE FROM journal WHERE run = ?1")?.execute([run.id])?;
        connection
            .prepare_cached(
                "UPDATE runs SET name = '', caller_id = ?2, channel_id = '', spec = ?3,
                   output = NULL, error = NULL, artifacts = NULL, salt = NULL, journaled = 0,
                   erased_start = ?4, erased_end = ?5 WHERE id = ?1",
            )?
            .execute(params![
                run.id,
                ERASED,
                run.spec,
                run.start.as_ref().map(Digest::as_bytes),
                run.end.as_ref().map(Digest::as_bytes),
            ])?;
        group.forget_salt(run.id);
        let digest = chained::erased(run.id, &run.spec);
        group.link.push(Entry::Erased { run: run.id }, &digest);
        self.done.runs += 1;
        self.done.notes += erase_notes(group, &run.run_id)?;
        Ok(())
    }
}

fn erase_records(connection: &Connection, run: &Run) -> rusqlite::Result<u64> {
    let mut says = connection
        .prepare_cached("SELECT seq, body, args, fact, state FROM records WHERE run = ?1")?;
    let says = says.query_map([run.id], |row| {
        let (seq, body): (i64, String) = (row.get(0)?, row.get(1)?);
        let args = row.get::<_, Option<[u8; 32]>>(2)?.map(Digest::from_bytes);
        let (fact, state) = (Digest::from_bytes(row.get(3)?), Digest::from_bytes(row.get(4)?));
        let says = RecordSays { body: &body, args: args.as_ref(), fact: &fact, state: &state };
        // Without a salt it is from before the chain, and nobody asks for its digest.
        Ok((seq, run.salt.map_or(Digest::default(), |salt| says.digest(&salt, seq))))
    })?;
    let says = says.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut erase = connection.prepare_cached(
        "UPDATE records SET body = ?3, args = NULL, fact = zeroblob(32), state = zeroblob(32),
           chain = ?4 WHERE run = ?1 AND seq = ?2",
    )?;
    for (seq, digest) in &says {
        erase.execute(params![run.id, seq, MARK, digest.as_bytes()])?;
    }
    Ok(says.len() as u64)
}

fn erase_notes(group: &mut Group<'_>, run_id: &str) -> rusqlite::Result<u64> {
    let connection = group.connection;
    let mut notes = connection
        .prepare_cached("SELECT id, salt, body FROM notes WHERE run_id = ?1 AND body <> ?2")?;
    let notes = notes.query_map(params![run_id, MARK], |row| {
        let (id, body): (String, String) = (row.get(0)?, row.get(2)?);
        let salt: Option<Salt> = row.get(1)?;
        Ok((id, salt.map(|salt| chained::note_says(&salt, &body))))
    })?;
    let notes = notes.collect::<rusqlite::Result<Vec<_>>>()?;
    for (id, digest) in &notes {
        connection
            .prepare_cached("UPDATE notes SET body = ?2, salt = NULL, erased = ?3 WHERE id = ?1")?
            .execute(params![id, MARK, digest.as_ref().map(Digest::as_bytes)])?;
        group.link.push(Entry::ErasedNote { id }, &Digest::default());
    }
    Ok(notes.len() as u64)
}

/// What is left of a spec: what it allowed, not what it asked for, nor who did.
fn left_of(spec: &str) -> String {
    let Ok(Value::Object(mut spec)) = serde_json::from_str(spec) else { return MARK.to_owned() };
    for (field, left) in [
        ("name", json!("")),
        ("caller_id", json!(ERASED)),
        ("channel_id", json!("")),
        ("inputs", json!({"erased": true})),
        ("labels", Value::Null),
    ] {
        spec.insert(field.to_owned(), left);
    }
    spec.remove("brief");
    Value::Object(spec).to_string()
}
