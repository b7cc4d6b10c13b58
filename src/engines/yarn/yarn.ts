import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';

import type {
  Attempt,
  AttemptId,
  Failure,
  Millis,
  OutputFile,
  Resources,
} from '../../core/model.ts';
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
import { Applications } from './applications.ts';
import type { ApplicationsOptions } from './applications.ts';
import { Attempts } from './attempts.ts';
import type { Patience } from './attempts.ts';
import { capabilityText, containerOf, fits, minus } from './capability.ts';
import type { Channel } from './channel.ts';
import { requestOf } from './ids.ts';
import { Ledger } from './ledger.ts';
import { Logs } from './logs.ts';
import { Nodes } from './nodes.ts';
import type { NodesOptions } from './nodes.ts';
import { Offers } from './offers.ts';
import type { OffersOptions } from './offers.ts';
import type { Places } from './places.ts';
import type { AmEvent, Order } from './protocol.ts';
import { Queues } from './queues.ts';
import type { ResourceManager } from './resource-manager.ts';
import type { Starts } from './starts.ts';

export interface YarnOptions
  extends
    Pick<ApplicationsOptions, 'queueOf' | 'nodeLabel' | 'idle'>,
    Pick<NodesOptions, 'pool' | 'constraints'>,
    Pick<OffersOptions, 'lookAhead'> {
  readonly id?: string;
  /** All queues that jobs can be in. */
  readonly queueNames: readonly string[];
  /** This service's, among all that share the cluster. */
  readonly name: string;
  readonly channel: Channel;
  readonly resourceManager: ResourceManager;
  readonly starts: Starts;
  readonly places: Places;
  readonly patience: Patience;
  /** What a container gets beyond what its attempt may use. */
  readonly runnerMemoryMb: number;
  readonly rhythm?: Partial<Rhythm>;
  readonly logger: Logger;
  readonly now: () => Millis;
  /** What has been committed for the task of an attempt. */
  outputsOf(attemptId: AttemptId): Promise<readonly OutputFile[] | undefined>;
}

/** Milliseconds between looks at … */
export interface Rhythm {
  /** … what is due, */
  readonly tick: number;
  /** … the cluster's nodes, while something waits or runs, */
  readonly busy: number;
  /** … the same otherwise. */
  readonly survey: number;
}

const RHYTHM: Rhythm = { tick: 1_000, busy: 1_000, survey: 30_000 };
/** By it applications of all services are known, and with the service's name its own. */
const TAG = 'pushbroom';
/** A question of the scheduler waits no longer for what a storage says. */
const ANSWER_MS = 5_000;
const QUEUES_MS = 5_000;
/** Applications without attempts are closed before a service ends. */
const CLOSE_MS = 5_000;
/** Bytes. */
const LARGEST_END = 32 * 1024 ** 2;

/** Not stored by anybody. */
const unheard: Emit = () => new Promise(() => undefined);

/**
 * Apache Hadoop YARN as an engine: an application for each job, whose master asks for a container on a certain node for
 * each attempt. What the cluster has free is read from the ResourceManager's REST and offered; containers, and the words
 * of the master's protocol, are the affair of a program behind a channel. The cluster is the memory of what runs: a
 * request's id tells its attempt.
 */
export class Yarn implements Engine {
  readonly id: string;
  readonly #options: YarnOptions;
  readonly #tags: readonly string[];
  readonly #logger: Logger;
  readonly #ledger = new Ledger();
  readonly #nodes: Nodes;
  readonly #queues: Queues;
  readonly #offers: Offers;
  readonly #applications: Applications;
  readonly #attempts: Attempts;
  readonly #logs = new Logs((order) => this.#give(order));
  #emit = unheard;
  #isWaiting = false;
  #isTornDown = false;
  /** Whether the last look at the nodes was answered. */
  #isSurveyed = false;
  #survey: Promise<void> | undefined;
  #surveyedAt: Millis = 0;
  #queuesAt: Millis = 0;
  /** Changes with each program. */
  #program = 0;
  #programState = 'the application-master program was not started';
  #clusterState = 'no ResourceManager was asked';
  #queueState = '';
  #toldRacks = '';

