import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { createLayout } from '../src/layout.ts';
import { startPushbroom, temporaryDirectory } from '../test/servers/pushbroom.ts';
import { JOBS, fillHistory, historicJob } from './history-store.ts';
import { createClient, percentile } from './measure.ts';
import type { Bench, Row } from './report.ts';

const MIN_REQUESTS = 200;
const MAX_REQUESTS = 1200;
const TARGET = 50;
const CAMPAIGN = historicJob(0).id;
/** What an operator asks for, each with all its pages. */
const QUERIES = {
  'all jobs': '/api/jobs?',
  'failed jobs': '/api/jobs?state=failed&',
  'jobs that run': '/api/jobs?state=running&state=accepted&',
  "a portal's jobs": '/api/jobs?user=portal&',
  "a portal's failed jobs": '/api/jobs?user=portal&state=failed&',
  "a portal's dismissed jobs (none)": '/api/jobs?user=portal&state=dismissed&',
  "a user's jobs of a process": '/api/jobs?user=scientist-7&process=timescan~1.0~Indices3&',
  'one job': `/api/jobs/${historicJob(JOBS / 2).id}?`,
  'tasks of a small job': `/api/jobs/${historicJob(JOBS / 2).id}/tasks?`,
  'tasks of a campaign': `/api/jobs/${CAMPAIGN}/tasks?`,
  'failed tasks of a campaign': `/api/jobs/${CAMPAIGN}/tasks?state=failed&`,
  'ready tasks of a campaign (none)': `/api/jobs/${CAMPAIGN}/tasks?state=ready&`,
  'aggregations of a campaign (none)': `/api/jobs/${CAMPAIGN}/tasks?step=aggregate&`,
  'attempts of a task': `/api/jobs/${CAMPAIGN}/tasks/50000/attempts?`,
};

/** Milliseconds of each page, from the first to the last, and again until there are enough. */
async function pages(ask: ReturnType<typeof createClient>, url: string): Promise<number[]> {
  const times: number[] = [];
  let after = '';
  while (times.length < MAX_REQUESTS && (after !== '' || times.length < MIN_REQUESTS)) {
    const { status, text, milliseconds } = await ask({ url: url + after });
    if (status !== 200) throw new Error(`${url}${after}: ${status} ${text}`);
    times.push(milliseconds);
    const { next } = JSON.parse(text) as { next?: string };
    after = next === undefined ? '' : `after=${next}`;
  }
  return times;
}

async function measure(directory: string): Promise<Row[]> {
  const server = await startPushbroom(directory, { engines: { local: { enabled: false } } });
  try {
    const ask = createClient(1);
    const rows: Row[] = [];
    for (const [what, query] of Object.entries(QUERIES)) {
      const value = percentile(await pages(ask, server.internalUrl + query), 0.99);
      rows.push({ what, value, unit: 'ms p99', target: TARGET, ok: value < TARGET });
    }
    return rows;
  } finally {
    await server.stop();
  }
}

export const history: Bench = {
  title:
    'history: lists, filters and pages of 100 over REST, with 100,000 jobs and 1,000,000 tasks',
  async run(say) {
    await using directory = await temporaryDirectory();
    const data = join(directory.path, 'data');
    await mkdir(data);
    await fillHistory(createLayout(data).database, say);
    return await measure(directory.path);
  },
};
