import type { AttemptId, EngineId, NodeId, OfferId, Resources } from '../../core/model.ts';
import type { AttemptNews, EngineEvent } from '../engine.ts';
import { createAttempts } from './attempts.ts';
import { NONE, createCapacity } from './capacity.ts';

/** An attempt that ends sooner is never told to be running: that would be news of no use. */
const WORTH_TELLING_MS = 500;

export type Ledger = ReturnType<typeof createLedger>;

/** What runs on the node and what is left of it, told as it changes to whoever listens. */
export function createLedger(id: EngineId, node: NodeId, total: Resources) {
  const attempts = createAttempts();
  const capacity = createCapacity(total, id);
  let emit: ((event: EngineEvent) => void) | undefined;
  /** Ended while nobody listened. */
  const untold = new Set<AttemptId>();

  function tellOf(attemptId: AttemptId): void {
    const news = attempts.find(attemptId);
    if (!news || !emit) return;
    const { state: to, result } = news;
    emit({ type: 'attemptMoved', engine: id, attemptId, to, ...(result && { result }) });
  }

  function giveBack(resources: Resources): void {
    const offer = emit ? capacity.offer(resources) : capacity.keep(resources);
    if (offer) emit?.({ type: 'offered', offers: [{ ...offer, engine: id, node }] });
  }

  return {
    find: attempts.find,
    remember: attempts.remember,
    tellOf,
    take: (offerIds: readonly OfferId[]) => capacity.take(offerIds),
    giveBack,
    /** Tells the node and everything that was not told yet. */
    open(listener: (event: EngineEvent) => void): void {
      emit = listener;
      emit({ type: 'nodeUp', engine: id, node, resources: total });
      for (const attemptId of [...untold, ...attempts.running()]) tellOf(attemptId);
      untold.clear();
      giveBack(NONE);
    },
    /** Withdraws what was offered. */
    close(): void {
      emit = undefined;
      capacity.withdraw();
    },
    /** An attempt begins with resources that were taken. */
    begin(attemptId: AttemptId, resources: Resources): void {
      attempts.begin(attemptId, resources);
      setTimeout(() => {
        if (attempts.isRunning(attemptId)) tellOf(attemptId);
      }, WORTH_TELLING_MS).unref();
    },
    /** An attempt of an earlier service runs, and uses what it was given then. */
    adopt(attemptId: AttemptId, resources: Resources): void {
      attempts.begin(attemptId, resources);
      capacity.use(resources);
    },
    end(attemptId: AttemptId, news: AttemptNews): void {
      const resources = attempts.end(attemptId, news);
      if (emit) tellOf(attemptId);
      else untold.add(attemptId);
      giveBack(resources);
    },
    /** What still runs is no longer ours. */
    letGo: () => capacity.keep(attempts.letGo()),
  };
}
