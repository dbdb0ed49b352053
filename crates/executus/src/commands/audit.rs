//! `executus audit`: verifying, accepting and exporting what is recorded.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

use executus_audit_sqlite::{ExportError, Exported, RunFilter, SqliteAudit, Tail, Verification};
use executus_core::Clock;
use serde_json::json;

use crate::cli::{AcceptArgs, AuditCommand, EraseArgs, ExportArgs, VerifyArgs};
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::output;
use crate::store::{self, Store};

/// Does what was asked for.
///
/// # Errors
/// When there is nothing there, or it cannot be read or written.
pub(crate) async fn run(command: &AuditCommand) -> Result<Exit, Fault> {
    match command {
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Accept(args) => accept(args).await,
        AuditCommand::Export(args) => export(args),
    }
}

/// Compares every row with its digest. Nothing is written, and nobody recorded as dead.
fn verify(args: &VerifyArgs) -> Result<Exit, Fault> {
    let path = store::path(&args.store)?;
    let anchor = args.store.keeping.audit.anchor()?;
    let found = executus_audit_sqlite::verify(&path, anchor.as_deref());
    let found = found.map_err(|error| store::not_read(&error))?;
    output::result(&if args.json {
        let tail = match found.tail {
            Tail::Unknown | Tail::NoMark => "unknown",
            Tail::Anchored { .. } => "anchored",
            Tail::Cut { .. } => "cut",
            Tail::Forked { .. } => "forked",
            Tail::OtherFile => "other_file",
            Tail::OldMark { .. } => "old_mark",
            _ => "wrong_key",
        };
        let fields = json!({
            "holds": found.holds(), "entries": found.entries, "head": found.head.to_string(),
            "dropped": found.dropped, "before_chain": found.before_chain, "erased": found.erased,
            "bytes": found.bytes, "flaw": found.flaw.as_ref().map(|flaw| json!({
                "entry": flaw.entry, "row": flaw.row.to_string(),
                "damage": flaw.damage.to_string(),
            })),
            "tail": tail, "tail_says": found.tail.to_string(),
        });
        format!("{fields}\n")
    } else {
        text(&found)
    })?;
    Ok(if found.holds() { Exit::Ok } else { Exit::Error })
}

fn text(found: &Verification) -> String {
    let mut text = match &found.flaw {
        None => format!("{} entries are as they were written\n", found.entries),
        Some(flaw) => format!("not as it was written: {flaw}\n"),
    };
    text.push_str(&format!("end: {}\n", found.tail));
    for (count, what) in [
        (found.before_chain, "rows are older than the chain, and not verified"),
        (found.erased, "runs and notes were erased; their digests are verified"),
        (found.dropped, "entries were dropped with their rows; their head is kept"),
    ] {
        if count > 0 {
            text.push_str(&format!("{count} {what}\n"));
        }
    }
    text
}

async fn accept(args: &AcceptArgs) -> Result<Exit, Fault> {
    let path = store::path(&args.store)?;
    let Some(anchor) = args.store.keeping.audit.anchor()? else {
        return Err(Fault::usage("there is no anchor that the file could go with")
            .help("name one with `anchor` under [audit] in executus.toml"));
    };
    if !path.exists() {
        return Err(Fault::usage(format!("{}: no such file", path.display())));
    }
    let config = args.store.keeping.audit.of(&path);
    let audit =
        SqliteAudit::accept_anchored(config, anchor, &args.reason, Clock::system().now()).await;
    audit.map_err(|error| store::not_anchored(&error))?.close().await;
    output::line("accepted: the anchor goes with the file as it is, and the reason is recorded")?;
    Ok(Exit::Ok)
}

fn export(args: &ExportArgs) -> Result<Exit, Fault> {
    let Some(reader) = store::reader(&args.store)? else {
        output::note("no runs yet; `executus run FILE` makes one");
        return Ok(Exit::Ok);
    };
    let filter = RunFilter { run: args.run.clone(), ..args.filter.query() };
    let written = |out: &mut dyn Write| {
        let exported = reader.export(args.format, &filter, out)?;
        out.flush().map_err(|source| ExportError::Write { source })?;
        Ok(exported)
    };
    let exported: Result<Exported, ExportError> = match &args.output {
        None => written(&mut BufWriter::new(io::stdout().lock())),
        Some(path) => {
            let refused = |error| Fault::usage(format!("cannot write {}: {error}", path.display()));
            let mut open = OpenOptions::new();
            let file = open.write(true).create(true).truncate(true).mode(0o600).open(path);
            written(&mut BufWriter::new(file.map_err(refused)?))
        }
    };
    match exported {
        Ok(all) if args.output.is_some() => {
            let Exported { runs, records, notes, .. } = all;
            output::note(&format!("{runs} runs, {records} records, {notes} notes"));
        }
        Ok(_) => {}
        // As of `head`: whoever reads has enough.
        Err(ExportError::Write { source }) if source.kind() == ErrorKind::BrokenPipe => {}
        Err(ExportError::Query(error)) => return Err(store::not_read(&error)),
        Err(error) => return Err(Fault::error(chain(&error))),
    }
    Ok(Exit::Ok)
}

/// `executus erase`: what the runs of a caller say is removed, and the chain over it still holds.
///
/// # Errors
/// When it cannot be written; what was erased before stays erased.
pub(crate) async fn erase(args: &EraseArgs) -> Result<Exit, Fault> {
    let store = Store::open(&args.store).await?;
    let audit = store.audit();
    let erased = audit.erase(&args.caller, Clock::system().now()).await;
    let erased = erased.map_err(|error| Fault::error(chain(&error)))?;
    if args.compact {
        audit.compact().await.map_err(|error| Fault::error(chain(&error)))?;
    }
    let log_emptied = args.compact || erased.log_emptied;
    store.close().await;
    let (runs, records, notes) = (erased.runs, erased.records, erased.notes);
    output::line(&format!("erased: {runs} runs, {records} records, {notes} notes"))?;
    if !log_emptied {
        output::note("a reader holds the log: what was erased is in it until it is written over");
    }
    if erased.open > 0 {
        let open = erased.open;
        output::note(&format!(
            "{open} runs are not closed, and were left as they are: end them with `executus resume` \
             or `executus cancel`, then erase again"
        ));
        return Ok(Exit::Error);
    }
    Ok(Exit::Ok)
}
