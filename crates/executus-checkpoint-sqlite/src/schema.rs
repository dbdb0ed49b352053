//! The tables on disk.

use executus_sqlite::Schema;

/// `EXCP`.
const APPLICATION_ID: i32 = 0x4558_4350;

const V1: &str = "
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  last_seq INTEGER NOT NULL DEFAULT 0,
  -- How often it was claimed, and how often in a row without an advance.
  claims INTEGER NOT NULL DEFAULT 0,
  in_vain INTEGER NOT NULL DEFAULT 0,
  -- The claim that holds has appended nothing.
  unused INTEGER NOT NULL DEFAULT 0,
  -- Who has it, and until when (microseconds since 1970).
  holder TEXT,
  held_until INTEGER,
  -- Why it is set aside, as JSON.
  parked TEXT
) STRICT;

-- One row for each record, never changed: appending costs the same in a long run as in a short one.
CREATE TABLE records (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  record TEXT NOT NULL,
  UNIQUE (run, seq)
) STRICT;

-- How the newest runs ended.
CREATE TABLE ended (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  -- The error as JSON; NULL of one that ended well.
  error TEXT
) STRICT;
CREATE INDEX ended_run ON ended (run_id);
";

/// See the module.
pub(crate) const SCHEMA: Schema = Schema { application_id: APPLICATION_ID, steps: &[V1] };
