/** Lists of jobs by when they were accepted and how long they took: all filters of such a list, in the history's order. */
export const sqlite = `
CREATE INDEX jobs_by_time ON jobs (seq, state, user, process, accepted_at, started_at, ended_at);
`;
