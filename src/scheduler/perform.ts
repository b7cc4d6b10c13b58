import type { Logger } from 'pino';

import type { Effect } from '../core/change.ts';
import type {
  Attempt,
  EngineId,
  Failure,
  FailureKind,
  Job,
  JobId,
  JobResult,
  JobState,
  Product,
  Resources,
  Task,
} from '../core/model.ts';
import { OfferGone } from '../engines/engine.ts';
import type { Engine, Launch } from '../engines/engine.ts';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import type { Assignment } from '../runner/assignment.ts';
import type { Store } from '../store/store.ts';
import type { Inbox } from './inbox.ts';

/** What the scheduler has done by others. */
export interface Surroundings {
  readonly logger: Logger;
  /** The products of a job in batches, ordered by their first period, the same each time it is asked. */
  findProducts(job: Job, signal: AbortSignal): AsyncIterable<readonly Product[]>;
  /** What an engine has to know to make an attempt. Rejects when the task's inputs cannot be named. */
  assign(job: Job, task: Task, attempt: Attempt, resources: Resources): Promise<Assignment>;
  /**
   * Puts a job's results where its user finds them. Doing it twice gives the same.
   *
   * @param signal nobody wants them any more
   */
  stage(job: Job, signal: AbortSignal): Promise<readonly JobResult[]>;
  /** Removes what a job that has ended no longer needs. */
  clean(job: Job, state: JobState): Promise<void>;
}

interface PerformerOptions extends Surroundings {
  readonly store: Store;
  readonly engines: readonly Engine[];
  readonly inbox: Inbox;
}

/** Carries out effects. None of them is waited for; a failed one comes back as an event. */
export interface Performer {
  perform(effects: readonly Effect[]): void;
  /** Whether something is under way. */
  readonly isBusy: boolean;
  /** Resolves when something that was under way has ended. */
  progress(): Promise<unknown>;
  /** Nothing is begun any more; splits end where they are. */
  stop(): void;
}

interface Work {
  readonly end: Promise<unknown>;
  readonly stop: AbortController;
}

/** What nobody wants any more is given up, and waited for where it cannot be. */
async function ended(work: Work | undefined): Promise<void> {
  work?.stop.abort();
  await work?.end;
}

export function createPerformer(options: PerformerOptions): Performer {
  const { logger } = options;
  const engines = new Map(options.engines.map((engine) => [engine.id, engine]));
  const allStop = new AbortController();
  /** Splits, loads, stagings and cleanings under way, which a state read back would ask for again. */
  const busy = new Map<string, Work>();
  /** Per engine the last order: a kill must not overtake the launch of what it kills. */
  const orders = new Map<EngineId, Promise<void>>();

  const once = (key: string, work: (signal: AbortSignal) => Promise<void>): void => {
    if (busy.has(key)) return;
    const stop = new AbortController();
    const end = work(AbortSignal.any([stop.signal, allStop.signal]))
      .catch((error: unknown) => {
        if (!allStop.signal.aborted) logger.error({ err: error, key }, 'an effect failed');
      })
      .finally(() => busy.delete(key));
    busy.set(key, { end, stop });
  };

  const order = (engineId: EngineId, give: (engine?: Engine) => Promise<void>): void => {
    const before = orders.get(engineId) ?? Promise.resolve();
    const given = before
      .then(() => give(engines.get(engineId)))
      .catch((error: unknown) => logger.warn({ err: error, engine: engineId }, 'an order failed'))
      .finally(() => orders.get(engineId) === given && orders.delete(engineId));
    orders.set(engineId, given);
  };

  async function clean({ job, state }: Extract<Effect, { type: 'clean' }>): Promise<void> {
    // A job can be dismissed while its products are looked for, and while it is being staged.
    busy.get(`split ${job.id}`)?.stop.abort();
    await ended(busy.get(`stage ${job.id}`));
    await options.clean(job, state);
  }

  function performOne(effect: Effect): void {
    if (allStop.signal.aborted) return;
    switch (effect.type) {
      case 'split':
        return once(`split ${effect.job.id}`, (signal) => split(options, effect, signal));
      case 'load':
        return once(`load ${effect.jobId}`, () => loadTasks(options, effect));
      case 'stage':
        return once(`stage ${effect.job.id}`, (signal) => stage(options, effect.job, signal));
      case 'clean':
        return once(`clean ${effect.job.id}`, () => clean(effect));
      case 'launch':
        return order(effect.engine, (engine) => launch(options, engine, effect));
      case 'kill':
        return order(effect.engine, async (engine) => engine?.kill(effect.attemptId));
      case 'decline':
        return order(effect.engine, async (engine) => engine?.decline?.(effect.offerIds));
      case 'say':
        return logger[effect.level](effect.message);
    }
  }

  return {
    perform: (effects) => effects.forEach(performOne),
    get isBusy() {
      return busy.size + orders.size > 0;
    },
    progress: () =>
      Promise.race([...Array.from(busy.values(), ({ end }) => end), ...orders.values()]),
    stop: () => allStop.abort(),
  };
}

