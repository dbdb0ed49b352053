//! `executus search`: records and notes by the words in them.

use executus_audit_sqlite::{Hit, HitPlace, QueryError, Search};
use serde_json::{Value, json};

use crate::cli::{PageArgs, SearchArgs};
use crate::exit::Exit;
use crate::fault::Fault;
use crate::output;
use crate::store::{self, Store};
use crate::time::rfc3339;

/// How much of what was found is shown, in characters.
const SHOWN: usize = 160;

/// Prints what was found, the oldest first.
///
/// # Errors
/// A text without words, or a store that cannot be read.
pub(crate) async fn run(args: &SearchArgs) -> Result<Exit, Fault> {
    if args.store.db.is_none() && !store::path(&args.store)?.exists() {
        output::note("no runs yet; `executus run FILE` makes one");
        return Ok(Exit::Ok);
    }
    let PageArgs { limit, after } = args.page.clone();
    let search = Search {
        text: args.text.clone(),
        run: args.run.clone(),
        since: args.since,
        until: args.until,
        limit,
        after,
    };
    // What is not in the index yet is put there first.
    let store = Store::open(&args.store).await?;
    let found = store.audit().search(search).await;
    store.close().await;
    let found = found.map_err(|error| match error {
        QueryError::NoWords | QueryError::Reversed { .. } | QueryError::Cursor { .. } => {
            Fault::usage(error.to_string())
        }
        error => store::not_read(&error),
    })?;
    let lines = found.hits.iter().map(|hit| if args.json { json_line(hit) } else { line(hit) });
    output::result(&lines.collect::<String>())?;
    if let Some(next) = found.next {
        output::note(&format!("there are more: --after {next}"));
    }
    Ok(Exit::Ok)
}

fn json_line(hit: &Hit) -> String {
    let (seq, note) = match &hit.place {
        HitPlace::Record { seq } => (Some(*seq), None),
        HitPlace::Note { id } => (None, Some(id.as_str())),
        _ => (None, None),
    };
    let fields = json!({
        "run_id": hit.run_id, "seq": seq, "note": note, "at": rfc3339(hit.at), "kind": hit.kind,
        "body": hit.body,
    });
    format!("{fields}\n")
}

fn line(hit: &Hit) -> String {
    let run = hit.run_id.as_ref().map_or_else(|| "-".to_owned(), store::quoted);
    let place = match &hit.place {
        HitPlace::Record { seq } => format!("{run} {seq}"),
        HitPlace::Note { id } => format!("{run} {id}"),
        _ => run,
    };
    format!("{}  {place}  {}  {}\n", rfc3339(hit.at), hit.kind, excerpt(&hit.body))
}

/// The beginning of what it says.
fn excerpt(body: &Value) -> String {
    let text = body.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
