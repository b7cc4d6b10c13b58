import { jobIdOf } from '../core/change.ts';
import type { Change } from '../core/change.ts';
import { explain } from '../core/explain.ts';
import type { Explanation } from '../core/explain.ts';
import type { Control, EngineId, Job, JobId, Millis, NodeId, Task } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import { restore } from '../core/restore.ts';
import { createState, isWanted, nextAlarm, nodeKey } from '../core/state.ts';
import type { Knowledge, State } from '../core/state.ts';
import type { Engine, EngineEvent } from '../engines/engine.ts';
import { PushbroomError, messageOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from './clock.ts';
import { createInbox } from './inbox.ts';
import type { Inbox, Letter } from './inbox.ts';
import { createPerformer } from './perform.ts';
import type { Performer, Surroundings } from './perform.ts';
import { react } from './react.ts';
import { engineUse, groupStatus, nodeStatus } from './status.ts';
import type { EngineUse, GroupStatus, NodeStatus } from './status.ts';

export interface SchedulerOptions extends Surroundings {
  readonly store: Store;
  readonly engines: readonly Engine[];
  readonly clock: Clock;
  /** How the cluster is shared at first. */
  readonly policy?: Policy;
  /** Tasks of one job that are held in memory. */
  readonly window?: number;
  /** Milliseconds for which engines' news may wait for more of it, where turns are dear. Not at all by default. */
  readonly gather?: number;
}

export interface Scheduler {
  /**
   * Resolves once the job is stored. Rejects with STORAGE_FULL, UNAVAILABLE or LIMIT_REACHED: then it is not accepted.
   */
  submit(job: Job): Promise<void>;
  dismiss(jobId: JobId): Promise<void>;
  /** Pauses or resumes a job, changes its priority or group. Rejects with CONFLICT when it has ended. */
  control(jobId: JobId, control: Partial<Control>): Promise<void>;
  /** Tries failed tasks of a job that has not ended again. Rejects with CONFLICT where that cannot be. */
  retryTasks(
    jobId: JobId,
    tasks: readonly { readonly task: Task; readonly attempts: number }[],
    memoryMb?: number,
  ): Promise<void>;
  /** Takes a node out of work, what runs there goes on, or gives it back. Remembered until it is given back. */
  drain(engine: EngineId, node: NodeId, isDrained: boolean, reason?: string): Promise<void>;
  setPolicy(policy: Policy): Promise<void>;
  policy(): Policy;
  nodes(): readonly NodeStatus[];
  engineUse(engine: EngineId): EngineUse;
  groups(): readonly GroupStatus[];
  /** Why a job, task or attempt is as it is; `undefined` for what is over. */
  explain(id: string): Explanation | undefined;
  /** Tells the jobs that every commit touched. */
  onCommit(listener: (jobIds: ReadonlySet<JobId>) => void): () => void;
  /** Resolves when there is nothing to decide and nothing under way; only engines and time can bring more. */
  settled(): Promise<void>;
  /** Stops deciding after the present batch. Attempts go on where their engine lets them. */
  stop(): Promise<void>;
}

/** Events decided and written in one transaction. Bounds the time for which nobody else gets a word in. */
const BATCH = 2_000;
/** Milliseconds after which others have a turn. */
const TURN_MS = 5;
/** For as long as so many turns take, news is gathered for the next. */
const GATHER_TURNS = 4;
/** Milliseconds until a store that refused is tried again. */
const STORE_PAUSE = 1_000;

/**
 * Starts the loop around the core: take all waiting events, decide, commit the changes in one transaction, then
 * perform the effects. Attempts that were out when the last scheduler ended are asked after first.
 */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  const { store, clock, policy, window } = options;
  const state = await load(store, clock.now(), {
    ...(policy && { policy }),
    ...(window !== undefined && { window }),
  });
  const loop = new Loop(options, state);
  await reconcile(state, options.engines, loop.inbox);
  loop.start();
  const { inbox } = loop;
  return {
    submit: (job) => loop.submit(job),
    dismiss: (jobId) => inbox.ask({ type: 'jobDismissed', jobId }),
    control: (jobId, control) => inbox.ask({ type: 'jobControlled', jobId, control }),
    retryTasks: (jobId, tasks, memoryMb) =>
      inbox.ask({
        type: 'tasksRetried',
        jobId,
        tasks,
        ...(memoryMb !== undefined && { memoryMb }),
      }),
    drain: (engine, node, isDrained, reason) =>
      inbox.ask({
        type: 'nodeDrained',
        engine,
        node,
        isDrained,
        ...(reason !== undefined && { reason }),
      }),
    setPolicy: (wanted) => inbox.ask({ type: 'policySet', policy: wanted }),
    policy: () => loop.state.policy,
    nodes: () => nodeStatus(loop.state),
    engineUse: (engine) => engineUse(loop.state, engine),
    groups: () => groupStatus(loop.state),
    explain: (id) => explain(loop.state, id, clock.now()),
    onCommit: (listener) => loop.onCommit(listener),
    settled: () => loop.settled(),
    stop: () => loop.stop(),
  };
}

type CommitListener = (jobIds: ReadonlySet<JobId>) => void;

