import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';

import { policyOf } from '../src/config-schema.ts';
import { systemClock } from '../src/scheduler/clock.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { createArchive } from '../src/simulator/archive.ts';
import { createChance } from '../src/simulator/chance.ts';
import { SimulatedEngine } from '../src/simulator/engine.ts';
import { createScenario } from '../src/simulator/scenario.ts';
import { nodesOf } from '../src/simulator/lifetimes.ts';
import { arrivalsOf, assignmentOf, productsOf } from '../src/simulator/workload.ts';
import { openSqlite } from '../src/store/sqlite/sqlite.ts';
import { median } from './report.ts';
import type { Bench } from './report.ts';

const ROUNDS = 3;
const TARGET = 20_000;
const GROUPS = ['campaign', 'science', 'portal', 'test'];

/** 172 nodes of 25 processors; a campaign, and beside it small jobs of four groups, all of tasks that take no time. */
const SCENARIO = createScenario({
  nodes: [{ count: 172, cpus: 25, memoryMb: 102_400 }],
  scheduling: { groups: GROUPS.map((name) => ({ name })) },
  jobs: [
    { tasks: 200_000, group: 'campaign', duration: { median: 1 } },
    ...GROUPS.map((group) => ({ every: 1, count: 75, tasks: 20, group, duration: { median: 1 } })),
  ],
});
const CHANCE = createChance(1);
const NODES = nodesOf(SCENARIO).map(({ node }) => node);
const ARCHIVE = createArchive(SCENARIO.data, NODES, CHANCE);
const ARRIVALS = arrivalsOf(SCENARIO, 0);
const TASKS = ARRIVALS.reduce((sum, { spec }) => sum + spec.tasks, 0);
/** Small jobs that come together. */
const WAVE = 10;

/** Tasks per second from the first job's Execute to the last one's end. */
async function round(directory: string): Promise<number> {
  await using store = openSqlite(join(directory, 'pushbroom.db'));
  const arrivalOf = new Map(ARRIVALS.map((arrival) => [arrival.job.id, arrival]));
  const engine = new SimulatedEngine({
    id: 'simulated',
    clock: systemClock,
    heartbeat: 0,
    courseOf: () => ({
      duration: 0,
      end: {
        state: 'finished',
        result: { exitCode: 0, outputs: [{ path: 'result.tif', size: 1 }] },
      },
    }),
  });
  for (const node of NODES) engine.join(node);
  const allEnded = Promise.withResolvers<void>();
  let open = ARRIVALS.length;
  const scheduler = await startScheduler({
    store,
    engines: [engine],
    clock: systemClock,
    policy: policyOf(SCENARIO.scheduling),
    logger: pino({ level: 'error' }),
    findProducts: (job) => productsOf(arrivalOf.get(job.id)!, SCENARIO.data, ARCHIVE, CHANCE),
    assign: async (_job, task, attempt) => assignmentOf(task, attempt),
    stage: async () => [],
    clean: async ({ id }, state) => {
      if (state !== 'successful') allEnded.reject(new Error(`job ${id} is ${state}`));
      open -= 1;
      if (open === 0) allEnded.resolve();
    },
  });
  try {
    const begun = performance.now();
    for (let from = 0; from < ARRIVALS.length; from += WAVE) {
      const wave = ARRIVALS.slice(from, from + WAVE);
      await Promise.all(wave.map(({ job }) => scheduler.submit(job)));
    }
    await allEnded.promise;
    const seconds = (performance.now() - begun) / 1000;
    if (engine.defect) throw engine.defect;
    return TASKS / seconds;
  } finally {
    await scheduler.stop();
  }
}

export const schedule: Bench = {
  title: `schedule: ${TASKS} tasks of ${ARRIVALS.length} jobs on 4,300 simulated slots, durable`,
  async run(say) {
    const rates: number[] = [];
    for (let number = 1; number <= ROUNDS; number += 1) {
      const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
      try {
        const rate = await round(directory);
        rates.push(rate);
        say(`round ${number}: ${rate.toFixed(0)} tasks/s`);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    }
    const value = median(rates);
    return [{ what: 'whole lives', value, unit: 'tasks/s', target: TARGET, ok: value >= TARGET }];
  },
};
