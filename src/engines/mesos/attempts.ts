import type { Logger } from 'pino';

import type { AttemptId, EngineId, Failure, Millis, Usage } from '../../core/model.ts';
import { Recent } from '../../core/recent.ts';
import { messageOf } from '../../errors.ts';
import type { RunnerEnd } from '../../runner/sandbox.ts';
import type { AttemptNews, Emit } from '../engine.ts';
import { wins } from '../runner-end.ts';
import { acknowledge, kill, reconcile } from './commands.ts';
import type { Call, TaskStatus } from './protocol.ts';
import { newsOf } from './states.ts';

/** All in milliseconds. */
export interface Patience {
  /** A launch of which nothing is heard is asked after. */
  readonly launch: number;
  /** An attempt of which nothing is heard for so long, however often the master is asked, is lost. */
  readonly silence: number;
  /** An attempt whose agent cannot be reached is lost after so long. */
  readonly unreachable: number;
  /** Everything that is out is asked after this often, in case news was lost. */
  readonly recheck: number;
  /** A kill that has brought no end is sent again. */
  readonly killAgain: number;
}

export interface AttemptsOptions {
  readonly engine: EngineId;
  readonly patience: Patience;
  /** What TERM gives a task until KILL, in seconds. */
  readonly killGrace: number;
  readonly logger: Logger;
  readonly now: () => Millis;
  emit: Emit;
  /** Rejects while there is no subscription. */
  send(call: Call): Promise<void>;
  /** What the runner has left to say; waits a little for it where it is due. */
  readEnd(attemptId: AttemptId, isDue: boolean): Promise<RunnerEnd | undefined>;
  /** Whether the next on an agent will find what an attempt had to fetch; told of each that ends. */
  onEnd?(attemptId: AttemptId, agentId: string, isKept: boolean): void;
}

/** An attempt that the cluster has, or may have. */
interface Out {
  agentId?: string;
  /** The master has the launch, or may have it. */
  readonly accepted: Promise<void>;
  isAccepted: boolean;
  isRunning: boolean;
  /** Its end is being told. */
  isEnding: boolean;
  /** Since when its agent has been out of reach. */
  unreachableSince?: Millis;
  /** When we last asked for its end, and why where it was not the scheduler's wish. */
  killed?: { at: Millis; readonly failure?: Failure };
  /** When the master is asked after it next, and how often it was without an answer. */
  askAt: Millis;
  tries: number;
  /** Since when no answer has come. */
  silentSince?: Millis;
  /** Since when it has been known to run. */
  runsSince?: Millis;
  /** What its agent last said that it uses. */
  usage?: Usage;
}

