//! The tables.
//!
//! `runs` has a row for each run, `journal` and `records` one for each record of a run, under the
//! same number; `notes` is for what a host records beside runs, under ids of its own. `chain` has a
//! row for each transaction: which rows it wrote, with their digests. Times are microseconds since
//! the Unix epoch.

use executus_sqlite::Schema;

/// The newest schema.
pub(crate) const SCHEMA: Schema = Schema {
    // "exAu"
    application_id: 0x6578_4175,
    steps: &[V1, V2, V3, V4],
};

const V1: &str = "
CREATE TABLE runs (
  id            INTEGER PRIMARY KEY,
  run_id        TEXT    NOT NULL UNIQUE,
  format        INTEGER NOT NULL,           -- of facts and specs
  subject_id    TEXT    NOT NULL,
  name          TEXT    NOT NULL,
  caller_id     TEXT    NOT NULL,
  channel_id    TEXT    NOT NULL,
  parent_run_id TEXT,
  spec          TEXT    NOT NULL,           -- JSON, scrubbed
  attempt       INTEGER NOT NULL,           -- the newest life
  started_at    INTEGER NOT NULL,
  ended_at      INTEGER,                    -- of the newest life
  status        TEXT,                       -- NULL: a life is under way, or its process died
  output        TEXT,
  error         TEXT,                       -- JSON
  stats         TEXT,                       -- JSON
  artifacts     TEXT,                       -- JSON
  closed        INTEGER NOT NULL DEFAULT 0, -- 1: over for good
  journaled     INTEGER NOT NULL DEFAULT 1  -- 0: the journal was purged
) STRICT;

CREATE INDEX runs_by_time ON runs (started_at, run_id);
CREATE INDEX runs_to_purge ON runs (ended_at) WHERE closed = 1 AND journaled = 1;

