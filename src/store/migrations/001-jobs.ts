/**
 * Jobs, tasks and attempts. A job's `seq` orders the history and keeps the other tables narrow. The CHECKs and
 * indexes hold the invariants where the data stands, whatever the code above believes.
 */
export const sqlite = `
CREATE TABLE jobs (
  seq               INTEGER PRIMARY KEY,
  id                TEXT NOT NULL UNIQUE,
  process           TEXT NOT NULL,
  user              TEXT NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('accepted', 'running', 'successful', 'failed', 'dismissed')),
  spec              TEXT NOT NULL,
  accepted_at       INTEGER NOT NULL,
  started_at        INTEGER,
  ended_at          INTEGER,
  updated_at        INTEGER NOT NULL,
  split_ended       INTEGER NOT NULL DEFAULT 0 CHECK (split_ended IN (0, 1)),
  message           TEXT,
  results           TEXT,
  attempts          INTEGER NOT NULL DEFAULT 0,
  process_total     INTEGER NOT NULL DEFAULT 0,
  process_finished  INTEGER NOT NULL DEFAULT 0,
  process_failed    INTEGER NOT NULL DEFAULT 0,
  aggregate_total    INTEGER NOT NULL DEFAULT 0,
  aggregate_finished INTEGER NOT NULL DEFAULT 0,
  aggregate_failed   INTEGER NOT NULL DEFAULT 0,
  format_total      INTEGER NOT NULL DEFAULT 0,
  format_finished   INTEGER NOT NULL DEFAULT 0,
  format_failed     INTEGER NOT NULL DEFAULT 0,
  CHECK ((state IN ('successful', 'failed', 'dismissed')) = (ended_at IS NOT NULL)),
  CHECK ((state = 'successful') = (results IS NOT NULL)),
  CHECK (process_finished + process_failed <= process_total),
  CHECK (aggregate_finished + aggregate_failed <= aggregate_total),
  CHECK (format_finished + format_failed <= format_total)
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, seq);
CREATE INDEX jobs_by_user ON jobs (user, seq);
CREATE INDEX jobs_by_process ON jobs (process, seq);

CREATE TABLE tasks (
  job          INTEGER NOT NULL REFERENCES jobs (seq),
  number       INTEGER NOT NULL,
  step         TEXT NOT NULL CHECK (step IN ('process', 'aggregate', 'format')),
  key          TEXT NOT NULL,
  input        TEXT,
  source       INTEGER,
  partition    INTEGER,
  first_period INTEGER NOT NULL,
  last_period  INTEGER NOT NULL CHECK (last_period >= first_period),
  state        TEXT NOT NULL CHECK (state IN ('ready', 'running', 'finished', 'failed')),
  attempts     INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  losses       INTEGER NOT NULL,
  not_before   INTEGER,
  failure      TEXT,
  outputs      TEXT,
  PRIMARY KEY (job, number),
  CHECK ((state = 'finished') = (outputs IS NOT NULL)),
  CHECK (state <> 'failed' OR failure IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tasks_by_key ON tasks (job, step, key);
CREATE INDEX tasks_by_state ON tasks (job, state, number);

CREATE TABLE attempts (
  job         INTEGER NOT NULL REFERENCES jobs (seq),
  task        INTEGER NOT NULL,
  number      INTEGER NOT NULL CHECK (number > 0),
  engine      TEXT NOT NULL,
  node        TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('launched', 'running', 'finished', 'failed', 'lost', 'killed')),
  cpus        REAL NOT NULL,
  memory_mb   REAL NOT NULL,
  launched_at INTEGER NOT NULL,
  ended_at    INTEGER,
  result      TEXT,
  PRIMARY KEY (job, task, number),
  CHECK ((state IN ('launched', 'running')) = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attempts_live ON attempts (job, task) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX attempts_success ON attempts (job, task) WHERE state = 'finished';
`;
