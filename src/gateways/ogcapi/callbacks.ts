import { setMaxListeners } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { FastifyBaseLogger } from 'fastify';
import { isJobEnded } from '../../core/lifecycle.ts';
import type { JobId } from '../../core/model.ts';
import { messageOf, PushbroomError } from '../../errors.ts';
import type { Caller, Jobs, JobStatus } from '../../jobs/jobs.ts';
import type { Contents } from '../outputs.ts';
import type { References } from '../references.ts';
import { findOutcome } from './outcome.ts';
import { asLinks, resultsDocument } from './results.ts';
import type { Subscriber } from './schemas.ts';
import { statusInfo } from './write.ts';

export interface CallbackOptions {
  /** Holds a file for each job of whose end somebody is still to be told. */
  readonly directory: string;
  readonly jobsFor: (caller: Caller) => Jobs;
  readonly contents: Contents;
  readonly references: Pick<References, 'check' | 'post'>;
  readonly logger: FastifyBaseLogger;
  readonly timing?: CallbackTiming;
}

/** Milliseconds. */
export interface CallbackTiming {
  /** Before each further try to deliver; after the last one there is none. */
  readonly delays: readonly number[];
  /** Between looks at how far a job has come. */
  readonly interval: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const PATIENT: CallbackTiming = {
  delays: [SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, 60 * MINUTE, 360 * MINUTE],
  interval: 10 * SECOND,
};

/** Who wants to be told of a job, and what is needed to tell it without the request. */
interface Subscription {
  readonly job: JobId;
  readonly subscriber: Subscriber;
  /** Whoever has subscribed is told no more than he could ask. */
  readonly caller: Caller;
  /** URL of the landing page. */
  readonly api: string;
  readonly baseUrl: string;
}

/**
 * Tells clients of the end of their jobs, and on the way how far these have come (OGC 18-062r2, requirements class
 * Callback): the results to `successUri`, the status to `failedUri` and `inProgressUri`. The end is told at least once,
 * also by a server that starts after this one has died; who cannot be reached is tried for some hours.
 */
export class Callbacks implements Disposable {
  readonly #options: CallbackOptions;
  readonly #timing: CallbackTiming;
  readonly #stopping = new AbortController();

  constructor(options: CallbackOptions) {
    this.#options = options;
    this.#timing = options.timing ?? PATIENT;
    // Every job that is followed listens.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Refuses what never could be told. @throws INVALID_PARAMETER */
  check(subscriber: Subscriber): void {
    for (const [name, href] of Object.entries(subscriber)) {
      try {
        this.#options.references.check(href);
      } catch (error) {
        const message = `The subscriber's ${name}: ${messageOf(error)}.`;
        throw new PushbroomError('INVALID_PARAMETER', message, { locator: name, cause: error });
      }
    }
  }

  /** Resolves when it would survive a crash. */
  async subscribe(subscription: Subscription): Promise<void> {
    const file = this.#fileOf(subscription.job);
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    // The URLs may hold secrets of the subscriber.
    await writeFile(`${file}.new`, JSON.stringify(subscription), { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
    void this.#follow(subscription);
  }

  /** Goes on with what the server before has not delivered. */
  async resume(): Promise<void> {
    const { directory, logger } = this.#options;
    const names = await readdir(directory).catch(() => []);
    for (const name of names.filter((each) => each.endsWith('.json'))) {
      try {
        const text = await readFile(join(directory, name), 'utf8');
        void this.#follow(JSON.parse(text) as Subscription);
      } catch (error) {
        logger.warn({ file: name, reason: messageOf(error) }, 'a callback cannot be read');
      }
    }
  }

  async #follow(subscription: Subscription): Promise<void> {
    const { job, caller, subscriber } = subscription;
    const { logger, jobsFor } = this.#options;
    const { signal } = this.#stopping;
    try {
      const ended = jobsFor(caller).ended(job, signal);
      const [status] = await Promise.all([
        ended,
        subscriber.inProgressUri !== undefined && this.#tellProgress(subscription, ended),
      ]);
      await this.#tellEnd(subscription, status);
    } catch (error) {
      // The next server goes on.
      if (signal.aborted) return;
      logger.warn({ job, reason: messageOf(error) }, 'a callback is given up');
    }
    await rm(this.#fileOf(job), { force: true });
  }

  /** Nobody tries twice to say what soon is no longer so. */
  async #tellProgress(
    { job, caller, api, subscriber }: Subscription,
    ended: Promise<JobStatus>,
  ): Promise<void> {
    const { signal } = this.#stopping;
    const { references, jobsFor } = this.#options;
    let told = '';
    for (;;) {
      const wait = pause(this.#timing.interval, undefined, { signal, ref: false });
      const status = await Promise.race([ended, wait.then(() => jobsFor(caller).status(job))]);
      if (isJobEnded(status.state)) return;
      const info = statusInfo(api, status);
      const news = `${info.status} ${info.progress}`;
      if (news === told || info.status === 'accepted') continue;
      told = news;
      await references
        .post(subscriber.inProgressUri!, JSON.stringify(info), signal)
        .catch(() => undefined);
    }
  }

  async #tellEnd({ job, caller, api, baseUrl, subscriber }: Subscription, status: JobStatus) {
    const { references, jobsFor, contents } = this.#options;
    const isGood = status.state === 'successful';
    const href = isGood ? subscriber.successUri : subscriber.failedUri;
    if (href === undefined) return;
    const content = async () => {
      if (!isGood) return statusInfo(api, status);
      const outcome = await findOutcome({ jobs: jobsFor(caller), contents, baseUrl }, job);
      return resultsDocument(outcome).catch(() => resultsDocument(outcome, asLinks(outcome)));
    };
    const json = JSON.stringify(await content());
    await this.#insist(() => references.post(href, json, this.#stopping.signal));
  }

  async #insist(tell: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    for (const delay of this.#timing.delays) {
      try {
        return await tell();
      } catch (error) {
        if (signal.aborted) throw error;
      }
      await pause(delay, undefined, { signal, ref: false });
    }
    return tell();
  }

  #fileOf(job: JobId): string {
    return join(this.#options.directory, `${job}.json`);
  }

  [Symbol.dispose](): void {
    this.#stopping.abort();
  }
}
