//! Opening: what is refused, how, and what the message says.

use std::fs;
use std::path::Path;

use executus_sqlite::{Config, OpenError, Reader, Schema, Store, rusqlite};

use crate::work::{Bench, SCHEMA, Work, insert};

fn open(path: &Path) -> Result<Store<Work>, OpenError> {
    Store::open(Config::new(path), SCHEMA)
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder.path().join("no/such/t.db")).unwrap_err();
    assert!(matches!(&error, OpenError::Missing { missing, .. } if missing.ends_with("no/such")));
    assert!(error.to_string().contains("create it"), "{error}");
}

#[test]
fn a_folder_and_a_text_are_no_database() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()), Err(OpenError::Foreign { .. })));
    let path = folder.path().join("t.db");
    fs::write(
        &path,
        "a text, long enough to be taken for the header of a database file. ".repeat(90),
    )
    .unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert!(!error.retry());
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let bench = Bench::new();
    bench.run(insert(1)).await.unwrap();
    bench.store.close().await;
    let mut bytes = fs::read(bench.path()).unwrap();
    bytes[100..4096].fill(0xA5);
    fs::write(bench.path(), bytes).unwrap();
    let error = open(&bench.path()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[test]
fn another_programs_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (n)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(&error, OpenError::Foreign { found, .. } if found.contains("another program"))
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_version_is_refused_by_writer_and_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    drop(open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    for error in [open(&path).unwrap_err(), Reader::open(&Config::new(&path), SCHEMA).unwrap_err()]
    {
        assert!(matches!(error, OpenError::Newer { found: 7, known: 2, .. }), "{error:?}");
        assert!(error.to_string().contains("newer version of the program"), "{error}");
    }
}

#[test]
fn an_older_version_is_brought_up_to_date_by_the_writer_alone() {
    const OLD: Schema =
        Schema { application_id: SCHEMA.application_id, steps: SCHEMA.steps.split_at(1).0 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    drop(Store::<Work>::open(Config::new(&path), OLD).unwrap());
    let error = Reader::open(&Config::new(&path), SCHEMA).unwrap_err();
    assert!(matches!(error, OpenError::Older { found: 1, known: 2, .. }), "{error:?}");
    let _store = open(&path).unwrap();
    Reader::open(&Config::new(&path), SCHEMA).unwrap();
}

#[test]
fn a_step_that_fails_changes_nothing() {
    const BROKEN: Schema = Schema {
        application_id: SCHEMA.application_id,
        steps: &["CREATE TABLE a (n); CREATE TABLE a (n)"],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let error = Store::<Work>::open(Config::new(&path), BROKEN).unwrap_err();
    assert!(matches!(error, OpenError::Failed { .. }), "{error:?}");
    drop(open(&path).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told() {
    // Nobody, root included, creates a file here.
    let error = open(Path::new("/proc/executus.db")).unwrap_err();
    assert!(matches!(error, OpenError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("check the permissions"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    drop(open(&path).unwrap());
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Denied { .. }), "{error:?}");
}

#[test]
fn a_reader_does_not_create_and_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let config = Config::new(&path);
    assert!(matches!(Reader::open(&config, SCHEMA), Err(OpenError::Missing { .. })));
    assert!(!path.exists());
    let _store = open(&path).unwrap();
    let reader = Reader::open(&config, SCHEMA).unwrap();
    let wrote = reader.read(|connection| connection.execute(&insert(1), []));
    assert!(wrote.unwrap().is_err());
}

#[test]
fn a_held_file_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    drop(open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    other.execute_batch("BEGIN EXCLUSIVE; INSERT INTO t VALUES (1, 'x')").unwrap();
    let mut config = Config::new(&path);
    config.busy_timeout = std::time::Duration::from_millis(10);
    let error = Store::<Work>::open(config, SCHEMA).unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
    assert!(error.retry());
}
