/** What jobs have used and may use of CPU hours, and why one is paused. What has been used is added up this once. */
export const sqlite = `
ALTER TABLE jobs ADD COLUMN used_cpu_ms REAL NOT NULL DEFAULT 0 CHECK (used_cpu_ms >= 0);
ALTER TABLE jobs ADD COLUMN max_cpu_hours REAL CHECK (max_cpu_hours > 0);
ALTER TABLE jobs ADD COLUMN pause_reason TEXT;
UPDATE jobs SET used_cpu_ms = coalesce((
  SELECT sum(cpus * max(0, ended_at - launched_at)) FROM attempts WHERE job = seq AND ended_at IS NOT NULL
), 0);
`;
