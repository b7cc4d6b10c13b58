import { once } from 'node:events';
import { hostname } from 'node:os';

import { isAttemptEnded } from '../../core/lifecycle.ts';
import type { AttemptId, Resources } from '../../core/model.ts';
import type { AttemptNews, Engine, EngineEvent, Launch } from '../engine.ts';
import { NONE, createCapacity, minus, sum } from './capacity.ts';
import { createPool } from './pool.ts';
import type { PoolOptions } from './pool.ts';

export interface LocalOptions extends Partial<PoolOptions> {
  readonly id?: string;
  /** What attempts may use together. */
  readonly resources: Resources;
}

const IDLE_MS = 30_000;

/** An attempt that ends sooner is never told to be running: that would be news of no use. */
const WORTH_TELLING_MS = 500;
/** Ends remembered, so that a launch that comes twice is known. */
const ENDS_KEPT = 10_000;

const LOST: AttemptNews = {
  state: 'lost',
  result: {
    failure: { kind: 'engine', message: 'The runner process died or was never started.' },
  },
};

/** This machine as an engine: attempts are made by runner processes of the service. */
export function createLocal(options: LocalOptions): Engine {
  const id = options.id ?? 'local';
  const node = hostname();
  const total = options.resources;
  const pool = createPool({ idleMs: IDLE_MS, ...options });
  const capacity = createCapacity(total, id);
  const attempts = createAttempts();
  let emit: ((event: EngineEvent) => void) | undefined;

  const tell = (attemptId: AttemptId, { state: to, result }: AttemptNews) =>
    emit?.({ type: 'attemptMoved', engine: id, attemptId, to, ...(result && { result }) });

  function giveBack(resources: Resources): void {
    const offer = emit ? capacity.offer(resources) : capacity.keep(resources);
    if (offer) emit?.({ type: 'offered', offers: [{ ...offer, engine: id, node }] });
  }

  function start({ assignment, resources }: Launch['attempts'][number]): void {
    const { attemptId } = assignment;
    attempts.begin(attemptId);
    const seen = setTimeout(() => tell(attemptId, { state: 'running' }), WORTH_TELLING_MS);
    void pool
      .run(assignment)
      // No process could be started.
      .catch(() => undefined)
      .then((end) => {
        clearTimeout(seen);
        const news = end ? { state: end.to, result: end.result } : LOST;
        attempts.end(attemptId, news);
        tell(attemptId, news);
        giveBack(resources);
      });
  }

  return {
    id,
    run: async (tellTo, signal) => {
      emit = tellTo;
      emit({ type: 'nodeUp', engine: id, node, resources: total });
      giveBack(NONE);
      if (!signal.aborted) await once(signal, 'abort');
      emit = undefined;
      capacity.withdraw();
      await pool.close();
    },
    launch: async (launch) => {
      const fresh = launch.attempts.filter(({ assignment: { attemptId } }) => {
        const known = attempts.find(attemptId);
        if (known && isAttemptEnded(known.state)) tell(attemptId, known);
        return !known;
      });
      const offered = capacity.take(launch.offerIds);
      const wanted = sum(fresh.map(({ resources }) => resources));
      if (wanted.cpus > offered.cpus || wanted.memoryMb > offered.memoryMb) {
        giveBack(offered);
        throw new Error(`more was launched on node ${node} than its valid offers hold`);
      }
      for (const attempt of fresh) start(attempt);
      giveBack(minus(offered, wanted));
    },
    kill: async (attemptId) => pool.kill(attemptId),
    reconcile: async (attemptIds) =>
      new Map(attemptIds.map((attemptId) => [attemptId, attempts.find(attemptId) ?? LOST])),
  };
}

/** Attempts that run, and the ends of those that ran last. */
function createAttempts() {
  const running = new Set<AttemptId>();
  const ended = new Map<AttemptId, AttemptNews>();
  return {
    begin: (id: AttemptId) => running.add(id),
    end(id: AttemptId, news: AttemptNews): void {
      running.delete(id);
      ended.set(id, news);
      if (ended.size > ENDS_KEPT) ended.delete(ended.keys().next().value!);
    },
    find: (id: AttemptId): AttemptNews | undefined =>
      running.has(id) ? { state: 'running' } : ended.get(id),
  };
}
