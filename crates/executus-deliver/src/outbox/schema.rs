//! The tables on disk.

use executus_sqlite::Schema;

/// `EXOB`.
const APPLICATION_ID: i32 = 0x4558_4f42;

const V1: &str = "
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The run's id.
  key TEXT NOT NULL UNIQUE,
  -- When it was kept (microseconds since 1970, as everywhere here).
  kept_at INTEGER NOT NULL,
  -- What is sent, as JSON; NULL when every target has it.
  body BLOB
) STRICT;

-- One for each target of a message.
CREATE TABLE entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  target TEXT NOT NULL,
  -- waiting, sent or dead.
  state TEXT NOT NULL DEFAULT 'waiting',
  -- How often sending was begun.
  attempts INTEGER NOT NULL DEFAULT 0,
  -- When it may be claimed: of one that is held, when its lease runs out.
  due INTEGER NOT NULL,
  holder TEXT,
  -- When it was sent or died.
  ended_at INTEGER,
  -- What went wrong last.
  error TEXT,
  UNIQUE (message, target)
) STRICT;
CREATE INDEX entries_due ON entries (target, due) WHERE state = 'waiting';
CREATE INDEX entries_state ON entries (state, id);
CREATE INDEX messages_sent ON messages (kept_at) WHERE body IS NULL;
";

/// See the module.
pub(super) const SCHEMA: Schema = Schema { application_id: APPLICATION_ID, steps: &[V1] };
