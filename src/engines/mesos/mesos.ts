import type { Logger } from 'pino';

import type { Attempt, AttemptId, Millis, OfferId } from '../../core/model.ts';
import { messageOf } from '../../errors.ts';
import { OfferGone } from '../engine.ts';
import type {
  AttemptNews,
  Emit,
  Engine,
  EngineStatus,
  Launch,
  LogPart,
  LogText,
} from '../engine.ts';
import { Agents } from './agents.ts';
import type { AgentsOptions } from './agents.ts';
import { Attempts } from './attempts.ts';
import type { Patience } from './attempts.ts';
import { accept, decline, revive, subscribe, suppress, teardown } from './commands.ts';
import type { SubscribeOptions } from './commands.ts';
import { CallError, createConnection } from './connection.ts';
import type { Connection, ConnectionOptions } from './connection.ts';
import { readEnd } from './ends.ts';
import { Maintenance } from './maintenance.ts';
import type { FrameworkMemory } from './memory.ts';
import { Offers } from './offers.ts';
import type { OffersOptions } from './offers.ts';
import { parseAgents } from './parse.ts';
import type { BadOffer, Call, MasterEvent } from './protocol.ts';
import { divide } from './resources.ts';
import { readSandbox, usageOf } from './sandbox.ts';
import type { Tasks } from './tasks.ts';

export interface MesosOptions
  extends
    Pick<
      ConnectionOptions,
      'masters' | 'credentials' | 'tls' | 'logger' | 'backoff' | 'connectMs' | 'answerMs'
    >,
    Pick<
      AgentsOptions,
      'attributes' | 'constraints' | 'agentPort' | 'maintenanceLead' | 'hasImages'
    >,
    Pick<OffersOptions, 'hold' | 'refuse'> {
  readonly id?: string;
  readonly framework: Omit<SubscribeOptions, 'frameworkId' | 'suppressedRoles'>;
  readonly memory: FrameworkMemory;
  readonly patience: Patience;
  /** What TERM gives a task until KILL, in seconds. */
  readonly killGrace: number;
  readonly now: () => Millis;
  readonly rhythm?: Partial<Rhythm>;
  /** Prefix of what an attempt leaves beside its logs, on the shared file system. */
  logOf(attemptId: AttemptId): string;
  readonly tasks: Tasks;
}

/** Milliseconds between looks at … */
export interface Rhythm {
  /** … what is due, */
  readonly tick: number;
  /** … the cluster's agents, */
  readonly survey: number;
  /** … how much what runs there uses. */
  readonly measure: number;
}

const RHYTHM: Rhythm = { tick: 1_000, survey: 30_000, measure: 60_000 };
/** A question before the first answer of the scheduler's loop waits no longer. */
const ANSWER_MS = 5_000;
/** Attempts end so much before a machine goes, beyond what a kill may take. */
const NOTICE_MS = 5_000;

/** Seconds. */
const REFUSE_BAD = 60;

const FAILED_OVER = 'Framework failed over';
const REMOVED = 'Framework has been removed';

/** Not stored by anybody, so never acknowledged: the master says it again to the next who listens. */
const unheard: Emit = () => new Promise(() => undefined);

/**
 * Apache Mesos as an engine: a framework of the v1 HTTP scheduler API. Attempts are tasks of the command executor under
 * their own ids, so the cluster itself is the memory of what runs; only the framework's id is kept.
 */
export class Mesos implements Engine {
  readonly id: string;
  readonly #options: MesosOptions;
  readonly #logger: Logger;
  readonly #agents: Agents;
  readonly #offers: Offers;
  readonly #attempts: Attempts;
  readonly #maintenance: Maintenance;
  /** Attempts whose launch is being made ready. */
  readonly #preparing = new Set<AttemptId>();
  #connection: Connection | undefined;
  #emit = unheard;
  #frameworkId: string | undefined;
  #isSuppressed = false;
  /** What the master was told of it; it may not have heard it. */
  #saidSuppressed: boolean | undefined;
  /** Calls that nobody took, and that nothing else makes again. */
  #unsaid: Call[] = [];
  #suppression: NodeJS.Timeout | undefined;
  #survey: Promise<void> | undefined;
  #state = 'not started';
  #downSince: string | undefined;