const failureOf = (error: unknown, kind: FailureKind): Failure => ({
  kind: kindOf(error) ?? kind,
  message: messageOf(error),
});

function kindOf(error: unknown): FailureKind | undefined {
  if (isDiskFull(error)) return 'disk';
  if (error instanceof OfferGone) return 'capacity';
  // A storage, say, that has been away for longer than anybody waits.
  return error instanceof PushbroomError && error.code === 'UNAVAILABLE' ? 'network' : undefined;
}

/** Products become tasks batch by batch; the next one is looked for when the last is stored. */
async function split(
  { inbox, store, findProducts }: PerformerOptions,
  { job, isResumed }: Extract<Effect, { type: 'split' }>,
  signal: AbortSignal,
): Promise<void> {
  const jobId: JobId = job.id;
  try {
    for await (const batch of findProducts(job, signal)) {
      // After a restart, the products that are tasks already are found again and passed over.
      const paths = batch.map(({ path }) => path);
      const known = isResumed ? await store.knownKeys(jobId, paths) : NONE;
      const products = known.size > 0 ? batch.filter(({ path }) => !known.has(path)) : batch;
      await inbox.tell({ type: 'productsFound', jobId, products });
    }
  } catch (error) {
    if (signal.aborted) return;
    await inbox.tell({ type: 'splitEnded', jobId, failure: failureOf(error, 'input') });
    return;
  }
  if (!signal.aborted) await inbox.tell({ type: 'splitEnded', jobId });
}

const NONE: ReadonlySet<string> = new Set();

async function loadTasks(
  { inbox, store }: PerformerOptions,
  { jobId, after, limit }: Extract<Effect, { type: 'load' }>,
): Promise<void> {
  await inbox.tell({
    type: 'tasksLoaded',
    jobId,
    tasks: await store.tasksAfter(jobId, after, limit),
  });
}

async function stage(options: PerformerOptions, job: Job, signal: AbortSignal): Promise<void> {
  try {
    const results = await options.stage(job, signal);
    await options.inbox.tell({ type: 'staged', jobId: job.id, results });
  } catch (error) {
    if (signal.aborted) return;
    const failure = failureOf(error, 'disk');
    await options.inbox.tell({ type: 'stagingFailed', jobId: job.id, failure });
  }
}

async function launch(
  { inbox, assign }: PerformerOptions,
  engine: Engine | undefined,
  effect: Extract<Effect, { type: 'launch' }>,
): Promise<void> {
  const attempts: Launch['attempts'][number][] = [];
  const lose = (attempt: Attempt, error: unknown) =>
    inbox.tell({
      type: 'attemptMoved',
      engine: attempt.engine,
      attemptId: attempt.id,
      to: 'lost',
      result: { failure: failureOf(error, 'engine') },
    });
  for (const { job, control, task, attempt, resources } of effect.attempts) {
    try {
      const assignment = await assign(job, task, attempt, resources);
      const { group, priority } = control;
      attempts.push({
        resources,
        assignment,
        job: { id: job.id, user: job.user, group, priority },
      });
    } catch (error) {
      void lose(attempt, error);
    }
  }
  try {
    if (!engine) throw new Error(`engine '${effect.engine}' is not configured`);
    // Also without attempts: the offers go back to the engine this way.
    await engine.launch({ node: effect.node, offerIds: effect.offerIds, attempts });
  } catch (error) {
    for (const { attempt } of effect.attempts) void lose(attempt, error);
  }
}
