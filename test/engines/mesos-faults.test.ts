import { setTimeout as pause } from 'node:timers/promises';

import fc from 'fast-check';
import { expect, test, vi } from 'vitest';

import { JOB } from '../../src/engines/contract.ts';
import { isAlive } from '../fixtures/bundles.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import type { ReplayedAgent } from '../servers/mesos/types.ts';

const TASKS = 20;
const SHARE = { cpus: 0.5, memoryMb: 100 };
const WAIT = { interval: 20, timeout: 60_000 };

/** Is registered as soon as there is a master. */
async function restart(agent: ReplayedAgent): Promise<void> {
  agent.suspendRegistration(true);
  await agent.restart();
  agent.suspendRegistration(false);
}

/** What goes wrong, or right again. The number says to whom, or how long. */
const FAULTS: Readonly<Record<string, (world: MesosWorld, number: number) => unknown>> = {
  dropStream: ({ cluster }) => cluster.dropStream(),
  rescind: ({ cluster }) => cluster.rescind(),
  killMaster: ({ cluster }) => cluster.master.kill(),
  restartMaster: ({ cluster }) => cluster.master.restart(),
  killAgent: ({ cluster }, number) =>
    cluster.agents[number % 2]!.kill({ loseAcks: number % 4 > 1 }),
  async wipeAgent({ cluster }, number) {
    const agent = cluster.agents[number % 2]!;
    await agent.kill();
    agent.forget();
  },
  unregisterAgent: ({ cluster }, number) => cluster.agents[number % 2]!.unregister(),
  restartAgent: ({ cluster }, number) => restart(cluster.agents[number % 2]!),
  killExecutor({ cluster }, number) {
    const tasks = cluster.tasks().filter(({ isTerminal }) => !isTerminal);
    const task = tasks[number % Math.max(tasks.length, 1)];
    if (task) cluster.killExecutor(task.id);
  },
  slowStore(world, number) {
    world.store.write = () => pause(number);
  },
  quickStore(world) {
    world.store.write = async () => undefined;
  },
  wait: (_, number) => pause(3 * number),
};

/** Makes attempts of each task until one has finished, as the scheduler does. */
class Tasks {
  readonly attempts = new Map<string, number>();
  readonly finished = new Map<number, string>();
  readonly #world: MesosWorld;
  readonly #waiting = Array.from({ length: TASKS }, (_, task) => task + 1);
  #judged = 0;

  constructor(world: MesosWorld) {
    this.#world = world;
  }

  async turn(): Promise<void> {
    const { ends, node } = this.#world;
    for (const { attemptId, to } of ends.slice(this.#judged)) {
      this.#judged += 1;
      const task = this.attempts.get(attemptId)!;
      if (to === 'finished') {
        this.finished.set(task, await node.read('results', String(task), 'who'));
      } else this.#waiting.push(task);
    }
    const [offer] = this.#world.news.offers.values();
    if (offer) await this.#launch(offer.node);
  }

  async #launch(node: string): Promise<void> {
    const { news, engine, directory, order } = this.#world;
    const offers = [...news.offers.values()].filter((offer) => offer.node === node);
    const cpus = offers.reduce((sum, { resources }) => sum + resources.cpus, 0);
    const tasks = this.#waiting.splice(0, Math.floor(cpus / SHARE.cpus));
    const offerIds = offers.map(({ id }) => id);
    if (tasks.length === 0) {
      for (const id of offerIds) news.offers.delete(id);
      return engine.decline(offerIds);
    }
    const attempts = tasks.map(async (task) => {
      const script = `echo ${task} $$ >> ${directory}/runs; sleep 0.4; echo $$ > who; echo OUTPUT_PRODUCT who`;
      const assignment = await this.#world.node.assign(script, { task });
      this.attempts.set(assignment.attemptId, task);
      return { assignment, resources: SHARE, job: JOB };
    });
    try {
      await order({ node, offerIds, attempts: await Promise.all(attempts) });
    } catch {
      this.#waiting.push(...tasks);
    }
  }
}

const step = fc.tuple(
  fc.constantFrom(...Object.keys(FAULTS), 'restartService', 'wait', 'wait'),
  fc.nat({ max: 100 }),
);

function startPump(tasks: Tasks) {
  const over = new AbortController();
  const turns = (async () => {
    for (; !over.signal.aborted; await pause(10)) await tasks.turn();
  })();
  return {
    stop(): Promise<void> {
      over.abort();
      return turns;
    },
  };
}

async function play(steps: readonly (readonly [string, number])[]): Promise<void> {
  await using world = await mesosWorld(
    {
      agents: ['127.0.0.1', '127.0.0.2'].map((host) => ({ host, cpus: 2, memoryMb: 2000 })),
      agentPingMs: 60,
      heartbeatSeconds: 0.2,
      ackRetryMs: 50,
    },
    {
      rhythm: { tick: 25, survey: 200 },
      patience: { launch: 500, silence: 3000, unreachable: 300, recheck: 500, killAgain: 500 },
    },
  );
  const { cluster } = world;
  const tasks = new Tasks(world);
  let pump = startPump(tasks);
  await vi.waitFor(() => expect(world.ends.length).toBeGreaterThan(0), WAIT);
  for (const [fault, number] of steps) {
    if (fault === 'restartService') {
      await pump.stop();
      await world.restart();
      pump = startPump(tasks);
    } else {
      try {
        await FAULTS[fault]!(world, number);
      } catch {
        // There was no stream to drop.
      }
    }
  }
  world.store.write = async () => undefined;
  if (cluster.frameworks().length === 0) await cluster.master.restart();
  for (const agent of cluster.agents) if (!agent.isRegistered) await restart(agent);
  await vi.waitFor(() => expect(tasks.finished.size).toBe(TASKS), WAIT);
  await pump.stop();
  await vi.waitFor(() => expect(cluster.tasks()).toEqual([]), WAIT);
  await check(world, tasks);
}

async function check(world: MesosWorld, tasks: Tasks): Promise<void> {
  const ids = world.ends.map(({ attemptId }) => attemptId);
  expect(ids.length, 'an attempt has ended twice').toBe(new Set(ids).size);
  expect([...tasks.attempts.keys()].filter(world.isOut)).toEqual([]);
  const runs = (await world.lines('runs')).map((line) => line.split(' '));
  for (const [task, who] of tasks.finished) {
    expect(await world.node.read('results', String(task), 'who')).toBe(who);
    expect(runs).toContainEqual([String(task), who.trim()]);
  }
  const finished = world.ends.filter(({ to }) => to === 'finished');
  expect(finished).toHaveLength(TASKS);
  await vi.waitFor(() => expect(runs.filter(([, pid]) => isAlive(Number(pid)))).toEqual([]), WAIT);
}

test('whatever fails and when: every attempt ends once, and every result is made once', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 16 }), play), {
    numRuns: 3,
    endOnFailure: true,
  });
}, 180_000);