  constructor(options: MesosOptions) {
    const { id = 'mesos', framework, patience, killGrace, logger, now } = options;
    this.id = id;
    this.#options = options;
    this.#logger = logger.child({ engine: id });
    const emit: Emit = (event) => this.#emit(event);
    const common = { ...options, engine: id, logger: this.#logger, now, emit };
    const { roles } = framework;
    const isBusy = (agentId: string) => this.#attempts.byAgent().has(agentId);
    this.#agents = new Agents({ ...common, roles, unreachable: patience.unreachable, isBusy });
    this.#offers = new Offers({
      ...common,
      agents: this.#agents,
      send: (call) => this.#send(call),
      onUnknown: () => void this.#lookAround(),
    });
    this.#attempts = new Attempts({
      ...common,
      send: (call) => this.#call(call),
      readEnd: (attemptId, isDue) =>
        readEnd(`${options.logOf(attemptId)}.end.json`, attemptId, isDue),
      onEnd: options.tasks.learn,
    });
    this.#maintenance = new Maintenance({
      agents: this.#agents,
      notice: NOTICE_MS + 1000 * killGrace,
      now,
      attemptsOn: (agentId) => this.#attempts.byAgent().get(agentId) ?? [],
      kill: (attemptId, failure) => void this.#attempts.kill(attemptId, failure),
      send: (call) => this.#send(call),
    });
  }

  async run(emit: Emit, signal: AbortSignal): Promise<void> {
    this.#frameworkId = this.#remembered();
    this.#emit = emit;
    this.#agents.forget();
    this.#down('no master has taken it yet; where that lasts, the log says why');
    this.#connection = createConnection({
      ...this.#options,
      logger: this.#logger,
      subscribe: () => this.#subscription(),
      hear: (event) => this.#hear(event),
      lost: (reason) => this.#lost(reason),
    });
    const { tick, survey, measure } = { ...RHYTHM, ...this.#options.rhythm };
    const timers = [
      setInterval(() => this.#tick(), tick),
      setInterval(() => void this.#lookAround(), survey),
      setInterval(() => void this.#measure(), measure),
    ];
    try {
      await this.#connection.run(signal);
    } finally {
      for (const timer of timers) clearInterval(timer);
      clearTimeout(this.#suppression);
      this.#attempts.unsubscribed();
      this.#emit = unheard;
      this.#offers.forget();
      this.#connection = undefined;
    }
  }

  #remembered(): string | undefined {
    try {
      return this.#options.memory.read();
    } catch (error) {
      this.#state = messageOf(error);
      throw error;
    }
  }

  async launch({ node, offerIds, attempts }: Launch): Promise<void> {
    const isKnown = ({ assignment: { attemptId } }: Launch['attempts'][number]) =>
      this.#preparing.has(attemptId) || this.#attempts.find(attemptId) !== undefined;
    for (const { assignment } of attempts.filter(isKnown))
      this.#attempts.tellOf(assignment.attemptId);
    const fresh = attempts.filter((attempt) => !isKnown(attempt));
    const offers = this.#offers.takeTogether(offerIds, this.#agents.ofNode(node)?.id);
    const ids = offers.map(({ id }) => id);
    if (fresh.length === 0) return this.#giveBack(ids);
    for (const { assignment } of fresh) this.#preparing.add(assignment.attemptId);
    try {
      const agentId = offers[0]?.agentId ?? '';
      const pool = offers.flatMap(({ resources }) => resources);
      const wanted = fresh.map(({ resources }) => resources);
      const shares = divide(pool, wanted);
      if (!shares) {
        throw new OfferGone(`more was launched on node ${node} than its valid offers hold`);
      }
      const tasks = await Promise.all(
        fresh.map(({ assignment }, index) =>
          this.#options.tasks.describe(assignment, agentId, shares[index]!),
        ),
      );
      const accepted = this.#accept(ids, tasks);
      this.#attempts.begin(
        fresh.map(({ assignment }) => assignment.attemptId),
        agentId,
        accepted,
      );
    } catch (error) {
      this.#giveBack(ids);
      throw error;
    } finally {
      for (const { assignment } of fresh) this.#preparing.delete(assignment.attemptId);
    }
  }

  /** They are wanted again at once. */
  #giveBack(ids: readonly string[]): void {
    if (ids.length > 0) this.#send(decline(ids, 0));
  }

  async decline(offerIds: readonly OfferId[]): Promise<void> {
    this.#offers.giveBack(offerIds);
  }

  /** A new wish is said at once, because something waits; that there is none may change before long. */
  demand(isWaiting: boolean): void {
    clearTimeout(this.#suppression);
    if (!isWaiting) this.#suppression = setTimeout(() => this.#suppress(true), this.#options.hold);
    else this.#suppress(false);
  }

  async kill(attemptId: AttemptId): Promise<void> {
    await this.#attempts.kill(attemptId);
  }

  reconcile(attemptIds: readonly AttemptId[]): Promise<ReadonlyMap<AttemptId, AttemptNews>> {
    return this.#attempts.ask(attemptIds, ANSWER_MS);
  }

  async readLog({ id, node }: Attempt, part: LogPart): Promise<LogText | undefined> {
    const agent = this.#agents.ofNode(node);
    const connection = this.#connection;
    if (!agent || !connection || this.#frameworkId === undefined) return undefined;
    return readSandbox({
      ask: (request) => connection.agent(agent, request),
      frameworkId: this.#frameworkId,
      agentId: agent.id,
      attemptId: id,
      file: `attempt.${part.stream}`,
      offset: part.offset,
      limit: part.limit,
    });
  }

  status(): EngineStatus {
    return { isConnected: this.#connection?.isSubscribed ?? false, detail: this.#state };
  }

  async teardown(): Promise<void> {
    const connection = this.#connection;
    if (!connection?.isSubscribed) throw new Error('there is no master to say it to');
    await connection.call(teardown());
    this.#options.memory.forget();
    this.#frameworkId = undefined;
    this.#leave(
      'an operator has torn the framework down; the service begins a new one when it is started again',
    );
  }

  #subscription(): Call {
    const { framework } = this.#options;
    this.#saidSuppressed = this.#isSuppressed;
    return subscribe({
      ...framework,
      suppressedRoles: this.#isSuppressed ? framework.roles : [],
      ...(this.#frameworkId !== undefined && { frameworkId: this.#frameworkId }),
    });
  }

  #hear(event: MasterEvent): void {
    switch (event.type) {
      case 'subscribed':
        return this.#subscribed(event.frameworkId, event.masterVersion);
      case 'offers':
        if (event.bad) this.#refuseBad(event.bad);
        return this.#offers.hear(event.offers);
      case 'rescind':
        return this.#offers.rescind(event.offerId);
      case 'inverseOffers':
        return this.#maintenance.hear(event.offers);
      case 'rescindInverse':
        return this.#maintenance.rescind(event.offerId);
      case 'update':
        return this.#attempts.hear(event.status);
      case 'failure':
        // An executor's end is told by its task.
        if (event.agentId !== undefined && event.executorId === undefined) {
          this.#agents.lost(event.agentId);
        }
        return undefined;
      case 'error':
        return this.#refused(event.message);
      case 'heartbeat':
        return undefined;
      case 'other':
        return this.#logger.debug({ event: event.name }, 'the master tells something unknown');
    }
  }

  /** What makes no sense is held by us all the same. */
  #refuseBad(bad: readonly BadOffer[]): void {
    this.#logger.warn({ bad: bad.slice(0, 10) }, `${bad.length} offers make no sense`);
    const ids = bad.flatMap(({ id }) => id ?? []);
    if (ids.length > 0) this.#send(decline(ids, REFUSE_BAD));
  }

  #subscribed(frameworkId: string, version = 'unknown'): void {
    if (this.#frameworkId !== frameworkId) this.#options.memory.write(frameworkId);
    this.#frameworkId = frameworkId;
    this.#downSince = undefined;
    this.#state = `framework ${frameworkId}, Mesos ${version}, subscribed since ${this.#clock()}`;
    this.#logger.info({ frameworkId, version }, 'subscribed');
    this.#offers.forget();
    // In its own time: what the master has to say first comes first.
    setImmediate(() => {
      if (!this.#connection?.isSubscribed) return;
      this.#attempts.subscribed();
      void this.#lookAround();
    });
  }

  #lost(reason: string): void {
    this.#down(reason);
    this.#logger.warn(`not subscribed: ${reason}`);
    this.#attempts.unsubscribed();
    this.#offers.forget();
    this.#unsaid = [];
  }

  #down(reason: string): void {
    this.#downSince ??= this.#clock();
    this.#state = `not subscribed since ${this.#downSince}: ${reason}`;
  }

  #refused(message: string): void {
    if (message === FAILED_OVER) {
      return this.#leave(
        `the master says '${message}': another service has taken this framework over; this one steps back`,
      );
    }
    if (message === REMOVED) {
      this.#logger.error('the master has removed the framework and all that ran: a new one begins');
      this.#options.memory.forget();
      this.#frameworkId = undefined;
      return undefined;
    }
    this.#state = `the master refuses the framework: ${message}`;
    return this.#logger.error(this.#state);
  }

  #clock = (): string => new Date(this.#options.now()).toISOString();

  /** For good: whoever leads the framework now is not disturbed. */
  #leave(why: string): void {
    this.#state = why;
    this.#logger.error(why);
    this.#connection?.stop();
    this.#attempts.unsubscribed();
    this.#offers.forget();
    this.#agents.leave();
  }

  #suppress(isSuppressed: boolean): void {
    this.#isSuppressed = isSuppressed;
    this.#sayDemand();
  }

  /** Until it is heard: who is suppressed by mistake is never offered anything again. */
  #sayDemand(): void {
    const isSuppressed = this.#isSuppressed;
    if (!this.#connection?.isSubscribed || this.#saidSuppressed === isSuppressed) return;
    this.#saidSuppressed = isSuppressed;
    const { roles } = this.#options.framework;
    this.#call(isSuppressed ? suppress(roles) : revive(roles)).catch((error: unknown) => {
      this.#saidSuppressed = undefined;
      this.#logger.debug({ err: error }, 'the master does not take what is wanted of it');
    });
  }

  #tick(): void {
    this.#sayDemand();
    for (const call of this.#unsaid.splice(0)) this.#send(call);
    this.#agents.tick();
    this.#maintenance.tick();
    this.#attempts.tick();
  }

  /** Asks the master for its agents; one question at a time. */
  #lookAround(): Promise<void> {
    return (this.#survey ??= this.#askForAgents().finally(() => (this.#survey = undefined)));
  }

  async #askForAgents(): Promise<void> {
    const connection = this.#connection;
    if (!connection?.isSubscribed) return;
    try {
      this.#agents.learn(parseAgents(await connection.operator({ type: 'GET_AGENTS' })));
    } catch (error) {
      const message = `the master does not tell its agents, so that nodes are known by their offers only: ${messageOf(error)}`;
      this.#logger.warn(message);
    }
    if (connection === this.#connection) this.#offers.retry();
  }

  /** What runs is measured from outside too, in case its runner does not live to say it. */
  async #measure(): Promise<void> {
    const connection = this.#connection;
    for (const [agentId, attemptIds] of this.#attempts.byAgent()) {
      const agent = this.#agents.find(agentId);
      if (!agent || !connection) continue;
      const answer = await connection
        .agent(agent, { type: 'GET_CONTAINERS' })
        .catch(() => undefined);
      for (const attemptId of attemptIds) {
        const usage = usageOf(answer, attemptId);
        if (usage) this.#attempts.measured(attemptId, usage);
      }
    }
  }

  /** Resolves where the master may have taken it: it will be asked. */
  async #accept(offerIds: readonly string[], tasks: readonly object[]): Promise<void> {
    try {
      await this.#call(accept(offerIds, tasks, 0));
    } catch (error) {
      // Means nothing where it was taken all the same; otherwise nobody could use them any more.
      this.#giveBack(offerIds);
      // Without an answer, or with that of a proxy, it may be there.
      if (error instanceof CallError && error.isSent && (error.status ?? 502) > 500) return;
      throw error;
    }
  }

  #call(call: Call): Promise<void> {
    if (!this.#connection) return Promise.reject(new Error('the engine does not run'));
    return this.#connection.call(call);
  }

  #send(call: Call): void {
    this.#call(call).catch((error: unknown) => {
      this.#logger.debug({ err: error, call: call.type }, 'a call failed');
      const isRefused = error instanceof CallError && (error.status ?? 500) < 500;
      if (!isRefused && this.#connection?.isSubscribed) this.#unsaid.push(call);
    });
  }
}