/** The state in memory runs ahead of the store only within a batch; where a commit fails, it is read back. */
class Loop {
  readonly inbox: Inbox = createInbox(() => this.#ring());
  readonly #options: SchedulerOptions;
  readonly #performer: Performer;
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
  /** What each engine was told last. */
  readonly #demand = new Map<EngineId, boolean>();
  /** How long the last turn took. */
  #turnMs = 0;
  /** Ends the gathering. */
  #hurry: (() => void) | undefined;

  constructor(options: SchedulerOptions, state: State) {
    this.#options = options;
    this.#state = state;
    this.#performer = createPerformer({ ...options, inbox: this.inbox });
  }

  start(): void {
    const { engines, logger } = this.#options;
    this.#running = engines.map((engine) =>
      engine
        .run((event) => this.#hear(event), this.#engineStop.signal)
        .catch((error: unknown) => logger.error({ err: error, engine: engine.id }, 'engine lost')),
    );
    this.#ring();
  }

  /** Nobody has to wait for it to be stored. */
  #hear(event: EngineEvent): Promise<void> {
    const told = this.inbox.tell(event);
    told.catch(() => undefined);
    return told;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#hurry?.();
    this.#cancelWake?.();
    this.#performer.stop();
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

  get state(): State {
    return this.#state;
  }

  async settled(): Promise<void> {
    while (this.#turn || this.#performer.isBusy || (this.inbox.size > 0 && this.#mayGoOn())) {
      await (this.#turn ?? this.#performer.progress());
    }
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a turn soon; what arrives until then is in the same batch. */
  #ring(): void {
    if (this.inbox.hasRequest) this.#hurry?.();
    if (this.#turn || this.#isStopping) return;
    this.#turn = this.#gather()
      .then(() => this.#takeTurns())
      .finally(() => {
        this.#turn = undefined;
        this.#scheduleWake();
      });
  }

  /**
   * A turn costs nearly the same with one letter as with a hundred. News that trickles in is gathered for some turns'
   * time, so that turns take a part of the time only; nobody who asks has to wait for that.
   */
  #gather(): Promise<void> {
    const ms = Math.min(GATHER_TURNS * this.#turnMs, this.#options.gather ?? 0);
    return new Promise<void>((resolve) => {
      if (ms < 1 || this.inbox.hasRequest) return void setImmediate(resolve);
      const timer = setTimeout(resolve, ms);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => (this.#hurry = undefined));
  }

  async #takeTurns(): Promise<void> {
    let begun = performance.now();
    do {
      // Whoever asks the service something has a turn too; who asks at the same time shares a commit.
      if (this.inbox.hasRequest || performance.now() - begun > TURN_MS) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        begun = performance.now();
      }
      const turn = performance.now();
      await this.#takeTurn(this.inbox.take(BATCH));
      this.#turnMs = performance.now() - turn;
    } while (this.inbox.size > 0 && this.#mayGoOn());
  }

  #mayGoOn(): boolean {
    return !this.#isStopping && this.#options.clock.now() >= this.#pauseUntil;
  }

  async #takeTurn(letters: readonly Letter[]): Promise<void> {
    const { store, clock } = this.#options;
    const before = { ...this.#state, nodes: new Map(this.#state.nodes) };
    try {
      const events = letters.map(({ event }) => event);
      const { changes, effects, refusals } = react(this.#state, events, this.#isFresh, clock.now());
      await store.commit(changes);
      this.#isFresh = false;
      letters.forEach(({ settle }, index) => {
        const refusal = refusals.get(index);
        settle(refusal && new PushbroomError(refusal.code, refusal.message));
      });
      this.#performer.perform(effects);
      this.#announce(changes);
      this.#tellDemand();
    } catch (error) {
      this.#state = await load(store, clock.now(), before);
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
      const id = jobIdOf(change);
      if (id !== undefined) touched.add(id);
    }
    if (touched.size > 0) for (const listener of this.#listeners) listener(touched);
  }

  /** Engines need not offer what nobody waits for. */
  #tellDemand(): void {
    for (const engine of this.#options.engines) {
      const isWaiting = isWanted(this.#state, engine.id);
      if (isWaiting === this.#demand.get(engine.id)) continue;
      this.#demand.set(engine.id, isWaiting);
      engine.demand?.(isWaiting);
    }
  }

  #scheduleWake(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    if (this.#isStopping) return;
    const { clock } = this.#options;
    const isPausing = this.#pauseUntil > clock.now();
    if (this.inbox.size > 0 && !isPausing) return this.#ring();
    const next = Math.min(nextAlarm(this.#state), isPausing ? this.#pauseUntil : Infinity);
    if (Number.isFinite(next)) this.#cancelWake = clock.wakeAt(next, () => this.#ring());
    return undefined;
  }
}

/** @param before what is kept of the state that goes */
async function load(store: Store, at: Millis, before: Knowledge): Promise<State> {
  const state = createState(before);
  for (const { engine, node, reason } of await store.drains()) {
    state.drained.set(nodeKey(engine, node), reason);
  }
  for (const snapshot of await store.load(state.window)) restore(state, snapshot, at);
  return state;
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
