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
