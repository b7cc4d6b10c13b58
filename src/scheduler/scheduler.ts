import { advance } from '../core/advance.ts';
import { apply } from '../core/apply.ts';
import type { Change, Effect, Event, Plan } from '../core/change.ts';
import { decide } from '../core/decide.ts';
import { parseAttemptId } from '../core/ids.ts';
import type { Job, JobId } from '../core/model.ts';
import { place } from '../core/place.ts';
import { createState, restore } from '../core/state.ts';
import type { NodeRecord, State } from '../core/state.ts';
import type { Engine } from '../engines/engine.ts';
import { PushbroomError, messageOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from './clock.ts';
import { createInbox } from './inbox.ts';
import type { Inbox, Letter } from './inbox.ts';
import { createPerformer } from './perform.ts';
import type { Surroundings } from './perform.ts';

export interface SchedulerOptions extends Surroundings {
  readonly store: Store;
  readonly engines: readonly Engine[];
  readonly clock: Clock;
}

export interface Scheduler {
  /** Resolves once the job is stored. Rejects with STORAGE_FULL or UNAVAILABLE: then it is not accepted. */
  submit(job: Job): Promise<void>;
  dismiss(jobId: JobId): Promise<void>;
  nodes(): readonly NodeRecord[];
  /** Tells the jobs that every commit touched. */
  onCommit(listener: (jobIds: ReadonlySet<JobId>) => void): () => void;
  /** Stops deciding after the present batch. Attempts go on where their engine lets them. */
  stop(): Promise<void>;
}

/** Events decided and written in one transaction. Bounds the time for which nobody else gets a word in. */
const BATCH = 2_000;
/** Milliseconds until a store that refused is tried again. */
const STORE_PAUSE = 1_000;

/**
 * The loop around the core: take all waiting events, decide, commit the changes in one transaction, then perform the
 * effects. The state in memory runs ahead of the store only within a batch; where a commit fails, it is read back.
 */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  const { store, engines, clock, logger } = options;
  const listeners = new Set<(jobIds: ReadonlySet<JobId>) => void>();
  const engineStop = new AbortController();
  let state = await load(store, new Map());
  /** Read from the store and not looked through yet: what it asks of the world is not known. */
  let isFresh = true;
  let isStopping = false;
  let turn: Promise<void> | undefined;
  let cancelWake: (() => void) | undefined;
  let pauseUntil = 0;
  const inbox: Inbox = createInbox(ring);
  const perform = createPerformer({ ...options, inbox });

  function ring(): void {
    if (turn || isStopping) return;
    turn = new Promise<void>((resolve) => setImmediate(resolve)).then(takeTurns).finally(() => {
      turn = undefined;
      scheduleWake();
    });
  }

  async function takeTurns(): Promise<void> {
    do {
      await takeTurn(inbox.take(BATCH));
    } while (inbox.size > 0 && !isStopping && clock.now() >= pauseUntil);
  }

  async function takeTurn(letters: readonly Letter[]): Promise<void> {
    const nodesBefore = new Map(state.nodes);
    try {
      const { changes, effects } = react(state, letters, isFresh, clock.now());
      await store.commit(changes);
      isFresh = false;
      for (const letter of letters) letter.settle();
      perform(effects);
      announce(changes);
    } catch (error) {
      state = await load(store, nodesBefore);
      isFresh = true;
      await refused(letters, error);
    }
  }

  /** What could not be stored: requests are given back, news waits, and a single culprit is singled out. */
  async function refused(letters: readonly Letter[], error: unknown): Promise<void> {
    const isFull = error instanceof PushbroomError && error.code === 'STORAGE_FULL';
    if (isFull || letters.length === 0) {
      logger.error({ err: error }, 'the store refuses; trying again');
      for (const { isRequest, settle } of letters) if (isRequest) settle(error as Error);
      inbox.putBack(letters.filter(({ isRequest }) => !isRequest));
      pauseUntil = clock.now() + STORE_PAUSE;
      return;
    }
    if (letters.length > 1) {
      for (const letter of letters) await takeTurn([letter]);
      return;
    }
    const [{ event, settle }] = letters as [Letter];
    logger.error({ err: error, event: event.type }, 'an event was dropped: this is a defect');
    settle(new PushbroomError('INTERNAL', messageOf(error), { cause: error }));
  }

  function announce(changes: readonly Change[]): void {
    const touched = new Set<JobId>();
    for (const change of changes) {
      if ('jobId' in change) touched.add(change.jobId);
      else if ('job' in change) touched.add(change.job.id);
      else if ('attempt' in change) touched.add(change.attempt.jobId);
      else if ('task' in change) touched.add(change.task.jobId);
    }
    if (touched.size > 0) for (const listener of listeners) listener(touched);
  }

  function scheduleWake(): void {
    cancelWake?.();
    if (isStopping) return;
    const dates = [state.delayed.peek()?.until, pauseUntil > clock.now() ? pauseUntil : undefined];
    const next = Math.min(...dates.filter((date) => date !== undefined));
    cancelWake = Number.isFinite(next) ? clock.wakeAt(next, ring) : undefined;
    if (inbox.size > 0 && clock.now() >= pauseUntil) ring();
  }

  await reconcile(state, engines, inbox);
  const running = engines.map((engine) =>
    engine
      .run((event) => void inbox.tell(event).catch(() => undefined), engineStop.signal)
      .catch((error: unknown) => logger.error({ err: error, engine: engine.id }, 'engine lost')),
  );
  ring();

  return {
    submit: (job) =>
      isStopping
        ? Promise.reject(new PushbroomError('UNAVAILABLE', 'The service is shutting down.'))
        : inbox.ask({ type: 'jobAccepted', job }),
    dismiss: (jobId) => inbox.ask({ type: 'jobDismissed', jobId }),
    nodes: () => [...state.nodes.values()],
    onCommit: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: async () => {
      isStopping = true;
      cancelWake?.();
      perform.stop();
      await turn;
      engineStop.abort();
      await Promise.all(running);
    },
  };
}

