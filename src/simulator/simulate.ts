import { pino } from 'pino';

import { policyOf } from '../config-schema.ts';
import { startScheduler } from '../scheduler/scheduler.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { openSqlite } from '../store/sqlite/sqlite.ts';
import type { Store } from '../store/store.ts';
import { createArchive } from './archive.ts';
import { createChance } from './chance.ts';
import { createVirtualClock } from './clock.ts';
import type { VirtualClock } from './clock.ts';
import { createCourses } from './course.ts';
import { SimulatedEngine } from './engine.ts';
import type { SimulatedNode } from './engine.ts';
import { live, nodesOf } from './lifetimes.ts';
import type { ScenarioNode } from './lifetimes.ts';
import { Recorder } from './record.ts';
import { reportOf } from './report.ts';
import type { Report } from './report.ts';
import type { Scenario } from './scenario.ts';
import { arrivalsOf, assignmentOf, productsOf } from './workload.ts';
import type { Arrival } from './workload.ts';

export interface SimulateOptions {
  /** Seconds of the simulated time after which it is broken off. */
  readonly until?: number;
  /** @param done jobs that have ended @param passed simulated seconds */
  readonly onProgress?: (done: number, all: number, passed: number) => void;
}

/** When simulated time begins. */
const START = Date.UTC(2026, 0, 1);
/** Simulated time without any change of a job after which nothing is expected any more. */
const STUCK_AFTER = 30 * 86_400_000;

/**
 * Plays a scenario: the real scheduler with a store in memory, on simulated nodes and simulated time. The same scenario
 * gives the same report.
 */
export async function simulate(scenario: Scenario, options: SimulateOptions = {}): Promise<Report> {
  const clock = createVirtualClock(START);
  const chance = createChance(scenario.seed);
  const nodes = nodesOf(scenario);
  const policy = policyOf(scenario.scheduling);
  const archive = createArchive(scenario.data, firstOf(nodes), chance);
  const arrivals = arrivalsOf(scenario, START);
  const courses = createCourses({ scenario, nodes, archive, chance, arrivals });
  const heartbeat = 1000 * scenario.heartbeat;
  const { courseOf } = courses;
  const engines = new Map(
    scenario.nodes.map(({ engine: id }) => [
      id,
      new SimulatedEngine({ id, clock, heartbeat, courseOf }),
    ]),
  );
  const recorder = new Recorder({
    groups: policy.groups,
    start: START,
    workOf: courses.workOf,
    localityOf: courses.localityOf,
  });
  for (const node of nodes) {
    const engine = engines.get(node.spec.engine)!;
    live(node, clock, chance, {
      join: (it) => {
        engine.join(it);
        recorder.nodeChanged(it, 1, clock.now());
      },
      leave: (it) => {
        engine.leave(it.name);
        recorder.nodeChanged(it, -1, clock.now());
      },
    });
  }
  await using store = openSqlite(':memory:');
  const defects: string[] = [];
  const scheduler = await startScheduler({
    store: recorded(store, recorder),
    engines: [...engines.values()],
    clock,
    policy,
    logger: pino({ level: 'error' }, { write: (line: string) => void defects.push(line) }),
    findProducts: (job) => productsOf(courses.arrivalOf(job.id), scenario.data, archive, chance),
    assign: async (_job, task, attempt) => assignmentOf(task, attempt),
    stage: async () => [],
    clean: async () => undefined,
  });
  const play = { scheduler, clock, arrivals, recorder, ...options };
  const { end, refused } = await playOn(play).finally(() => scheduler.stop());
  for (const { defect } of engines.values()) if (defect) throw defect;
  if (defects.length > 0) throw new Error(`the scheduler has a defect: ${defects.join('')}`);
  const { costs } = policy;
  return reportOf({ seed: scenario.seed, end, refused, recorder, costs, ...supplyOf(nodes) });
}

/** The nodes that are there from the beginning. */
function firstOf(nodes: readonly ScenarioNode[]): SimulatedNode[] {
  const first = nodes.filter(({ spec }) => spec.joins === 0);
  return (first.length > 0 ? first : nodes).map(({ node }) => node);
}

/** A store that shows what it commits. */
const recorded = (store: Store, recorder: Recorder): Store => ({
  ...store,
  commit: async (changes) => {
    await store.commit(changes);
    recorder.write(changes);
  },
});

interface Play extends SimulateOptions {
  readonly scheduler: Scheduler;
  readonly clock: VirtualClock;
  readonly arrivals: readonly Arrival[];
  readonly recorder: Recorder;
}

/** Whenever all is quiet, jumps to the next thing that happens. */
async function playOn({
  scheduler,
  clock,
  arrivals,
  recorder,
  until = Infinity,
  onProgress,
}: Play): Promise<{ end: Report['end']; refused: number }> {
  let refused = 0;
  let next = 0;
  const arrive = (): void => {
    for (
      let arrival = arrivals[next];
      arrival && arrival.at <= clock.now();
      arrival = arrivals[next]
    ) {
      next += 1;
      scheduler.submit(arrival.job).catch(() => (refused += 1));
    }
    if (next < arrivals.length) clock.wakeAt(arrivals[next]!.at, arrive);
  };
  arrive();
  for (;;) {
    await scheduler.settled();
    onProgress?.(next - recorder.openJobs, arrivals.length, (clock.now() - START) / 1000);
    const at = clock.next();
    if (next === arrivals.length && recorder.openJobs === 0) return { end: 'done', refused };
    if (at !== undefined && at > START + 1000 * until) {
      recorder.goOn(START + 1000 * until);
      return { end: 'until', refused };
    }
    const isStuck =
      next === arrivals.length && at !== undefined && at - recorder.changedAt > STUCK_AFTER;
    if (at === undefined || isStuck) return { end: 'stuck', refused };
    clock.advance();
  }
}

const supplyOf = (nodes: readonly ScenarioNode[]) => ({
  fastest: Math.max(...nodes.map(({ spec }) => spec.speed)),
  supplies: nodes.map(({ spec: { joins, leaves = Infinity, speed, cpus, memoryMb, gpus } }) => ({
    from: START + 1000 * joins,
    to: START + 1000 * leaves,
    cpus: cpus * speed,
    memoryMb: memoryMb * speed,
    gpus: gpus * speed,
  })),
});