  constructor(options: YarnOptions) {
    const { id = 'yarn', logger, patience, places, starts } = options;
    this.id = id;
    this.#options = options;
    this.#tags = [`${TAG}:${options.name}`, TAG];
    this.#logger = logger.child({ engine: id });
    const emit: Emit = (event) => this.#emit(event);
    const give = (order: Order) => this.#give(order);
    const common = { ...options, engine: id, logger: this.#logger, ledger: this.#ledger, emit };
    this.#nodes = new Nodes({ ...common, isBusy: this.#ledger.isBusy });
    this.#applications = new Applications({
      ...common,
      tags: this.#tags,
      give,
      countOf: (app) => this.#attempts.countOf(app),
      isWanted: (app) => this.#attempts.isWaiting(app),
      opened: (...opened) => this.#attempts.opened(...opened),
      closed: (...closed) => this.#attempts.closed(...closed),
      end: (applicationId) => void this.#endApplication(applicationId),
    });
    this.#queues = new Queues(options.queueNames);
    this.#offers = new Offers({ ...common, nodes: this.#nodes, queues: this.#queues });
    this.#attempts = new Attempts({
      ...common,
      patience,
      places,
      give,
      applications: this.#applications,
      outputsOf: (attemptId) => options.outputsOf(attemptId),
      readFile: (place, file) => this.#logs.readAll(place, file, LARGEST_END),
      filesMissing: () => starts.forget(),
      ended: (attemptId) => {
        starts.ended(attemptId);
        this.#offers.touch();
      },
    });
  }

  async run(emit: Emit, signal: AbortSignal): Promise<void> {
    this.#emit = emit;
    this.#nodes.forget();
    const stop = new AbortController();
    const { tick } = { ...RHYTHM, ...this.#options.rhythm };
    const timer = setInterval(() => this.#tick(), tick);
    void this.#lookAround();
    const listener = {
      hear: (event: AmEvent) => this.#hear(event),
      lost: (reason: string) => this.#lost(reason),
    };
    const spoken = this.#options.channel.run(listener, stop.signal);
    try {
      if (!signal.aborted) await once(signal, 'abort');
      this.#offers.close();
      await this.#closeIdle();
    } finally {
      clearInterval(timer);
      stop.abort();
      await spoken;
      this.#lost('the engine was stopped');
      this.#emit = unheard;
    }
  }

  async launch({ node, offerIds, attempts }: Launch): Promise<void> {
    const isKnown = ({ assignment: { attemptId } }: Launch['attempts'][number]) =>
      this.#attempts.find(attemptId) !== undefined;
    for (const { assignment } of attempts.filter(isKnown)) {
      this.#attempts.tellOf(assignment.attemptId);
    }
    const fresh = attempts.filter((attempt) => !isKnown(attempt));
    const offered = this.#offers.take(node, offerIds);
    if (fresh.length === 0) return;
    if (!isWithin(sumOf(fresh.map(({ resources }) => resources)), offered)) {
      throw new OfferGone(`more was launched on node ${node} than its valid offers hold`);
    }
    let room = this.#offers.room(node);
    for (const { assignment, resources, job } of fresh) {
      const { attemptId } = assignment;
      const ids = requestOf(attemptId);
      if (!ids) throw new Error(`YARN can run no attempt of the id ${JSON.stringify(attemptId)}`);
      const capability = containerOf(resources, this.#options.runnerMemoryMb);
      if (!fits(capability, room)) {
        const message = `node ${node} has no room any more for ${capabilityText(capability)}`;
        this.#refuse(attemptId, { kind: 'capacity', message });
        continue;
      }
      room = minus(room, capability);
      const start = this.#options.starts.prepare(assignment);
      const limit = 1000 * assignment.limits.wallTime;
      this.#attempts.begin({ attemptId, ...ids, node, resources, capability, limit, start });
      this.#applications.want({ ...job, id: ids.job });
    }
  }

  #refuse(attemptId: AttemptId, failure: Failure): void {
    const event = { type: 'attemptMoved', engine: this.id, attemptId, to: 'lost' } as const;
    void this.#emit({ ...event, result: { failure } });
  }

  /** Nodes are looked at more often, and at once, because what was offered may be old. */
  demand(isWaiting: boolean): void {
    this.#isWaiting = isWaiting;
    if (isWaiting) void this.#lookAround();
  }

  async kill(attemptId: AttemptId): Promise<void> {
    this.#attempts.kill(attemptId);
  }

  reconcile(attemptIds: readonly AttemptId[]): Promise<ReadonlyMap<AttemptId, AttemptNews>> {
    return this.#attempts.ask(attemptIds, ANSWER_MS);
  }

  async readLog({ id }: Attempt, part: LogPart): Promise<LogText | undefined> {
    const place = await this.#options.places.find(id);
    return place && this.#logs.read(place, `attempt.${part.stream}`, part);
  }

  status(): EngineStatus {
    const isConnected = this.#isSurveyed && this.#applications.isSettled && !this.#isTornDown;
    const states = [this.#clusterState, this.#queueState, this.#programState];
    return { isConnected, detail: states.filter((state) => state !== '').join('; ') };
  }

  async teardown(): Promise<void> {
    const found = await this.#options.resourceManager.applications(this.#tags);
    this.#isTornDown = true;
    this.#offers.close();
    this.#nodes.leave();
    this.#applications.closeAll('an operator has torn the engine down');
    this.#applications.unsettle();
    await Promise.all(found.map(({ id }) => this.#endApplication(id)));
    this.#programState =
      'an operator has torn the engine down; it begins anew when the service is started again';
    this.#logger.error(this.#programState);
  }

  #give(order: Order): boolean {
    return this.#options.channel.give(order);
  }

  #hear(event: AmEvent): void {
    switch (event.event) {
      case 'ready':
        return void this.#ready(event.hadoop, event.user);
      case 'opened':
      case 'closed':
        this.#applications.hear(event);
        return this.#offers.touch();
      case 'headroom':
        // A queue grows with what is asked of it: what it has now says nothing of what it can have.
        return undefined;
      case 'allocated':
        this.#attempts.allocated(event.app, event);
        return this.#offers.touch();
      case 'started':
        return this.#attempts.started(event.app, event.request);
      case 'ended':
        return this.#attempts.ended(event);
      case 'nodesChanged':
        return void this.#lookAround();
      case 'log':
        return this.#logs.hear(event);
      case 'say':
        return this.#logger[event.level](event.message);
    }
  }

  /** A program knows nothing of what was before it. */
  async #ready(hadoop: string, user: string): Promise<void> {
    const program = (this.#program += 1);
    const said = `application-master program with Hadoop ${hadoop}, as ${user}`;
    this.#programState = `${said}, is looking for what there is`;
    this.#toldRacks = '';
    const { resourceManager } = this.#options;
    while (program === this.#program) {
      try {
        await this.#lookAround();
        if (this.#nodes.count === 0) throw new Error('there are no nodes');
        const found = await resourceManager.applications(this.#tags);
        if (program !== this.#program) return;
        this.#tellRacks();
        this.#applications.settle(found);
        this.#attempts.settled();
        this.#programState = `${said}, since ${this.#clock()}`;
        this.#logger.info({ hadoop, applications: found.length }, 'the engine is ready');
        return this.#offerIfReady();
      } catch (error) {
        this.#programState = `${said}, waits for the ResourceManager: ${messageOf(error)}`;
        await sleep((this.#options.rhythm ?? RHYTHM).tick ?? RHYTHM.tick);
      }
    }
  }

  #lost(reason: string): void {
    this.#program += 1;
    this.#programState = `no application-master program since ${this.#clock()}: ${reason}`;
    this.#offers.close();
    this.#applications.unsettle();
    this.#attempts.unsettled();
    this.#logs.lost();
  }

  #offerIfReady(): void {
    if (this.#isTornDown || !this.#applications.isSettled || !this.#isSurveyed) return;
    this.#offers.open();
  }

  #tick(): void {
    this.#applications.tick();
    this.#attempts.tick();
    const { busy, survey } = { ...RHYTHM, ...this.#options.rhythm };
    const isBusy = this.#isWaiting || this.#attempts.size > 0 || !this.#isSurveyed;
    const elapsed = this.#options.now() - this.#surveyedAt;
    if (elapsed >= (isBusy ? busy : survey)) void this.#lookAround();
  }

  /** Asks the ResourceManager for its nodes; one question at a time. */
  #lookAround(): Promise<void> {
    if (this.#isTornDown) return Promise.resolve();
    return (this.#survey ??= this.#askForNodes().finally(() => (this.#survey = undefined)));
  }

  async #askForNodes(): Promise<void> {
    const { resourceManager, now } = this.#options;
    const asked = now();
    try {
      const listed = await resourceManager.nodes();
      if (this.#isTornDown) return;
      this.#nodes.learn(listed);
      this.#tellRacks();
      this.#offers.learn(listed, asked);
      this.#clusterState = `${this.#nodes.count} nodes`;
      if (!this.#isSurveyed) this.#logger.info({ nodes: this.#nodes.count }, 'the nodes are known');
      this.#isSurveyed = true;
      this.#offerIfReady();
      await this.#askForQueues();
    } catch (error) {
      const message = `the ResourceManager does not tell its nodes: ${messageOf(error)}`;
      if (this.#isSurveyed) this.#logger.warn(message);
      this.#clusterState = `since ${this.#clock()} ${message}`;
      this.#isSurveyed = false;
      this.#offers.close();
    } finally {
      this.#surveyedAt = now();
    }
  }

  async #askForQueues(): Promise<void> {
    const { resourceManager, nodeLabel, now } = this.#options;
    const asked = now();
    if (asked - this.#queuesAt < QUEUES_MS) return;
    this.#queuesAt = asked;
    try {
      const listed = await resourceManager.queues(nodeLabel);
      this.#queues.learn(listed, this.#nodes.total(), this.#ledger.share(asked));
      this.#queueState = this.#queues.text();
      this.#offers.touch();
    } catch (error) {
      this.#queueState = `the ResourceManager does not tell its queues: ${messageOf(error)}`;
    }
  }

  #tellRacks(): void {
    const racks = this.#nodes.racks();
    const text = JSON.stringify(racks);
    if (text === this.#toldRacks || !this.#give({ order: 'racks', racks })) return;
    this.#toldRacks = text;
  }

  async #endApplication(applicationId: string): Promise<void> {
    try {
      await this.#options.resourceManager.end(applicationId);
    } catch (error) {
      const message = `${applicationId} cannot be ended: yarn application -kill ${applicationId}`;
      this.#logger.error({ err: error }, message);
    }
  }

  async #closeIdle(): Promise<void> {
    const limit = performance.now() + CLOSE_MS;
    while (this.#applications.closeIdle() > 0 && performance.now() < limit) await sleep(20);
  }

  #clock = (): string => new Date(this.#options.now()).toISOString();
}

const sumOf = (all: readonly Resources[]): Resources => ({
  cpus: all.reduce((sum, { cpus }) => sum + cpus, 0),
  memoryMb: all.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
  gpus: all.reduce((sum, { gpus = 0 }) => sum + gpus, 0),
});

/** But for what only rounding adds. */
const isWithin = (wanted: Resources, offered: Resources): boolean =>
  wanted.cpus <= offered.cpus + 1e-9 &&
  wanted.memoryMb <= offered.memoryMb + 1e-9 &&
  (wanted.gpus ?? 0) <= (offered.gpus ?? 0);
