import type { Logger } from 'pino';

import type {
  AttemptId,
  EngineId,
  Failure,
  JobId,
  Millis,
  NodeId,
  OutputFile,
  Resources,
} from '../../core/model.ts';
import { Recent } from '../../core/recent.ts';
import { messageOf } from '../../errors.ts';
import type { AttemptNews, Emit } from '../engine.ts';
import { parseEnd } from '../runner-end.ts';
import {
  GONE,
  MISSING,
  NOT_BEGUN,
  NOT_STARTED,
  TOO_LONG,
  WORDLESS,
  endFrom,
  endingOf,
  failureOfClosed,
  failureOfPreparation,
  hasWord,
  neverGranted,
  tooLate,
  withReason,
  withUsage,
} from './endings.ts';
import type { Ended, Wish } from './endings.ts';
import { attemptOf, requestOf } from './ids.ts';
import type { Ledger } from './ledger.ts';
import type { Place, Places } from './places.ts';
import type { AppName, Capability, ContainerStart, Order, RequestId, Running } from './protocol.ts';
import { UNKNOWN, WITHDRAWN, isLocalisation } from './states.ts';

/** All in milliseconds. */
export interface Patience {
  /** A request that has got no container is taken back after so long. */
  readonly wait: number;
  /** A container that was given and has not begun is given up after so long. */
  readonly start: number;
  /** An end that was asked for is asked for again, … */
  readonly stopAgain: number;
  /** … and no longer waited for. */
  readonly stop: number;
  /** Beyond the limit of an attempt's programs, which its runner watches over: files come before it and go after it. */
  readonly margin: number;
  /** What a new program has heard nothing of by then, there is no container of. */
  readonly silence: number;
}

export interface AttemptsOptions {
  readonly engine: EngineId;
  readonly patience: Patience;
  readonly ledger: Ledger;
  readonly places: Places;
  readonly logger: Logger;
  readonly now: () => Millis;
  emit: Emit;
  give(order: Order): boolean;
  /** Whether requests can be made in an application, and which it is. */
  readonly applications: {
    isOpen(app: AppName): boolean;
    has(app: AppName): boolean;
    idOf(app: AppName): string | undefined;
  };
  /** What an attempt of this task has committed. */
  outputsOf(attemptId: AttemptId): Promise<readonly OutputFile[] | undefined>;
  /** A file of a container's log directory; `undefined` where there is none. */
  readFile(place: Place, file: string): Promise<string | undefined>;
  /** A node has not found the files that were announced. */
  filesMissing(): void;
  ended(attemptId: AttemptId): void;
}

export interface NewAttempt {
  readonly attemptId: AttemptId;
  readonly job: JobId;
  readonly request: RequestId;
  readonly node: NodeId;
  readonly resources: Resources;
  readonly capability: Capability;
  /** Milliseconds that its programs may take. */
  readonly limit: number;
  readonly start: Promise<ContainerStart>;
}

/** An attempt that has not ended. */
interface Out {
  readonly job: JobId;
  readonly request: RequestId;
  /** `unknown`: an earlier service has launched it. */
  phase: 'preparing' | 'waiting' | 'requested' | 'allocated' | 'running' | 'unknown';
  /** Of the phase. */
  since: Millis;
  readonly node?: NodeId;
  capability?: Capability;
  limit?: number;
  start?: ContainerStart;
  place?: Place;
  allocatedAt?: Millis;
  /** Why we want it to end, since when, and when we have said so last. */
  wish?: Wish & { readonly first: Millis; at: Millis };
  /** Since when a program that knows all containers has not told of it. */
  missingSince?: Millis;
  /** Its end is being told. */
  isEnding?: true;
  hasBegun?: true;
}

/** Ends remembered, so that a launch that comes twice is known. */
const ENDS_KEPT = 10_000;
/** Milliseconds before somebody who did not answer is asked again after what nobody has heard of. */
const ASK_AGAIN = 10_000;
/** The first file of a container that begins (`ContainerLaunch`, since Hadoop 3.0). */
const FIRST_FILE = 'prelaunch.out';
const END_FILE = 'attempt.end.json';

