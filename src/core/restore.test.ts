import fc from 'fast-check';
import { expect, test } from 'vitest';

import { L2_FORMATTED, aJob, l3, periods, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { placeAll } from '../../test/fixtures/story.ts';
import { openSqlite } from '../store/sqlite/sqlite.ts';
import { advance } from './advance.ts';
import { apply } from './apply.ts';
import type { Change, Event, Plan } from './change.ts';
import { decide } from './decide.ts';
import { isJobEnded } from './lifecycle.ts';
import type { AttemptState } from './model.ts';
import { restore } from './restore.ts';
import type { JobSnapshot } from './restore.ts';
import { createState } from './state.ts';
import type { JobRecord, State } from './state.ts';

const WITH_GPUS = {
  ...l3(2),
  process: stepPlan({ resources: { cpus: 1, memoryMb: 512, gpus: 2 } }),
};

const action = fc.oneof(
  fc.record({ type: fc.constant('find' as const), count: fc.integer({ min: 1, max: 3 }) }),
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('place' as const),
      cpus: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('end' as const),
      choice: fc.nat(9),
      to: fc.constantFrom<AttemptState>('running', 'finished', 'finished', 'failed', 'lost'),
      isProductive: fc.boolean(),
    }),
  },
  fc.record({
    type: fc.constantFrom('endSplit', 'wake', 'wake', 'retry', 'pause', 'load'),
  }),
);

/** What has to come back; `due` and `requested` are found again by `advance`. */
const essence = (record: JobRecord, { delayed, shares }: State) => ({
  control: record.control,
  state: record.state,
  splitEnded: record.splitEnded,
  splitUpTo: record.splitUpTo,
  nextTask: record.nextTask,
  open: [...record.tasks.values()]
    .map(({ task, state, attempts, failures, losses, memoryMb, live }) => ({
      task,
      state,
      attempts,
      failures,
      losses,
      memoryMb,
      live,
    }))
    .toSorted((a, b) => a.task.number - b.task.number),
  unloaded: record.unloaded,
  failedTasks: [...record.failedTasks].toSorted((a, b) => a - b),
  attempts: [...record.attempts.values()].toSorted((a, b) =>
    a.attempt.id < b.attempt.id ? -1 : 1,
  ),
  steps: Object.values(record.steps).map(({ total, finished, failed }) => ({
    total,
    finished,
    failed,
  })),
  periods: record.periods.map(({ open, productive }) => ({ open, productive })),
  losses: record.losses.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  use: record.use,
  cpuMs: record.cpuMs,
  shares: shares.root.use,
  // The store does not write down that a delay is over: such tasks come back as delayed and wake at once.
  ready: record.lanes.reduce((sum, { size }) => sum + size, delayed.size),
});