async function load(store: Store, nodes: ReadonlyMap<string, NodeRecord>): Promise<State> {
  const state = createState(nodes);
  for (const snapshot of await store.load()) restore(state, snapshot);
  return state;
}

/** Everything that a batch of events means, already applied to the state. */
function react(state: State, letters: readonly Letter[], isFresh: boolean, at: number): Plan {
  const changes: Change[] = [];
  const effects: Effect[] = [];
  const follow = (plan: Plan): void => {
    apply(state, plan.changes);
    changes.push(...plan.changes);
    effects.push(...plan.effects);
  };
  follow({ changes: [{ type: 'wake', until: at }], effects: [] });
  const touched = new Set<JobId>(isFresh ? state.jobs.keys() : []);
  for (const { event } of letters) {
    follow(decide(state, event, at));
    const jobId = jobOf(event);
    if (jobId !== undefined) touched.add(jobId);
  }
  for (const jobId of touched) follow(advance(state, jobId, at));
  follow(place(state, at));
  return { changes, effects };
}

function jobOf(event: Event): JobId | undefined {
  switch (event.type) {
    case 'jobAccepted':
      return event.job.id;
    case 'attemptMoved':
      return parseAttemptId(event.attemptId)?.jobId;
    case 'nodeUp':
    case 'nodeDown':
    case 'offered':
    case 'rescinded':
      return undefined;
    default:
      return event.jobId;
  }
}

/** Asks the engines what became of the attempts that were out when the last scheduler ended. */
async function reconcile(state: State, engines: readonly Engine[], inbox: Inbox): Promise<void> {
  const out = Array.from(state.jobs.values()).flatMap(({ attempts }) => [...attempts.values()]);
  const byEngine = Map.groupBy(out, ({ attempt }) => attempt.engine);
  for (const [engineId, attempts] of byEngine) {
    const ids = attempts.map(({ attempt }) => attempt.id);
    const engine = engines.find(({ id }) => id === engineId);
    const news = await engine?.reconcile(ids);
    for (const attemptId of ids) {
      const failure = {
        kind: 'engine',
        message: `engine '${engineId}' no longer knows the attempt`,
      } as const;
      const { state: to, result } = news?.get(attemptId) ?? { state: 'lost', result: { failure } };
      void inbox.tell({
        type: 'attemptMoved',
        engine: engineId,
        attemptId,
        to,
        ...(result && { result }),
      });
    }
  }
}
