import type { AttemptId, Resources } from '../../src/core/model.ts';
import type { EngineEvent } from '../../src/core/change.ts';
import { OfferGone } from '../../src/engines/engine.ts';
import type { AttemptNews, Engine, Launch } from '../../src/engines/engine.ts';

/** How an attempt will end. */
export type Fate = 'finish' | 'finishEmpty' | 'fail' | 'lose';

export interface ClusterOptions {
  readonly nodes: readonly Resources[];
  readonly fateOf: (attemptId: AttemptId) => Fate;
}

/**
 * A cluster that outlives the schedulers: attempts run on when nobody listens, launches can land late, and nothing
 * happens but by `step`. It checks for itself that no node is overbooked and no attempt runs twice.
 */
export function createCluster({ nodes, fateOf }: ClusterOptions) {
  const running = new Map<AttemptId, { node: number; resources: Resources }>();
  const ended = new Map<AttemptId, AttemptNews>();
  /** Tasks with committed outputs and the attempts that committed them: as the file system would have it. */
  const committed = new Map<string, AttemptId>();
  const starts = new Map<AttemptId, number>();
  const late: (() => void)[] = [];
  let offers = new Map<string, { node: number; resources: Resources }>();
  let offerCount = 0;
  let emit: (event: EngineEvent) => void = () => undefined;
  const nodeName = (node: number) => `node-${node}`;

  function freeOf(node: number): Resources {
    let { cpus, memoryMb } = nodes[node]!;
    const taken = [...running.values(), ...offers.values()].filter((use) => use.node === node);
    for (const use of taken) {
      cpus -= use.resources.cpus;
      memoryMb -= use.resources.memoryMb;
    }
    return { cpus, memoryMb };
  }

  function offerFree(node: number): void {
    const resources = freeOf(node);
    if (resources.cpus < 0 || resources.memoryMb < 0)
      throw new Error(`${nodeName(node)} is overbooked`);
    if (resources.cpus === 0 || resources.memoryMb === 0) return;
    offerCount += 1;
    const id = `offer-${offerCount}`;
    offers.set(id, { node, resources });
    emit({ type: 'offered', offers: [{ id, engine: 'sim', node: nodeName(node), resources }] });
  }

  function end(attemptId: AttemptId, news: AttemptNews): void {
    const { node } = running.get(attemptId)!;
    running.delete(attemptId);
    ended.set(attemptId, news);
    tell(attemptId, news);
    offerFree(node);
  }

  const tell = (attemptId: AttemptId, { state: to, result }: AttemptNews) =>
    emit({ type: 'attemptMoved', engine: 'sim', attemptId, to, ...(result && { result }) });

  function meetFate(attemptId: AttemptId): void {
    const fate = fateOf(attemptId);
    const task = attemptId.slice(0, attemptId.lastIndexOf('.'));
    switch (fate) {
      case 'finish':
        if (!committed.has(task)) committed.set(task, attemptId);
        return end(attemptId, { state: 'finished', result: { outputs: [{ path: 'a', size: 1 }] } });
      case 'finishEmpty':
        return end(attemptId, { state: 'finished', result: { outputs: [] } });
      case 'fail':
        return end(attemptId, {
          state: 'failed',
          result: { exitCode: 1, failure: { kind: 'processor', message: 'exit code 1' } },
        });
      case 'lose':
        return end(attemptId, { state: 'lost' });
    }
  }

  function start(
    { assignment: { attemptId }, resources }: Launch['attempts'][number],
    node: number,
  ) {
    if (running.has(attemptId) || ended.has(attemptId)) return;
    starts.set(attemptId, (starts.get(attemptId) ?? 0) + 1);
    running.set(attemptId, { node, resources });
    tell(attemptId, { state: 'running' });
  }

  function launch({ offerIds, attempts }: Launch): void {
    const known = offerIds.map((id) => offers.get(id)).filter((offer) => offer !== undefined);
    for (const id of offerIds) offers.delete(id);
    const node = known[0]?.node;
    if (node === undefined || known.length < offerIds.length) {
      for (const use of known) offerFree(use.node);
      throw new OfferGone('an offer is gone');
    }
    for (const attempt of attempts) start(attempt, node);
    offerFree(node);
  }

  const engine: Engine = {
    id: 'sim',
    run: async (tellTo, signal) => {
      emit = tellTo;
      offers = new Map();
      nodes.forEach((resources, node) => {
        emit({ type: 'nodeUp', engine: 'sim', node: nodeName(node), resources });
        offerFree(node);
      });
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    launch: async (order) => launch(order),
    kill: async (attemptId) => {
      if (running.has(attemptId)) end(attemptId, { state: 'killed' });
    },
    reconcile: async (attemptIds) =>
      new Map(
        attemptIds.map((id) => [
          id,
          running.has(id) ? { state: 'running' } : (ended.get(id) ?? { state: 'lost' }),
        ]),
      ),
  };

  return {
    engine,
    running,
    ended,
    committed,
    starts,
    /** A node dies with everything that runs on it, and comes back empty. */
    crash(choice: number): void {
      const node = choice % nodes.length;
      for (const [attemptId, use] of running) {
        if (use.node !== node) continue;
        running.delete(attemptId);
        ended.set(attemptId, { state: 'lost' });
      }
      for (const [id, offer] of offers) if (offer.node === node) offers.delete(id);
      emit({ type: 'nodeDown', engine: 'sim', node: nodeName(node) });
      emit({ type: 'nodeUp', engine: 'sim', node: nodeName(node), resources: nodes[node]! });
      offerFree(node);
    },
    /** Something happens: a launch lands late, or the attempt that is `choice` in the line ends. */
    step(choice: number): boolean {
      const landing = late.shift();
      if (landing) landing();
      const attempts = [...running.keys()];
      if (attempts.length > 0) meetFate(attempts[choice % attempts.length]!);
      return landing !== undefined || attempts.length > 0;
    },
    /** A launch whose sender has died reaches the cluster at the next step. */
    launchLate: (order: Launch) => {
      late.push(() => {
        const gone = order.offerIds.some((id) => !offers.has(id));
        if (!gone) launch(order);
        else forceStart(order);
      });
    },
  };

  /** The real thing may have accepted the call long ago: the attempts run where there is room. */
  function forceStart({ attempts }: Launch): void {
    for (const attempt of attempts) {
      const node = nodes.findIndex((_, index) => {
        offers = new Map([...offers].filter(([, offer]) => offer.node !== index));
        const free = freeOf(index);
        return free.cpus >= attempt.resources.cpus && free.memoryMb >= attempt.resources.memoryMb;
      });
      if (node >= 0) start(attempt, node);
    }
    emit({
      type: 'rescinded',
      engine: 'sim',
      offerIds: Array.from({ length: offerCount }, (_, n) => `offer-${n + 1}`),
    });
    offers = new Map();
    nodes.forEach((_, node) => offerFree(node));
  }
}

export type Cluster = ReturnType<typeof createCluster>;