test('a state that is read back from the store is the one that was written', async () => {
  const seen = { delayed: 0, running: 0, lost: 0, later: 0, unloaded: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(L2_FORMATTED, WITH_GPUS),
      fc.array(action, { minLength: 20, maxLength: 80, size: 'max' }),
      async (workflow, actions) => {
        const job = aJob({
          workflow,
          periods: workflow.aggregate ? periods(3) : [],
          retry: { failurePercent: 100, maxAttempts: 2, maxLosses: 2 },
        });
        await using store = openSqlite(':memory:');
        const state = createState({ window: 6 });
        const written: Change[] = [];
        let found = 0;
        const follow = ({ changes }: Plan) => {
          apply(state, changes);
          written.push(...changes);
        };
        const happens = (event: Event) => {
          follow(decide(state, event, 0));
          follow(advance(state, job.id, 0));
        };
        happens({ type: 'jobAccepted', job });
        for (const [index, act] of actions.entries()) {
          const record = state.jobs.get(job.id);
          if (!record || isJobEnded(record.state)) break;
          if (act.type === 'find' && !record.splitEnded) {
            const products = Array.from({ length: act.count }, () => {
              found += 1;
              const period = workflow.aggregate ? Math.min(2, Math.floor(found / 4)) : 0;
              return product(
                `${found}`,
                period,
                workflow.aggregate ? Math.min(2, period + (found % 2)) : 0,
              );
            });
            happens({ type: 'productsFound', jobId: job.id, products });
          } else if (act.type === 'endSplit') {
            happens({ type: 'splitEnded', jobId: job.id });
          } else if (act.type === 'pause') {
            const isPaused = !record.control.isPaused;
            happens({
              type: 'jobControlled',
              jobId: job.id,
              control: { isPaused, priority: index },
            });
          } else if (act.type === 'retry') {
            const tasks = written
              .filter((change) => change.type === 'endTask')
              .filter(({ to }) => to === 'failed');
            happens({ type: 'tasksRetried', jobId: job.id, tasks, memoryMb: 4096 });
          } else if (act.type === 'load' && record.unloaded > 0) {
            const tasks = written
              .flatMap((change) => (change.type === 'addTasks' ? change.tasks : []))
              .filter(({ step, number }) => step === 'process' && number > record.loadedTo);
            happens({ type: 'tasksLoaded', jobId: job.id, tasks: tasks.slice(0, 3) });
          } else if (act.type === 'wake') {
            apply(state, [{ type: 'wake', until: Infinity }]);
          } else if (act.type === 'place') {
            const resources = { cpus: act.cpus, memoryMb: 9999, gpus: 9 };
            const offer = { id: `${index}`, engine: 'e', node: 'n', resources };
            apply(state, [{ type: 'setNode', engine: 'e', node: 'n', offers: [offer] }]);
            written.push(...placeAll(state).changes);
          } else if (act.type === 'end' && record.attempts.size > 0) {
            const attemptId = [...record.attempts.keys()][act.choice % record.attempts.size]!;
            const outputs = act.isProductive ? [{ path: 'a', size: 1 }] : [];
            happens({
              type: 'attemptMoved',
              engine: 'e',
              attemptId,
              to: act.to,
              result: { outputs },
            });
          }
        }
        await store.commit(written);
        const record = state.jobs.get(job.id);
        if (!record) return;
        // What was not loaded yet is loaded as far as there is room: the window has to be the same.
        const held = [...record.tasks.values()].filter(
          ({ task, attempts }) => task.step === 'process' && attempts === 0,
        );
        const again = createState();
        for (const snapshot of await store.load(held.length)) restore(again, snapshot, 0);
        const restored = again.jobs.get(job.id)!;
        expect(essence(restored, again)).toEqual(essence(record, state));
        seen.delayed += state.delayed.size;
        seen.running += record.attempts.size;
        seen.lost += record.losses.length;
        seen.unloaded += record.unloaded;
        seen.later += record.steps.aggregate.total + record.steps.format.total;
      },
    ),
    { numRuns: 300 },
  );
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
});

const job = aJob();
const stored: JobSnapshot = {
  job,
  control: { group: 'default', priority: 100, isPaused: false },
  state: 'running',
  splitEnded: true,
  usedCpuMs: 0,
  nextTask: 1,
  counts: [
    { step: 'process', firstPeriod: 0, lastPeriod: 0, state: 'open', productive: false, count: 1 },
  ],
  failedTasks: [],
  losses: [],
  open: [],
  unloaded: 0,
  attempts: [],
};
const task = {
  jobId: job.id,
  number: 0,
  step: 'process',
  key: 'a',
  firstPeriod: 0,
  lastPeriod: 0,
} as const;
const tried = { task, attempts: 1, failures: 1, losses: 0 };

test('the wait before a task is tried again outlives the scheduler', () => {
  const state = createState();
  restore(state, { ...stored, open: [{ ...tried, notBefore: 99 }] }, 0);
  expect(state.waiting.size).toBe(0);
  expect(state.delayed.peek()).toEqual({ until: 99, jobId: job.id, task: 0 });
  apply(state, [{ type: 'wake', until: 99 }]);
  expect(state.waiting).toEqual(new Set([job.id]));
});

test('a clock that was set back while nobody looked makes no task wait for ever', () => {
  const state = createState();
  const longAgo = 1_000;
  restore(state, { ...stored, open: [{ ...tried, notBefore: 1e12 }] }, longAgo);
  expect(state.delayed.peek()!.until).toBe(longAgo + 1000 * job.retry.maxDelay);
});
