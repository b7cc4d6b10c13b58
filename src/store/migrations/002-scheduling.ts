/** Kinds of failures have got other names. */
const kind = (old: string): string =>
  `CASE ${old} WHEN 'timeout' THEN 'time' WHEN 'output' THEN 'processor' WHEN 'deployment' THEN 'engine' ELSE ${old} END`;
const renamed = (json: string, path: string): string =>
  `CASE WHEN json_extract(${json}, '${path}') IS NULL THEN ${json}
    ELSE json_set(${json}, '${path}', ${kind(`json_extract(${json}, '${path}')`)}) END`;

const memory = (step: string): string =>
  `coalesce(json_extract(spec, '$.workflow.${step}.resources.memoryMb'), 0)`;

/**
 * Groups, priorities, places of data, several attempts at once, causes of failures. Jobs that are there behave as they
 * were accepted: no attempt of theirs gets more memory than they said.
 *
 * CHECKs of the tables that grow with every task compare one by one: SQLite builds a table for an IN of three values or
 * more, each time that a row is written, and that takes as long as writing the row.
 */
export const sqlite = `
DROP INDEX jobs_by_state;
DROP INDEX jobs_by_user;
DROP INDEX jobs_by_process;
ALTER TABLE jobs ADD COLUMN share_group TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 100;
ALTER TABLE jobs ADD COLUMN is_paused INTEGER NOT NULL DEFAULT 0 CHECK (is_paused IN (0, 1));
ALTER TABLE jobs ADD COLUMN retry_of TEXT;
UPDATE jobs SET spec = json_set(spec, '$.group', share_group, '$.priority', priority,
  '$.retry.maxMemoryMb', max(${['process', 'aggregate', 'format'].map(memory).join(', ')}));
-- What follows "seq" lets filters be tried before a job's row is read.
CREATE INDEX jobs_by_state ON jobs (state, seq);
CREATE INDEX jobs_by_user ON jobs (user, state, seq, process, share_group);
CREATE INDEX jobs_by_process ON jobs (process, state, seq, user, share_group);
CREATE INDEX jobs_by_group ON jobs (share_group, state, seq, user, process);
CREATE INDEX jobs_by_retry ON jobs (retry_of, state, seq) WHERE retry_of IS NOT NULL;

ALTER TABLE tasks RENAME TO old_tasks;
CREATE TABLE tasks (
  job          INTEGER NOT NULL REFERENCES jobs (seq),
  number       INTEGER NOT NULL,
  step         TEXT NOT NULL CHECK (step = 'process' OR step = 'aggregate' OR step = 'format'),
  key          TEXT NOT NULL,
  input        TEXT,
  source       INTEGER,
  partition    INTEGER,
  first_period INTEGER NOT NULL,
  last_period  INTEGER NOT NULL CHECK (last_period >= first_period),
  location     TEXT,
  state        TEXT NOT NULL DEFAULT 'new'
    CHECK (state = 'new' OR state = 'again' OR state = 'finished' OR state = 'failed'),
  failures     INTEGER NOT NULL DEFAULT 0,
  losses       INTEGER NOT NULL DEFAULT 0,
  not_before   INTEGER,
  memory_mb    REAL,
  failure      TEXT,
  cause        TEXT,
  outputs      TEXT,
  PRIMARY KEY (job, number),
  CHECK ((state = 'finished') = (outputs IS NOT NULL)),
  CHECK (state <> 'failed' OR failure IS NOT NULL)
) STRICT, WITHOUT ROWID;
INSERT INTO tasks
  SELECT job, number, step, key, CASE WHEN step = 'process' AND input = key THEN NULL ELSE input END,
    source, partition, first_period, last_period, NULL,
    CASE WHEN state IN ('finished', 'failed') THEN state WHEN failures + losses > 0 THEN 'again' ELSE 'new' END,
    failures, losses, not_before, NULL, ${renamed('failure', '$.kind')}, NULL, outputs
  FROM old_tasks ORDER BY job, number;
DROP TABLE old_tasks;
CREATE UNIQUE INDEX tasks_by_key ON tasks (job, step, key);
CREATE INDEX tasks_by_state ON tasks (job, step, state, number);
CREATE INDEX tasks_by_extent ON tasks (job, step, first_period, last_period) WHERE state = 'finished';
CREATE INDEX tasks_by_cause ON tasks (job, cause, number) WHERE state = 'failed';

CREATE TABLE task_counts (
  job          INTEGER NOT NULL REFERENCES jobs (seq),
  step         TEXT NOT NULL,
  first_period INTEGER NOT NULL,
  last_period  INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('open', 'finished', 'failed')),
  productive   INTEGER NOT NULL CHECK (productive IN (0, 1)),
  count        INTEGER NOT NULL CHECK (count >= 0),
  PRIMARY KEY (job, step, first_period, last_period, state, productive)
) STRICT, WITHOUT ROWID;
INSERT INTO task_counts
  SELECT job, step, first_period, last_period,
    CASE WHEN state IN ('new', 'again') THEN 'open' ELSE state END AS came_to,
    coalesce(outputs <> '[]', 0) AS is_productive, count(*)
  FROM tasks GROUP BY job, step, first_period, last_period, came_to, is_productive;

ALTER TABLE attempts RENAME TO old_attempts;
CREATE TABLE attempts (
  job            INTEGER NOT NULL REFERENCES jobs (seq),
  task           INTEGER NOT NULL,
  number         INTEGER NOT NULL CHECK (number > 0),
  engine         TEXT NOT NULL,
  node           TEXT NOT NULL,
  state          TEXT NOT NULL CHECK (state = 'launched' OR state = 'running' OR state = 'finished'
    OR state = 'failed' OR state = 'lost' OR state = 'killed'),
  cpus           REAL NOT NULL,
  memory_mb      REAL NOT NULL,
  locality       TEXT
    CHECK (locality = 'node' OR locality = 'rack' OR locality = 'pool' OR locality = 'any'),
  is_speculative INTEGER NOT NULL CHECK (is_speculative = 0 OR is_speculative = 1),
  launched_at    INTEGER NOT NULL,
  ended_at       INTEGER,
  result         TEXT,
  PRIMARY KEY (job, task, number),
  CHECK ((state = 'launched' OR state = 'running') = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO attempts
  SELECT job, task, number, engine, node, state, cpus, memory_mb, NULL, 0, launched_at, ended_at,
    ${renamed('result', '$.failure.kind')}
  FROM old_attempts ORDER BY job, task, number;
DROP TABLE old_attempts;
CREATE INDEX attempts_live ON attempts (job, task) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX attempts_success ON attempts (job, task) WHERE state = 'finished';

CREATE TABLE failures (
  job      INTEGER NOT NULL REFERENCES jobs (seq),
  kind     TEXT NOT NULL,
  cause    TEXT NOT NULL,
  count    INTEGER NOT NULL,
  example  TEXT NOT NULL,
  message  TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  PRIMARY KEY (job, kind, cause)
) STRICT, WITHOUT ROWID;

CREATE TABLE failed_inputs (
  seq     INTEGER PRIMARY KEY,
  input   TEXT NOT NULL,
  job     INTEGER NOT NULL REFERENCES jobs (seq),
  nth     INTEGER NOT NULL,
  message TEXT NOT NULL,
  at      INTEGER NOT NULL,
  UNIQUE (input, job),
  UNIQUE (input, nth)
) STRICT;
INSERT INTO failed_inputs (input, job, nth, message, at)
  SELECT coalesce(input, key), job, row_number() OVER (PARTITION BY coalesce(input, key) ORDER BY job),
    json_extract(failure, '$.message'), jobs.updated_at
  FROM tasks JOIN jobs ON jobs.seq = job WHERE tasks.state = 'failed' AND step = 'process'
  ORDER BY job;
CREATE INDEX failed_inputs_suspect ON failed_inputs (seq) WHERE nth = 3;

CREATE TABLE drained_nodes (
  engine TEXT NOT NULL,
  node   TEXT NOT NULL,
  reason TEXT NOT NULL,
  at     INTEGER NOT NULL,
  PRIMARY KEY (engine, node)
) STRICT, WITHOUT ROWID;

-- How many rows an index has and how many have the same first columns, as ANALYZE would find where there are a few large
-- jobs. Without it, listings of one state would go through all tasks of a job.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('tasks', 'tasks', '1000000 10000 1'),
  ('tasks', 'tasks_by_key', '1000000 10000 5000 1'),
  ('tasks', 'tasks_by_state', '1000000 10000 5000 1000 1'),
  ('tasks', 'tasks_by_extent', '900000 9000 4500 100 100 1'),
  ('tasks', 'tasks_by_cause', '10000 100 50 1'),
  ('attempts', 'attempts', '1000000 10000 1 1'),
  ('attempts', 'attempts_live', '4000 1000 1 1'),
  ('attempts', 'attempts_success', '900000 9000 1');
ANALYZE sqlite_schema;
`;
