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
