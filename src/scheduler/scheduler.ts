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
import type { Performer, Surroundings } from './perform.ts';

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
 * Starts the loop around the core: take all waiting events, decide, commit the changes in one transaction, then
 * perform the effects. Attempts that were out when the last scheduler ended are asked after first.
 */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  const state = await load(options.store, new Map());
  const loop = new Loop(options, state);
  await reconcile(state, options.engines, loop.inbox);
  loop.start();
  return {
    submit: (job) => loop.submit(job),
    dismiss: (jobId) => loop.inbox.ask({ type: 'jobDismissed', jobId }),
    nodes: () => loop.nodes(),
    onCommit: (listener) => loop.onCommit(listener),
    stop: () => loop.stop(),
  };
}

type CommitListener = (jobIds: ReadonlySet<JobId>) => void;

/** The state in memory runs ahead of the store only within a batch; where a commit fails, it is read back. */
class Loop {
  readonly inbox: Inbox = createInbox(() => this.#ring());
  readonly #options: SchedulerOptions;
  readonly #perform: Performer;
  readonly #listeners = new Set<CommitListener>();
  readonly #engineStop = new AbortController();
  #running: readonly Promise<void>[] = [];
  #state: State;
  /** Read from the store and not looked through yet: what it asks of the world is not known. */
  #isFresh = true;
  #isStopping = false;
  #turn: Promise<void> | undefined;
  #cancelWake: (() => void) | undefined;
  #pauseUntil = 0;

  constructor(options: SchedulerOptions, state: State) {
    this.#options = options;
    this.#state = state;
    this.#perform = createPerformer({ ...options, inbox: this.inbox });
  }

  start(): void {
    const { engines, logger } = this.#options;
    this.#running = engines.map((engine) =>
      engine
        .run((event) => void this.inbox.tell(event).catch(() => undefined), this.#engineStop.signal)
        .catch((error: unknown) => logger.error({ err: error, engine: engine.id }, 'engine lost')),
    );
    this.#ring();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelWake?.();
    this.#perform.stop();
    await this.#turn;
    this.#engineStop.abort();
    await Promise.all(this.#running);
  }

  async submit(job: Job): Promise<void> {
    if (this.#isStopping) {
      throw new PushbroomError('UNAVAILABLE', 'The service is shutting down.');
    }
    await this.inbox.ask({ type: 'jobAccepted', job });
  }

  nodes(): readonly NodeRecord[] {
    return [...this.#state.nodes.values()];
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a turn soon; what arrives until then is in the same batch. */
  #ring(): void {
    if (this.#turn || this.#isStopping) return;
    this.#turn = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#takeTurns())
      .finally(() => {
        this.#turn = undefined;
        this.#scheduleWake();
      });
  }

  async #takeTurns(): Promise<void> {
    do await this.#takeTurn(this.inbox.take(BATCH));
    while (this.inbox.size > 0 && this.#mayGoOn());
  }

  #mayGoOn(): boolean {
    return !this.#isStopping && this.#options.clock.now() >= this.#pauseUntil;
  }

  async #takeTurn(letters: readonly Letter[]): Promise<void> {
    const { store, clock } = this.#options;
    const nodesBefore = new Map(this.#state.nodes);
    try {
      const { changes, effects } = react(this.#state, letters, this.#isFresh, clock.now());
      await store.commit(changes);
      this.#isFresh = false;
      for (const letter of letters) letter.settle();
      this.#perform(effects);
      this.#announce(changes);
    } catch (error) {
      this.#state = await load(store, nodesBefore);
      this.#isFresh = true;
      await this.#refused(letters, error);
    }
  }

  /** What could not be stored: requests are given back, news waits, and a single culprit is singled out. */
  async #refused(letters: readonly Letter[], error: unknown): Promise<void> {
    const { logger, clock } = this.#options;
    const isFull = error instanceof PushbroomError && error.code === 'STORAGE_FULL';
    if (isFull || letters.length === 0) {
      logger.error({ err: error }, 'the store refuses; trying again');
      for (const { isRequest, settle } of letters) if (isRequest) settle(error as Error);
      this.inbox.putBack(letters.filter(({ isRequest }) => !isRequest));
      this.#pauseUntil = clock.now() + STORE_PAUSE;
      return;
    }
    if (letters.length > 1) {
      for (const letter of letters) await this.#takeTurn([letter]);
      return;
    }
    const [{ event, settle }] = letters as [Letter];
    logger.error({ err: error, event: event.type }, 'an event was dropped: this is a defect');
    settle(new PushbroomError('INTERNAL', messageOf(error), { cause: error }));
  }

  #announce(changes: readonly Change[]): void {
    const touched = new Set<JobId>();
    for (const change of changes) {
      if ('jobId' in change) touched.add(change.jobId);
      else if ('job' in change) touched.add(change.job.id);
      else if ('attempt' in change) touched.add(change.attempt.jobId);
      else if ('task' in change) touched.add(change.task.jobId);
    }
    if (touched.size > 0) for (const listener of this.#listeners) listener(touched);
  }

  #scheduleWake(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    if (this.#isStopping) return;
    const { clock } = this.#options;
    const isPausing = this.#pauseUntil > clock.now();
    if (this.inbox.size > 0 && !isPausing) return this.#ring();
    const dates = [this.#state.delayed.peek()?.until, isPausing ? this.#pauseUntil : undefined];
    const next = Math.min(...dates.filter((date) => date !== undefined));
    if (Number.isFinite(next)) this.#cancelWake = clock.wakeAt(next, () => this.#ring());
    return undefined;
  }
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
