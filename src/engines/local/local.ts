import { once } from 'node:events';
import { hostname } from 'node:os';

import type { Resources } from '../../core/model.ts';
import type { AttemptEnd } from '../../runner/attempt.ts';
import type { Work } from '../../runner/messages.ts';
import { OfferGone } from '../engine.ts';
import type { AttemptNews, Engine, Launch } from '../engine.ts';
import { minus, sum } from './capacity.ts';
import { createLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { Pool } from './pool.ts';
import type { PoolOptions } from './pool.ts';
import { killStrays } from './strays.ts';

export interface LocalOptions extends Pick<PoolOptions, 'directory' | 'codeCache'> {
  readonly id?: string;
  /** What attempts may use together. */
  readonly resources: Resources;
  /** Whether attempts go on when the engine is stopped; otherwise they are ended, and lost. By default they go on. */
  readonly keepRunning?: boolean;
  /** A runner that has had no work for so many milliseconds ends, so that an idle service is small. */
  readonly idleMs?: number;
}

const IDLE_MS = 30_000;

const LOST: AttemptNews = {
  state: 'lost',
  result: {
    failure: { kind: 'engine', message: 'The runner process died or was never started.' },
  },
};

/**
 * This machine as an engine. Attempts are made by a runner, a process that outlives the service: whether the service is
 * stopped, killed or replaced by a newer version, attempts go on, within their limits, and the next service's engine
 * finds those that run and the ends of the others in the runners' directory.
 */
export function createLocal(options: LocalOptions): Engine {
  const { resources: total, keepRunning = true } = options;
  const id = options.id ?? 'local';
  const node = hostname();
  const ledger = createLedger(id, node, total);
  const pool = createPool(options, ledger);
  let adoption: Promise<void> | undefined;
  const adopt = () => (adoption ??= pool.adopt());

  function start(work: Launch['attempts']): void {
    if (work.length === 0) return;
    pool.run(work);
    for (const { assignment, resources } of work) ledger.begin(assignment.attemptId, resources);
  }

  return {
    id,
    status: () => ({ isConnected: true, detail: 'runs on this machine' }),
    run: async (emit, signal) => {
      await adopt();
      ledger.open(emit);
      if (!signal.aborted) await once(signal, 'abort');
      ledger.close();
      await (keepRunning ? pool.leave() : pool.close());
      ledger.letGo();
      adoption = undefined;
    },
    launch: async ({ offerIds, attempts }) => {
      await adopt();
      const isKnown = ({ assignment }: Work) => ledger.find(assignment.attemptId) !== undefined;
      for (const { assignment } of attempts.filter(isKnown)) ledger.tellOf(assignment.attemptId);
      const fresh = attempts.filter((work) => !isKnown(work));
      const offered = ledger.take(offerIds);
      const wanted = sum(fresh.map(({ resources }) => resources));
      try {
        if (wanted.cpus > offered.cpus || wanted.memoryMb > offered.memoryMb) {
          throw new OfferGone(`more was launched on node ${node} than its valid offers hold`);
        }
        start(fresh);
      } catch (error) {
        ledger.giveBack(offered);
        throw error;
      }
      ledger.giveBack(minus(offered, wanted));
    },
    kill: async (attemptId) => {
      await adopt();
      pool.kill(attemptId);
    },
    reconcile: async (attemptIds) => {
      await adopt();
      killStrays(attemptIds.filter((attemptId) => !ledger.find(attemptId)));
      return new Map(attemptIds.map((attemptId) => [attemptId, ledger.find(attemptId) ?? LOST]));
    },
  };
}

const createPool = (options: LocalOptions, ledger: Ledger): Pool =>
  new Pool(
    { idleMs: IDLE_MS, ...options },
    {
      found: ledger.adopt,
      ended: (attemptId, end) => ledger.end(attemptId, newsOf(end)),
      lost: (attemptIds) => {
        killStrays(attemptIds);
        for (const attemptId of attemptIds) ledger.end(attemptId, LOST);
      },
      remembered: (attemptId, end) => ledger.remember(attemptId, newsOf(end)),
    },
  );

const newsOf = ({ to, result }: AttemptEnd): AttemptNews => ({ state: to, result });
