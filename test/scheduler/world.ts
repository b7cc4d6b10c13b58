import { setImmediate as nextTurn } from 'node:timers/promises';

import { pino } from 'pino';

import type { Job, JobResult, Product } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { Policy } from '../../src/core/policy.ts';
import type { Engine } from '../../src/engines/engine.ts';
import type { Assignment } from '../../src/runner/assignment.ts';
import type { Clock } from '../../src/scheduler/clock.ts';
import type { Surroundings } from '../../src/scheduler/perform.ts';
import { startScheduler } from '../../src/scheduler/scheduler.ts';
import type { Scheduler } from '../../src/scheduler/scheduler.ts';
import { openSqlite } from '../../src/store/sqlite/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { createCluster } from './cluster.ts';
import type { Cluster, ClusterOptions } from './cluster.ts';

/** A clock that stands still until it is moved. */
export function createManualClock() {
  let now = 1_000_000;
  let timers: { at: number; callback: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    wakeAt: (at, callback) => {
      const timer = { at, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  return {
    clock,
    /** Lets so many milliseconds go by. */
    pass(time: number): void {
      now += time;
    },
    /** Jumps to the next timer. */
    advance(): boolean {
      const next = timers.toSorted((a, b) => a.at - b.at)[0];
      if (!next) return false;
      timers = timers.filter((timer) => timer !== next);
      now = Math.max(now, next.at);
      next.callback();
      return true;
    },
  };
}

class Died extends Error {}

/** Kills whoever calls through it at a chosen call: before or after the call has had its effect. */
export function createDeath(dieAt: number) {
  let calls = 0;
  let dead = false;
  const died = Promise.withResolvers<void>();
  const die = () => {
    dead = true;
    died.resolve();
  };
  /** A dead caller never hears of anything again. */
  const silence = new Promise<never>(() => undefined);
  return {
    died: died.promise,
    get isDead() {
      return dead;
    },
    async through<T>(call: () => Promise<T>, onDeathInFlight?: () => void): Promise<T> {
      if (dead) return silence;
      calls += 1;
      if (calls * 2 === dieAt) {
        die();
        onDeathInFlight?.();
        return silence;
      }
      const result = await call();
      if (calls * 2 + 1 === dieAt) {
        die();
        return silence;
      }
      return dead ? silence : result;
    },
  };
}

export interface WorldOptions extends ClusterOptions {
  readonly products: (job: Job) => readonly Product[];
  /** Instead of `products`: however they are found. */
  readonly findProducts?: Surroundings['findProducts'];
  readonly stage?: Surroundings['stage'];
  readonly policy?: Policy;
  /** Tasks of a job that are held in memory. */
  readonly window?: number;
}

/** A scheduler on a simulated cluster with a real store, both of which survive it. */
export function createWorld(options: WorldOptions) {
  const cluster = createCluster(options);
  const time = createManualClock();
  const store = openSqlite(':memory:');
  const defects: string[] = [];
  const staged: string[] = [];
  const cleaned: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => defects.push(line) });

  async function start(
    dieAt = Infinity,
  ): Promise<{ scheduler: Scheduler; death: ReturnType<typeof createDeath> }> {
    const death = createDeath(dieAt);
    const scheduler = await Promise.race([
      startScheduler({
        store: mortalStore(store, death),
        engines: [mortalEngine(cluster, death)],
        clock: time.clock,
        logger,
        ...(options.policy && { policy: options.policy }),
        ...(options.window !== undefined && { window: options.window }),
        findProducts:
          options.findProducts ??
          async function* (job) {
            const products = options.products(job);
            for (let index = 0; index < products.length; index += 2) {
              yield await death.through(async () => products.slice(index, index + 2));
            }
          },
        assign: async (_job, _task, attempt) => ({ attemptId: attempt.id }) as Assignment,
        stage: options.stage ?? ((job) => death.through(async () => stage(job))),
        clean: async (job) => void cleaned.push(job.id),
      }),
      death.died.then(() => undefined),
    ]);
    return { scheduler: scheduler ?? DEAD, death };
  }

  function stage(job: Job): JobResult[] {
    staged.push(job.id);
    return [];
  }

  return { cluster, time, store, defects, staged, cleaned, start };
}

/** Stands for a scheduler that died before it was there. */
const DEAD: Scheduler = {
  submit: () => Promise.reject(new Died()),
  dismiss: () => Promise.reject(new Died()),
  control: () => Promise.reject(new Died()),
  retryTasks: () => Promise.reject(new Died()),
  drain: () => Promise.reject(new Died()),
  setPolicy: () => Promise.reject(new Died()),
  policy: () => DEFAULT_POLICY,
  nodes: () => [],
  engineUse: () => ({ nodes: 0, attempts: 0 }),
  groups: () => [],
  explain: () => undefined,
  onCommit: () => () => undefined,
  settled: async () => undefined,
  stop: async () => undefined,
};

const mortalStore = (store: Store, death: ReturnType<typeof createDeath>): Store => ({
  ...store,
  load: (window) => death.through(() => store.load(window)),
  commit: (changes) => death.through(() => store.commit(changes)),
  knownKeys: (jobId, keys) => death.through(() => store.knownKeys(jobId, keys)),
  drains: () => death.through(() => store.drains()),
  tasksAfter: (jobId, number, limit) => death.through(() => store.tasksAfter(jobId, number, limit)),
});

const mortalEngine = (
  { engine, launchLate }: Cluster,
  death: ReturnType<typeof createDeath>,
): Engine => ({
  ...engine,
  run: (emit, signal) =>
    engine.run(async (event) => (death.isDead ? undefined : emit(event)), signal),
  launch: (order) =>
    death.through(
      () => engine.launch(order),
      () => launchLate(order),
    ),
  kill: (attemptId) => death.through(() => engine.kill(attemptId)),
  reconcile: (ids) => death.through(() => engine.reconcile(ids)),
});

/** Lets everything that is under way come to rest. Nothing here waits for real time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await nextTurn();
}

export type World = ReturnType<typeof createWorld>;