CREATE TABLE records (
  run   INTEGER NOT NULL REFERENCES runs (id),
  seq   INTEGER NOT NULL,
  at    INTEGER NOT NULL,
  step  INTEGER NOT NULL,
  call  INTEGER,
  args  BLOB,                               -- digest of the call's arguments
  kind  TEXT    NOT NULL,
  body  TEXT    NOT NULL,                   -- JSON, scrubbed
  fact  BLOB    NOT NULL,                   -- digest of the fact as it is in the journal
  state BLOB    NOT NULL,                   -- digest of the run's state after it
  chain BLOB,
  PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
  run  INTEGER NOT NULL REFERENCES runs (id),
  seq  INTEGER NOT NULL,
  fact TEXT    NOT NULL,                    -- JSON, in full
  PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER records_are_not_changed BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER records_are_not_deleted BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER runs_are_closed_once
BEFORE UPDATE OF status, ended_at, output, error, stats, artifacts, closed, spec ON runs
WHEN OLD.closed = 1
BEGIN SELECT RAISE(ABORT, 'the run is closed'); END;

CREATE TRIGGER runs_are_not_deleted BEFORE DELETE ON runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;
";

const V2: &str = "
CREATE TABLE notes (
  id     TEXT    NOT NULL PRIMARY KEY,
  run_id TEXT,                              -- as text: the run need not be recorded
  at     INTEGER NOT NULL,
  kind   TEXT    NOT NULL,
  body   TEXT    NOT NULL                   -- JSON, scrubbed
) STRICT, WITHOUT ROWID;

CREATE INDEX notes_by_time ON notes (at, id);
CREATE INDEX notes_by_run ON notes (run_id, at, id) WHERE run_id IS NOT NULL;

CREATE TRIGGER notes_are_not_changed BEFORE UPDATE ON notes
BEGIN SELECT RAISE(ABORT, 'notes are append-only'); END;

CREATE TRIGGER notes_are_not_deleted BEFORE DELETE ON notes
BEGIN SELECT RAISE(ABORT, 'notes are append-only'); END;
";

/// The chain. Rows of earlier versions are counted, and not in it.
const V3: &str = "
CREATE TABLE chain (
  first   INTEGER PRIMARY KEY,              -- place of its first entry, from 1
  count   INTEGER NOT NULL,                 -- of its entries
  entries BLOB    NOT NULL,                 -- which rows, with their digests
  head    BLOB    NOT NULL                  -- digest of the entries and of the head before
) STRICT;

CREATE TABLE origin (                       -- one row: what the chain begins with
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  file     BLOB    NOT NULL,                -- tells this file from every other
  runs     INTEGER NOT NULL,                -- rows from before the chain
  last_run INTEGER NOT NULL,
  records  INTEGER NOT NULL,
  notes    INTEGER NOT NULL
) STRICT;

CREATE TABLE seals (                        -- what retention dropped of the chain
  last    INTEGER PRIMARY KEY,              -- place of the last entry that was dropped
  head    BLOB    NOT NULL,                 -- the chain's head there
  at      INTEGER NOT NULL,
  runs    INTEGER NOT NULL,                 -- dropped rows from before the chain, since ever
  records INTEGER NOT NULL,
  notes   INTEGER NOT NULL
) STRICT;

-- What the transaction under way may do beside appending: 'erase', 'drop'. Empty otherwise.
CREATE TABLE leaving (what TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN salt BLOB;      -- of the digests of its payloads; NULL once erased
ALTER TABLE runs ADD COLUMN unchained INTEGER NOT NULL DEFAULT 0; -- its records up to this number are from before the chain
ALTER TABLE runs ADD COLUMN erased_start BLOB; -- digest of what was erased of its start
ALTER TABLE runs ADD COLUMN erased_end BLOB;   -- digest of what was erased of its end
ALTER TABLE notes ADD COLUMN salt BLOB;     -- NULL: from before the chain, or erased
ALTER TABLE notes ADD COLUMN erased BLOB;   -- digest of what was erased; of a record: `records.chain`

CREATE INDEX runs_by_caller ON runs (caller_id);
CREATE INDEX runs_to_drop ON runs (ended_at) WHERE closed = 1;

UPDATE runs SET unchained = coalesce((SELECT max(seq) FROM records WHERE run = runs.id), 0);
INSERT INTO origin (id, file, runs, last_run, records, notes)
SELECT 1, randomblob(16), (SELECT count(*) FROM runs), (SELECT coalesce(max(id), 0) FROM runs),
  (SELECT count(*) FROM records), (SELECT count(*) FROM notes);

DROP TRIGGER records_are_not_changed;
DROP TRIGGER records_are_not_deleted;
DROP TRIGGER runs_are_closed_once;
DROP TRIGGER runs_are_not_deleted;
DROP TRIGGER notes_are_not_changed;
DROP TRIGGER notes_are_not_deleted;

CREATE TRIGGER records_are_not_changed BEFORE UPDATE ON records
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'erase')
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER records_are_not_deleted BEFORE DELETE ON records
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'drop')
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER runs_are_closed_once
BEFORE UPDATE OF status, ended_at, output, error, stats, artifacts, closed, attempt ON runs
WHEN OLD.closed = 1 AND NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'erase')
BEGIN SELECT RAISE(ABORT, 'the run is closed'); END;

CREATE TRIGGER runs_are_asked_for_once
BEFORE UPDATE OF id, run_id, format, subject_id, name, caller_id, channel_id, parent_run_id, spec,
  started_at, unchained ON runs
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'erase')
BEGIN SELECT RAISE(ABORT, 'what a run was asked for stays'); END;

CREATE TRIGGER runs_are_not_deleted BEFORE DELETE ON runs
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'drop')
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;

CREATE TRIGGER notes_are_not_changed BEFORE UPDATE ON notes
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'erase')
BEGIN SELECT RAISE(ABORT, 'notes are append-only'); END;

