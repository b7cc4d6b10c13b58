import { availableParallelism, hostname, totalmem } from 'node:os';

import type { AttemptId, Failure, Resources } from '../../core/model.ts';
import type { AttemptEnd } from '../../runner/attempt.ts';
import type { AttemptNews, Engine, EngineEvent, Launch } from '../engine.ts';
import { createPool } from './pool.ts';

export interface LocalOptions {
  readonly id?: string;
  /** What attempts may use together; all processors and most of the memory of this machine by default. */
  readonly resources?: Partial<Resources>;
}

/** Memory that is left to the service itself and the rest of the machine. */
const MEMORY_SHARE = 0.8;
/** An attempt that ends sooner is never told to be running: that would be news of no use. */
const WORTH_TELLING_MS = 500;
/** Ends remembered, so that a launch that comes twice is known. */
const ENDS_KEPT = 10_000;

const LOST: Failure = {
  kind: 'engine',
  message: 'The runner process died or was never started.',
};

/** This machine as an engine: attempts are made by runner processes of the service. */
export function createLocal(options: LocalOptions = {}): Engine {
  const id = options.id ?? 'local';
  const node = hostname();
  const total: Resources = {
    cpus: options.resources?.cpus ?? availableParallelism(),
    memoryMb: options.resources?.memoryMb ?? Math.floor((totalmem() / 1024 ** 2) * MEMORY_SHARE),
  };
  const pool = createPool();
  const running = new Set<AttemptId>();
  const ended = new Map<AttemptId, AttemptNews>();
  const offers = new Map<string, Resources>();
  let free = total;
  let offerCount = 0;
  let emit: (event: EngineEvent) => void = () => undefined;

  function offer(resources: Resources): void {
    if (resources.cpus <= 0 || resources.memoryMb <= 0) return;
    offerCount += 1;
    const offerId = `${id}-${offerCount}`;
    offers.set(offerId, resources);
    emit({ type: 'offered', offers: [{ id: offerId, engine: id, node, resources }] });
  }

  /** Takes back offers; those that are gone count for nothing. */
  function take(offerIds: readonly string[]): Resources {
    const taken = offerIds.map((offerId) => offers.get(offerId) ?? { cpus: 0, memoryMb: 0 });
    for (const offerId of offerIds) offers.delete(offerId);
    return sum(taken);
  }

  function end(
    attemptId: AttemptId,
    resources: Resources,
    attemptEnd: AttemptEnd | undefined,
  ): void {
    const news: AttemptNews = attemptEnd
      ? { state: attemptEnd.to, result: attemptEnd.result }
      : { state: 'lost', result: { failure: LOST } };
    running.delete(attemptId);
    ended.set(attemptId, news);
    if (ended.size > ENDS_KEPT) ended.delete(ended.keys().next().value!);
    free = sum([free, resources]);
    tell(attemptId, news);
    offer(resources);
  }

  const tell = (attemptId: AttemptId, { state: to, result }: AttemptNews) =>
    emit({ type: 'attemptMoved', engine: id, attemptId, to, ...(result && { result }) });

  function start({ assignment, resources }: Launch['attempts'][number]): void {
    const { attemptId } = assignment;
    running.add(attemptId);
    free = minus(free, resources);
    const seen = setTimeout(() => tell(attemptId, { state: 'running' }), WORTH_TELLING_MS);
    void pool
      .run(assignment)
      .then((attemptEnd) => end(attemptId, resources, attemptEnd))
      .finally(() => clearTimeout(seen));
  }

  return {
    id,
    run: async (tellTo, signal) => {
      emit = tellTo;
      offers.clear();
      emit({ type: 'nodeUp', engine: id, node, resources: total });
      offer(free);
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      emit = () => undefined;
      await pool.close();
    },
    launch: async ({ offerIds, attempts }) => {
      const fresh = attempts.filter(({ assignment: { attemptId } }) => {
        const known = ended.get(attemptId);
        if (known) tell(attemptId, known);
        return !known && !running.has(attemptId);
      });
      const offered = take(offerIds);
      const wanted = sum(fresh.map(({ resources }) => resources));
      if (wanted.cpus > offered.cpus || wanted.memoryMb > offered.memoryMb) {
        offer(offered);
        throw new Error(`more was launched on node ${node} than its valid offers hold`);
      }
      for (const attempt of fresh) start(attempt);
      offer(minus(offered, wanted));
    },
    kill: async (attemptId) => pool.kill(attemptId),
    reconcile: async (attemptIds) =>
      new Map(
        attemptIds.map((attemptId) => [
          attemptId,
          running.has(attemptId)
            ? { state: 'running' }
            : (ended.get(attemptId) ?? { state: 'lost', result: { failure: LOST } }),
        ]),
      ),
  };
}

const sum = (parts: readonly Resources[]): Resources => ({
  cpus: parts.reduce((total, { cpus }) => total + cpus, 0),
  memoryMb: parts.reduce((total, { memoryMb }) => total + memoryMb, 0),
});

const minus = (from: Resources, part: Resources): Resources => ({
  cpus: from.cpus - part.cpus,
  memoryMb: from.memoryMb - part.memoryMb,
});