/** Ends remembered, so that a launch that comes twice is known. */
const ENDS_KEPT = 10_000;
/** Tasks asked after in one call. */
const ASKED_AT_ONCE = 500;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/**
 * The attempts that are out: what the master says of them becomes news, is acknowledged once that is stored, and where
 * the master says nothing it is asked.
 */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #out = new Map<AttemptId, Out>();
  readonly #ended = new Recent<AttemptId, AttemptNews>(ENDS_KEPT);
  /** Updates being stored; the same one may come again meanwhile. */
  readonly #unstored = new Set<string>();
  /** Who waits for the first news of an attempt that was not known. */
  readonly #asked = new Map<AttemptId, (news: AttemptNews) => void>();
  #isSubscribed = false;
  #recheckAt: Millis = Infinity;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#out.size;
  }

  find(attemptId: AttemptId): AttemptNews | undefined {
    const out = this.#out.get(attemptId);
    if (out) return { state: out.isRunning ? 'running' : 'launched' };
    return this.#ended.get(attemptId);
  }

  agentOf = (attemptId: AttemptId): string | undefined => this.#out.get(attemptId)?.agentId;

  /** Agents with attempts, and which. */
  byAgent(): Map<string, AttemptId[]> {
    const agents = new Map<string, AttemptId[]>();
    for (const [attemptId, { agentId }] of this.#out) {
      if (agentId === undefined) continue;
      const known = agents.get(agentId);
      if (known) known.push(attemptId);
      else agents.set(agentId, [attemptId]);
    }
    return agents;
  }

  /** @param accepted resolves when the master has the launch or may have it, rejects when it has not for certain */
  begin(attemptIds: readonly AttemptId[], agentId: string, accepted: Promise<void>): void {
    const { now, patience } = this.#options;
    const askAt = now() + patience.launch;
    for (const attemptId of attemptIds) {
      const fresh = { agentId, accepted, isAccepted: false, ...UNHEARD, askAt };
      this.#out.set(attemptId, fresh);
    }
    accepted.then(
      () => {
        for (const id of attemptIds) {
          const out = this.#out.get(id);
          if (out) out.isAccepted = true;
        }
      },
      (error: unknown) => {
        const message = `the launch was not accepted: ${messageOf(error)}`;
        for (const id of attemptIds) this.#lose(id, { kind: 'engine', message });
      },
    );
  }

  /** Tells again what is known of an attempt. */
  tellOf(attemptId: AttemptId): void {
    const news = this.find(attemptId);
    if (news && news.state !== 'launched') void this.#tell(attemptId, news);
  }

  hear(status: TaskStatus): void {
    if (status.uuid !== undefined && this.#unstored.has(status.uuid)) return undefined;
    const news = newsOf(status);
    const out = this.#out.get(status.taskId);
    if (out && status.agentId !== undefined) out.agentId = status.agentId;
    switch (news.kind) {
      case 'none':
        if (news.unknown !== undefined) {
          this.#options.logger.warn({ task: status.taskId }, `unknown state ${news.unknown}`);
        } else delete out?.unreachableSince;
        this.#heard(out);
        if (out) this.#answer(status.taskId, { state: 'launched' });
        return this.#acknowledge(status);
      case 'running':
        this.#heard(out);
        return this.#runs(status, out);
      case 'unreachable':
        this.#heard(out);
        if (out) out.unreachableSince ??= this.#options.now();
        return this.#acknowledge(status);
      case 'ended':
        // It may not have seen the launch yet.
        if (out && !out.isAccepted && status.reason === 'REASON_RECONCILIATION') return undefined;
        return void this.#ends(status, news.news, out);
    }
  }

  /** Also of what has ended as far as we know: agents that come back can bring it back. */
  async kill(attemptId: AttemptId, failure?: Failure): Promise<void> {
    const out = this.#out.get(attemptId);
    if (out) {
      out.killed = { at: this.#options.now(), ...(failure && { failure }) };
      await out.accepted.catch(() => undefined);
    }
    this.#sendKill(attemptId, out);
  }

  /** What an attempt uses while it runs, for the case that nobody is left to say so at its end. */
  measured(attemptId: AttemptId, usage: Omit<Usage, 'wallMs'>): void {
    const out = this.#out.get(attemptId);
    if (!out) return;
    const at = this.#options.now();
    out.usage = { wallMs: at - (out.runsSince ?? at), ...usage };
  }

  subscribed(): void {
    this.#isSubscribed = true;
    const at = this.#options.now();
    for (const out of this.#out.values()) {
      Object.assign(out, { askAt: at, tries: 0 });
      if (out.killed) out.killed = { ...out.killed, at: 0 };
    }
    this.#recheckAt = at;
    this.tick();
  }

  /** No answer can come. */
  unsubscribed(): void {
    this.#isSubscribed = false;
    for (const out of this.#out.values()) delete out.silentSince;
  }

  /** Those that are not known are out from now on, until the master says otherwise. */
  async ask(
    attemptIds: readonly AttemptId[],
    waitMs: number,
  ): Promise<Map<AttemptId, AttemptNews>> {
    const found = new Map<AttemptId, AttemptNews>();
    const answers = attemptIds.map(async (attemptId) => {
      const news = this.find(attemptId) ?? (await this.#askOne(attemptId, waitMs));
      found.set(attemptId, news);
    });
    await Promise.all(answers);
    return found;
  }

  /** What is due: questions, kills that had no effect, patience that is over. Called about once a second. */
  tick(): void {
    const { now, patience } = this.#options;
    const at = now();
    const due: AttemptId[] = [];
    for (const [attemptId, out] of this.#out) {
      if (out.isEnding) continue;
      const { unreachableSince = Infinity, silentSince = Infinity } = out;
      if (at - unreachableSince > patience.unreachable) {
        this.#giveUp(attemptId, 'its agent has been out of reach for too long');
      } else if (at - silentSince > patience.silence) {
        this.#giveUp(attemptId, 'the master says nothing about it, however often it is asked');
      } else if (this.#isSubscribed && out.askAt <= at) due.push(attemptId);
      if (this.#isSubscribed && out.killed && at - out.killed.at > patience.killAgain) {
        out.killed = { ...out.killed, at };
        this.#sendKill(attemptId, out);
      }
    }
    this.#askAfter(due, at);
    if (!this.#isSubscribed || at < this.#recheckAt) return;
    this.#recheckAt = at + patience.recheck;
    // Of all that runs, so that those are found that nobody knows of any more.
    this.#send(reconcile([]));
  }

  #askAfter(attemptIds: readonly AttemptId[], at: Millis): void {
    for (const attemptId of attemptIds) {
      const out = this.#out.get(attemptId)!;
      out.silentSince ??= at;
      out.askAt = at + Math.min(FIRST_PAUSE * 2 ** out.tries, LONGEST_PAUSE);
      out.tries += 1;
    }
    for (let from = 0; from < attemptIds.length; from += ASKED_AT_ONCE) {
      const batch = attemptIds.slice(from, from + ASKED_AT_ONCE);
      this.#send(
        reconcile(
          batch.map((taskId) => {
            const { agentId } = this.#out.get(taskId)!;
            return { taskId, ...(agentId !== undefined && { agentId }) };
          }),
        ),
      );
    }
  }

  async #askOne(attemptId: AttemptId, waitMs: number): Promise<AttemptNews> {
    const accepted = Promise.resolve();
    const askAt = this.#options.now();
    this.#out.set(attemptId, { accepted, isAccepted: true, ...UNHEARD, askAt });
    if (!this.#isSubscribed) return { state: 'launched' };
    const answer = Promise.withResolvers<AttemptNews>();
    this.#asked.set(attemptId, answer.resolve);
    setImmediate(() => this.tick());
    const timer = setTimeout(() => this.#answer(attemptId, { state: 'launched' }), waitMs);
    return answer.promise.finally(() => clearTimeout(timer));
  }

  #heard(out: Out | undefined): void {
    if (!out) return;
    const { now, patience } = this.#options;
    out.isAccepted = true;
    out.tries = 0;
    out.askAt = now() + patience.recheck;
    delete out.silentSince;
  }

  #runs(status: TaskStatus, out: Out | undefined): void {
    if (!out) this.#options.logger.warn({ task: status.taskId }, 'a task runs that was given up');
    const isNews = !out?.isRunning;
    if (out) {
      out.isRunning = true;
      out.runsSince ??= this.#options.now();
      delete out.unreachableSince;
    }
    this.#answer(status.taskId, { state: 'running' });
    if (!isNews || out?.isEnding) return this.#acknowledge(status);
    return void this.#store(status, () => this.#tell(status.taskId, { state: 'running' }));
  }

  async #ends(status: TaskStatus, said: AttemptNews, out: Out | undefined): Promise<void> {
    if (!out) return this.#acknowledge(status);
    if (out.isEnding) return undefined;
    out.isEnding = true;
    return this.#store(status, async () => {
      const isDue = hasRunnerEnded(status);
      const end = await this.#options.readEnd(status.taskId, isDue);
      if (isDue && out.agentId !== undefined) {
        this.#options.onEnd?.(status.taskId, out.agentId, end?.isKept ?? false);
      }
      const news = end ? wins({ to: end.to, result: end.result }, said) : said;
      const isTold = end !== undefined && news.state !== 'killed';
      await this.#end(status.taskId, isTold ? news : withReason(news, out));
    });
  }

  /** Acknowledges an update when what it means is stored; where that fails, Mesos sends it again. */
  async #store(status: TaskStatus, tell: () => Promise<void>): Promise<void> {
    const { uuid = '', taskId } = status;
    this.#unstored.add(uuid);
    try {
      await tell();
      this.#acknowledge(status);
    } catch (error) {
      this.#options.logger.warn({ err: error, task: taskId }, 'an update was not stored');
    } finally {
      this.#unstored.delete(uuid);
    }
  }

  #giveUp(attemptId: AttemptId, why: string): void {
    const out = this.#out.get(attemptId);
    this.#options.logger.warn({ task: attemptId }, `given up: ${why}`);
    this.#lose(attemptId, { kind: 'engine', message: why });
    // Should it be there all the same, or come back.
    this.#sendKill(attemptId, out);
  }

  #lose(attemptId: AttemptId, failure: Failure): void {
    const usage = this.#out.get(attemptId)?.usage;
    const result = { failure, ...(usage && { usage }) };
    void this.#end(attemptId, { state: 'lost', result });
  }

  /** One that is lost may be launched again, and is killed when it comes back: it is not remembered. */
  #end(attemptId: AttemptId, news: AttemptNews): Promise<void> {
    if (!this.#out.delete(attemptId)) return Promise.resolve();
    if (news.state !== 'lost') this.#ended.set(attemptId, news);
    if (this.#answer(attemptId, news)) return Promise.resolve();
    return this.#tell(attemptId, news);
  }

  /** @returns whether somebody has waited for it */
  #answer(attemptId: AttemptId, news: AttemptNews): boolean {
    this.#asked.get(attemptId)?.(news);
    return this.#asked.delete(attemptId);
  }

  #tell(attemptId: AttemptId, { state: to, result }: AttemptNews): Promise<void> {
    const { engine, emit } = this.#options;
    return emit({ type: 'attemptMoved', engine, attemptId, to, ...(result && { result }) });
  }

  #acknowledge(status: TaskStatus): void {
    if (status.uuid !== undefined) this.#send(acknowledge(status));
  }

  #sendKill(attemptId: AttemptId, out: Out | undefined): void {
    this.#send(kill(attemptId, out?.agentId, this.#options.killGrace));
  }

  /** What gets lost is asked for, killed or acknowledged again. */
  #send(call: Call): void {
    this.#options.send(call).catch((error: unknown) => {
      this.#options.logger.debug({ err: error, call: call.type }, 'a call failed');
    });
  }
}

const UNHEARD = { isRunning: false, isEnding: false, tries: 0 } as const;

/** Whether the runner has ended by itself, so that its word has to be there: one that is killed leaves none. */
const hasRunnerEnded = ({ source, state, reason, message = '' }: TaskStatus): boolean =>
  (source === 'SOURCE_EXECUTOR' && !message.includes('terminated with signal')) ||
  // The master repeats only the state of what its executor has said.
  (reason === 'REASON_RECONCILIATION' && (state === 'TASK_FINISHED' || state === 'TASK_FAILED'));

/** Who has ended an attempt, and what it used as far as anybody saw, where its runner did not live to say so. */
function withReason({ state, result }: AttemptNews, { killed, usage }: Out): AttemptNews {
  const measured = { ...(usage && { usage }), ...result };
  if (killed && !killed.failure) return { state: 'killed', result: measured };
  if (killed?.failure) return { state: 'lost', result: { ...measured, failure: killed.failure } };
  if (state !== 'killed') return { state, result: measured };
  const failure = { kind: 'operator', message: 'somebody else has killed the task' } as const;
  return { state: 'lost', result: { failure, ...measured } };
}