/** The attempts that are out: what the program tells of their containers becomes news. */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #out = new Map<AttemptId, Out>();
  readonly #byJob = new Map<JobId, Set<AttemptId>>();
  readonly #ended = new Recent<AttemptId, AttemptNews>(ENDS_KEPT);
  /** Who waits for what became of an attempt that was not known. */
  readonly #asked = new Map<AttemptId, (news: AttemptNews) => void>();
  /** Whether it is known which applications there are. */
  #isSettled = false;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#out.size;
  }

  countOf = (job: JobId): number => this.#byJob.get(job)?.size ?? 0;

  /** Whether some of a job wait to be asked for. */
  isWaiting = (job: JobId): boolean =>
    this.#of(job).some(([, out]) => isAhead(out) && !out.isEnding);

  find(attemptId: AttemptId): AttemptNews | undefined {
    const out = this.#out.get(attemptId);
    if (out) return { state: out.phase === 'running' ? 'running' : 'launched' };
    return this.#ended.get(attemptId);
  }

  /** Tells again what is known of an attempt. */
  tellOf(attemptId: AttemptId): void {
    const news = this.find(attemptId);
    if (news && news.state !== 'launched') this.#tell(attemptId, news);
  }

  begin({ attemptId, resources, start, ...ours }: NewAttempt): void {
    const { job, node, capability } = ours;
    const out: Out = { ...ours, phase: 'preparing', since: this.#now() };
    this.#add(attemptId, out);
    this.#options.ledger.begin(attemptId, { job, node, resources, capability });
    start.then(
      (made) => {
        if (this.#out.get(attemptId) !== out || out.isEnding) return;
        Object.assign(out, { phase: 'waiting', since: this.#now(), start: made });
        this.#request(attemptId, out);
      },
      (error: unknown) => this.#lose(attemptId, out, failureOfPreparation(error)),
    );
  }

  /** An application takes requests. @param running what an earlier program has started in it */
  opened(app: AppName, running: readonly Running[], isAdopted: boolean): void {
    for (const each of running) this.#found(app, each);
    const there = new Set(running.map(({ request }) => request));
    for (const [attemptId, out] of this.#of(app)) {
      if (out.phase === 'waiting') this.#request(attemptId, out);
      else if (isAdopted && out.phase !== 'preparing' && !there.has(out.request)) {
        out.missingSince = this.#now();
      }
    }
  }

  /** An application is over, and its containers are. */
  closed(app: AppName, state: string, diagnostics: string, isRefused: boolean): void {
    const failure = failureOfClosed(state, diagnostics);
    for (const [attemptId, out] of this.#of(app)) {
      if (isAhead(out) && !isRefused) continue;
      if (isAhead(out)) this.#lose(attemptId, out, failure);
      else void this.#lookFor(attemptId, out, failure);
    }
  }

  /** All applications of ours are known: in none but these can anything be. */
  settled(): void {
    this.#isSettled = true;
    for (const [attemptId, out] of this.#out) {
      if (isAhead(out) || this.#options.applications.has(out.job)) continue;
      void this.#lookFor(attemptId, out, GONE);
    }
  }

  unsettled(): void {
    this.#isSettled = false;
    for (const out of this.#out.values()) delete out.missingSince;
  }

  allocated(app: AppName, { request, container, node, nodeHttp, capability }: Running): void {
    const attemptId = attemptOf(app, request);
    const out = this.#out.get(attemptId);
    if (!out || out.isEnding) return;
    const at = this.#now();
    const applicationId = this.#options.applications.idOf(app) ?? '';
    const place = { applicationId, container, node, nodeHttp };
    Object.assign(out, { phase: 'allocated', since: at, place, allocatedAt: at, capability });
    delete out.start;
    delete out.missingSince;
    this.#options.places.remember(attemptId, place);
    this.#options.ledger.allocate(attemptId, hostOf(node), app, capability, at);
  }

  started(app: AppName, request: RequestId): void {
    const attemptId = attemptOf(app, request);
    const out = this.#out.get(attemptId);
    if (!out || out.isEnding || out.phase === 'running') return;
    Object.assign(out, { phase: 'running', since: this.#now() });
    if (!this.#answer(attemptId, { state: 'running' })) this.#tell(attemptId, { state: 'running' });
  }

  ended(event: Ended): void {
    const attemptId = attemptOf(event.app, event.request);
    const out = this.#out.get(attemptId);
    if (!out || out.isEnding) return undefined;
    const { exitStatus } = event;
    if (exitStatus === WITHDRAWN) return this.#end(attemptId, out, neverGranted(out.wish));
    if (isLocalisation(event)) this.#options.filesMissing();
    const heldMs = event.heldMs ?? this.#heldMs(out);
    const unsaid = WITHOUT_WORD.get(exitStatus);
    if (unsaid && !hasWord(attemptId, event)) {
      return void this.#lookFor(attemptId, out, unsaid, heldMs);
    }
    return this.#end(attemptId, out, endingOf(attemptId, event, out.wish), heldMs);
  }

  /** Unknown ones are not an error. */
  kill(attemptId: AttemptId, failure?: Failure): void {
    const out = this.#out.get(attemptId);
    if (!out || out.isEnding) return;
    const at = this.#now();
    // What the scheduler wishes counts for more than what we do.
    out.wish = { first: out.wish?.first ?? at, at, ...(failure && { failure }) };
    if (isAhead(out)) this.#end(attemptId, out, withReason({ state: 'killed' }, out.wish));
    else this.#stop(out);
  }

  /** Those that are not known are out from now on, until it is known what became of them. */
  async ask(
    attemptIds: readonly AttemptId[],
    waitMs: number,
  ): Promise<Map<AttemptId, AttemptNews>> {
    const found = new Map<AttemptId, AttemptNews>();
    const answers = attemptIds.map(async (attemptId) => {
      found.set(attemptId, this.find(attemptId) ?? (await this.#askOne(attemptId, waitMs)));
    });
    await Promise.all(answers);
    return found;
  }

  /** Patience that is over, ends that had no effect. Called about once a second. */
  tick(): void {
    const { patience } = this.#options;
    const at = this.#now();
    for (const [attemptId, out] of this.#out) {
      if (out.isEnding) continue;
      const { wish, missingSince = Infinity } = out;
      if (at - missingSince > patience.silence) void this.#lookFor(attemptId, out, MISSING);
      else if (wish) this.#insist(attemptId, out, wish, at);
      else this.#judge(attemptId, out, at - out.since);
    }
  }

  #insist(attemptId: AttemptId, out: Out, wish: NonNullable<Out['wish']>, at: Millis): void {
    const { patience, logger } = this.#options;
    if (at - wish.at > patience.stopAgain) {
      wish.at = at;
      this.#stop(out);
    }
    if (at - wish.first <= patience.stop || !this.#isSettled) return;
    logger.warn({ attempt: attemptId }, 'YARN says nothing of its end: given up');
    this.#end(attemptId, out, withReason({ state: 'killed' }, wish), this.#heldMs(out));
  }

  #judge(attemptId: AttemptId, out: Out, elapsed: Millis): void {
    const { patience } = this.#options;
    const { phase, limit = Infinity } = out;
    const isLate = (phase === 'waiting' || phase === 'requested') && elapsed > patience.wait;
    if (isLate) return this.kill(attemptId, tooLate(phase === 'requested', patience.wait));
    if (phase === 'allocated' && elapsed > patience.start) {
      return this.kill(attemptId, NOT_STARTED);
    }
    if (phase !== 'running') return undefined;
    if (!out.hasBegun && elapsed > patience.start) void this.#checkBegun(attemptId, out);
    if (elapsed > limit + patience.margin) this.kill(attemptId, TOO_LONG);
    return undefined;
  }

  /** Its node has taken the start, which says nothing of whether its files have come. */
  async #checkBegun(attemptId: AttemptId, out: Out): Promise<void> {
    out.hasBegun = true;
    if (!out.place) return;
    try {
      const text = await this.#options.readFile(out.place, FIRST_FILE);
      if (text === undefined && this.#out.get(attemptId) === out) this.kill(attemptId, NOT_BEGUN);
    } catch (error) {
      this.#options.logger.debug({ err: error, attempt: attemptId }, 'its log cannot be read');
    }
  }

  #request(attemptId: AttemptId, out: Out): void {
    const { applications, give } = this.#options;
    const { job: app, request, node, capability, start } = out;
    if (!applications.isOpen(app) || !node || !capability || !start) return;
    if (!give({ order: 'run', app, request, node, capability, start })) return;
    Object.assign(out, { phase: 'requested', since: this.#now() });
    delete out.start;
  }

  #found(app: AppName, running: Running): void {
    const attemptId = attemptOf(app, running.request);
    if (!this.#out.has(attemptId)) {
      this.#options.logger.info({ attempt: attemptId }, 'a container of an earlier service runs');
      const { request } = running;
      this.#add(attemptId, { job: app, request, phase: 'unknown', since: this.#now() });
    }
    const out = this.#out.get(attemptId)!;
    if (out.phase !== 'running') this.allocated(app, running);
    delete out.missingSince;
    this.started(app, running.request);
    if (out.wish) this.#stop(out);
  }

  async #askOne(attemptId: AttemptId, waitMs: number): Promise<AttemptNews> {
    const ids = requestOf(attemptId);
    if (!ids) return { state: 'lost', result: { failure: GONE } };
    const out: Out = { ...ids, phase: 'unknown', since: this.#now() };
    this.#add(attemptId, out);
    if (!this.#isSettled) return { state: 'launched' };
    const answer = Promise.withResolvers<AttemptNews>();
    this.#asked.set(attemptId, answer.resolve);
    if (this.#options.applications.isOpen(ids.job)) void this.#lookFor(attemptId, out, MISSING);
    else this.settled();
    const timer = setTimeout(() => this.#answer(attemptId, { state: 'launched' }), waitMs);
    return answer.promise.finally(() => clearTimeout(timer));
  }

  /** There is no container of it any more: what has it left? @param failure if it has left nothing */
  async #lookFor(
    attemptId: AttemptId,
    out: Out,
    failure: Failure,
    heldMs = this.#heldMs(out),
  ): Promise<void> {
    if (out.isEnding) return;
    out.isEnding = true;
    try {
      const news = await this.#left(attemptId, out, failure);
      delete out.isEnding;
      this.#end(attemptId, out, news, heldMs);
    } catch (error) {
      const { logger, now, patience } = this.#options;
      logger.warn(`what became of ${attemptId} cannot be seen, asking again: ${messageOf(error)}`);
      delete out.isEnding;
      out.missingSince = now() - patience.silence + ASK_AGAIN;
      this.#answer(attemptId, { state: 'launched' });
    }
  }

  async #left(attemptId: AttemptId, out: Out, failure: Failure): Promise<AttemptNews> {
    const { places, readFile, outputsOf, applications, logger } = this.#options;
    const place = out.place ?? (await places.find(attemptId));
    if (place) {
      const text = await readFile(place, END_FILE).catch((error: unknown) => {
        logger.debug({ err: error, attempt: attemptId }, 'its end cannot be read');
        return undefined;
      });
      const end = text === undefined ? undefined : parseEnd(text, attemptId);
      if (end) return endFrom(end, failure, out.wish);
    }
    const outputs = await outputsOf(attemptId);
    if (outputs) return { state: 'finished', result: { exitCode: 0, outputs } };
    const isKnownJob = out.phase !== 'unknown' || applications.has(out.job);
    if (place || !isKnownJob || failure !== MISSING) {
      return withReason({ state: 'lost', result: { failure } }, out.wish);
    }
    return neverGranted(out.wish);
  }

  #lose(attemptId: AttemptId, out: Out, failure: Failure): void {
    this.#end(attemptId, out, { state: 'lost', result: { failure } });
  }

  /** One that is lost may be launched again, and is ended should it come back: it is not remembered. */
  #end(attemptId: AttemptId, out: Out, news: AttemptNews, heldMs?: number): void {
    if (this.#out.get(attemptId) !== out || out.isEnding) return;
    const { ledger, ended } = this.#options;
    this.#out.delete(attemptId);
    const others = this.#byJob.get(out.job);
    others?.delete(attemptId);
    if (others?.size === 0) this.#byJob.delete(out.job);
    ledger.end(attemptId, this.#now());
    ended(attemptId);
    const full = out.capability ? withUsage(news, heldMs, out.capability) : news;
    if (full.state !== 'lost') this.#ended.set(attemptId, full);
    if (!this.#answer(attemptId, full)) this.#tell(attemptId, full);
  }

  /** @returns whether somebody has waited for it */
  #answer(attemptId: AttemptId, news: AttemptNews): boolean {
    this.#asked.get(attemptId)?.(news);
    return this.#asked.delete(attemptId);
  }

  #tell(attemptId: AttemptId, { state: to, result }: AttemptNews): void {
    const { engine, emit, logger } = this.#options;
    const event = {
      type: 'attemptMoved',
      engine,
      attemptId,
      to,
      ...(result && { result }),
    } as const;
    emit(event).catch((error: unknown) =>
      logger.warn({ err: error, attempt: attemptId }, 'news was not stored'),
    );
  }

  #stop({ job: app, request }: Out): void {
    this.#options.give({ order: 'stop', app, request });
  }

  #add(attemptId: AttemptId, out: Out): void {
    this.#out.set(attemptId, out);
    const others = this.#byJob.get(out.job);
    if (others) others.add(attemptId);
    else this.#byJob.set(out.job, new Set([attemptId]));
  }

  #of = (job: JobId): [AttemptId, Out][] =>
    Array.from(this.#byJob.get(job) ?? [], (attemptId) => [attemptId, this.#out.get(attemptId)!]);

  #now = (): Millis => this.#options.now();

  #heldMs = ({ allocatedAt }: Out): number | undefined =>
    allocatedAt === undefined ? undefined : this.#now() - allocatedAt;
}

/** Not asked for yet. */
const isAhead = ({ phase }: Out): boolean => phase === 'preparing' || phase === 'waiting';

/** NodeManagers are addressed as `host:port`, nodes by their host. */
const hostOf = (address: string): NodeId => address.replace(/:\d+$/, '');

/** Where the runner has perhaps ended well, what it has left is the end. */
const WITHOUT_WORD: ReadonlyMap<number, Failure> = new Map([
  [0, WORDLESS],
  [UNKNOWN, MISSING],
]);