CREATE TRIGGER notes_are_not_deleted BEFORE DELETE ON notes
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'drop')
BEGIN SELECT RAISE(ABORT, 'notes are append-only'); END;

CREATE TRIGGER chain_is_not_changed BEFORE UPDATE ON chain
BEGIN SELECT RAISE(ABORT, 'the chain is append-only'); END;

CREATE TRIGGER chain_is_not_deleted BEFORE DELETE ON chain
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'drop')
BEGIN SELECT RAISE(ABORT, 'the chain is append-only'); END;

CREATE TRIGGER origin_is_not_changed BEFORE UPDATE ON origin
BEGIN SELECT RAISE(ABORT, 'the origin stays'); END;

CREATE TRIGGER origin_is_not_deleted BEFORE DELETE ON origin
BEGIN SELECT RAISE(ABORT, 'the origin stays'); END;

CREATE TRIGGER seals_are_not_changed BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;

CREATE TRIGGER seals_are_not_deleted BEFORE DELETE ON seals
WHEN NOT EXISTS (SELECT 1 FROM leaving WHERE what = 'drop')
BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
";

/// Search. It is filled when somebody searches, see `search/index.rs`, and holds no text: what leaves
/// the records and notes is taken out of it by triggers, word by word.
const V4: &str = "
CREATE VIRTUAL TABLE search USING fts5 (
  text, content = '', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);

CREATE TABLE searched (                     -- one row: how far the index goes
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  place  INTEGER NOT NULL,                  -- entries of the chain
  before INTEGER NOT NULL                   -- runs with records from before the chain
) STRICT;
INSERT INTO searched (id, place, before) VALUES (1, 0, 0);

-- Row n of the index, below 0, is the note; above 0 it is a record: run << 32 | seq.
CREATE TABLE searched_notes (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;

CREATE TRIGGER erased_records_leave_search AFTER UPDATE OF body ON records
WHEN OLD.run < 1 << 31 AND OLD.seq < 1 << 32
  AND EXISTS (SELECT 1 FROM search_docsize WHERE id = OLD.run << 32 | OLD.seq)
BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete', OLD.run << 32 | OLD.seq,
    CASE WHEN json_valid(OLD.body) THEN (SELECT group_concat(atom, ' ')
      FROM json_tree(OLD.body) WHERE type IN ('text', 'integer')) END);
END;

CREATE TRIGGER dropped_records_leave_search AFTER DELETE ON records
WHEN OLD.run < 1 << 31 AND OLD.seq < 1 << 32
  AND EXISTS (SELECT 1 FROM search_docsize WHERE id = OLD.run << 32 | OLD.seq)
BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete', OLD.run << 32 | OLD.seq,
    CASE WHEN json_valid(OLD.body) THEN (SELECT group_concat(atom, ' ')
      FROM json_tree(OLD.body) WHERE type IN ('text', 'integer')) END);
END;

CREATE TRIGGER erased_notes_leave_search AFTER UPDATE OF body ON notes
WHEN EXISTS (SELECT 1 FROM searched_notes WHERE id = OLD.id)
BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete',
    (SELECT n FROM searched_notes WHERE id = OLD.id),
    CASE WHEN json_valid(OLD.body) THEN (SELECT group_concat(atom, ' ')
      FROM json_tree(OLD.body) WHERE type IN ('text', 'integer')) END);
  DELETE FROM searched_notes WHERE id = OLD.id;
END;

CREATE TRIGGER dropped_notes_leave_search AFTER DELETE ON notes
WHEN EXISTS (SELECT 1 FROM searched_notes WHERE id = OLD.id)
BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete',
    (SELECT n FROM searched_notes WHERE id = OLD.id),
    CASE WHEN json_valid(OLD.body) THEN (SELECT group_concat(atom, ' ')
      FROM json_tree(OLD.body) WHERE type IN ('text', 'integer')) END);
  DELETE FROM searched_notes WHERE id = OLD.id;
END;
";
