import type { Logger } from 'pino';

import type { Millis } from '../../core/model.ts';
import type { JobLabel } from '../engine.ts';
import type { Application } from './answers.ts';
import type { AmEvent, AppName, Order, Running } from './protocol.ts';

export interface ApplicationsOptions {
  /** By which this service's own are known among all of the cluster. */
  readonly tags: readonly string[];
  readonly queueOf: (group: string) => string;
  readonly nodeLabel?: string;
  /** Milliseconds without attempts after which an application is closed. */
  readonly idle: number;
  readonly logger: Logger;
  readonly now: () => Millis;
  /** @returns whether the program will get it */
  give(order: Order): boolean;
  /** How many attempts of a job are out. */
  countOf(app: AppName): number;
  /** Whether some of them wait to be asked for. */
  isWanted(app: AppName): boolean;
  /** It takes requests now. @param running what an earlier program has started in it */
  opened(app: AppName, running: readonly Running[], isAdopted: boolean): void;
  /** It is over, and its containers are. @param isRefused it has never taken requests */
  closed(app: AppName, state: string, diagnostics: string, isRefused: boolean): void;
  /** Ends one on YARN that no program can take over. */
  end(applicationId: string): void;
}

interface App {
  state: 'waiting' | 'opening' | 'adopting' | 'open' | 'closing';
  job: JobLabel;
  queue: string;
  priority: number;
  applicationId?: string;
  /** Since when no attempt of it has been out. */
  idleSince?: Millis;
}

/** Milliseconds before a job whose application was refused gets another; doubled for each further one. */
const RETRY = 10_000;
const LONGEST_RETRY = 600_000;

/** In the program's words. */
const TAKEN_OVER = 'TAKEN_OVER';

/** One application of YARN for each job that has attempts, under the job's name. */
export class Applications {
  readonly #options: ApplicationsOptions;
  readonly #apps = new Map<AppName, App>();
  readonly #refused = new Map<AppName, { readonly times: number; readonly until: Millis }>();
  /** Whether it is known which ones there are; before that, a second one could be opened for a job. */
  #isSettled = false;

  constructor(options: ApplicationsOptions) {
    this.#options = options;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  get count(): number {
    return this.#apps.size;
  }

  isOpen = (app: AppName): boolean => this.#apps.get(app)?.state === 'open';
  has = (app: AppName): boolean => this.#apps.has(app);
  idOf = (app: AppName): string | undefined => this.#apps.get(app)?.applicationId;
  ids = (): string[] => Array.from(this.#apps.values(), ({ applicationId: id }) => id ?? []).flat();

  /** Attempts of a job are to come. */
  want(job: JobLabel): void {
    const app = this.#apps.get(job.id);
    if (!app) {
      const queue = this.#options.queueOf(job.group);
      this.#apps.set(job.id, { state: 'waiting', job, queue, priority: job.priority });
      return this.#openWaiting();
    }
    app.job = job;
    delete app.idleSince;
    if (app.state !== 'open' || app.priority === job.priority) return;
    app.priority = job.priority;
    this.#options.give({ order: 'prioritise', app: job.id, priority: job.priority });
  }

  /** What there is on YARN of ours, as a new program has to know it. */
  settle(found: readonly Application[]): void {
    const names = new Set<AppName>();
    for (const { id, name } of found) {
      if (names.has(name)) {
        // The service died between two of its steps.
        this.#options.end(id);
        continue;
      }
      names.add(name);
      const known = this.#apps.get(name);
      const job = known?.job ?? { id: name, user: '', group: '', priority: 0 };
      const { queue = '', priority = 0 } = known ?? {};
      this.#apps.set(name, { state: 'adopting', job, queue, priority, applicationId: id });
      this.#options.give({ order: 'adopt', app: name, applicationId: id });
    }
    for (const [name, app] of this.#apps) {
      if (!names.has(name)) this.#reopen(name, app);
    }
    this.#isSettled = true;
    this.#openWaiting();
  }

  /** There is no program: the next one begins anew. */
  unsettle(): void {
    this.#isSettled = false;
  }

  hear(event: Extract<AmEvent, { event: 'opened' | 'closed' }>): void {
    const app = this.#apps.get(event.app);
    if (!app) return undefined;
    switch (event.event) {
      case 'opened': {
        // A master that is replaced by the next is open already.
        const isAdopted = app.state !== 'opening';
        const { applicationId, queue, running } = event;
        Object.assign(app, { state: 'open', applicationId, queue });
        this.#refused.delete(event.app);
        this.#options.logger.info(
          { job: event.app, applicationId, queue },
          isAdopted ? 'the application was taken over' : 'the application is open',
        );
        return this.#options.opened(event.app, running, isAdopted);
      }
      case 'closed':
        return this.#closed(event.app, app, event.state, event.diagnostics);
    }
  }

  tick(): void {
    const at = this.#options.now();
    this.#openWaiting();
    for (const [name, app] of this.#apps) {
      if (this.#options.countOf(name) > 0) delete app.idleSince;
      else app.idleSince ??= at;
      if (app.state === 'open' && at - (app.idleSince ?? at) >= this.#options.idle) {
        this.#close(name, app);
      }
    }
  }

  /** @returns how many are being closed */
  closeIdle(): number {
    for (const [name, app] of this.#apps) {
      if (app.state === 'open' && this.#options.countOf(name) === 0) this.#close(name, app);
    }
    return Array.from(this.#apps.values()).filter(({ state }) => state === 'closing').length;
  }

  closeAll(message: string): void {
    for (const [name, app] of this.#apps) {
      if (app.state === 'open') this.#close(name, app, 'KILLED', message);
    }
  }

  #openWaiting(): void {
    if (!this.#isSettled) return;
    const { give, now, tags, nodeLabel, queueOf } = this.#options;
    for (const [name, app] of this.#apps) {
      const isTime = (this.#refused.get(name)?.until ?? 0) <= now();
      if (app.state !== 'waiting' || !isTime) continue;
      const queue = queueOf(app.job.group);
      const { priority } = app;
      const label = nodeLabel === undefined ? {} : { nodeLabel };
      if (!give({ order: 'open', app: name, queue, priority, tags, ...label })) return;
      Object.assign(app, { state: 'opening', queue });
    }
  }

  #close(
    app: AppName,
    known: App,
    status: 'SUCCEEDED' | 'KILLED' = 'SUCCEEDED',
    message = 'the job has no more attempts here',
  ): void {
    if (this.#options.give({ order: 'close', app, status, message })) known.state = 'closing';
  }

  #closed(name: AppName, app: App, state: string, diagnostics: string): void {
    const { logger, end, closed, now } = this.#options;
    const isRefused = app.state === 'opening';
    const isAsked = app.state === 'closing';
    if (state === TAKEN_OVER) {
      logger.error(
        { job: name },
        'another service has taken an application over: has it the same engines.yarn.name?',
      );
    } else if (app.state === 'adopting' && app.applicationId !== undefined) {
      // What could not be taken over may hold containers for a long time.
      end(app.applicationId);
    }
    if (isRefused) {
      const times = (this.#refused.get(name)?.times ?? 0) + 1;
      const until = now() + Math.min(RETRY * 2 ** (times - 1), LONGEST_RETRY);
      this.#refused.set(name, { times, until });
    }
    const what = isRefused ? 'YARN refuses the application' : 'the application has ended';
    logger[isAsked ? 'info' : 'warn']({ job: name, state, diagnostics }, what);
    // Before it is forgotten: what waits for it may wait for the next one.
    closed(name, state, diagnostics, isRefused);
    this.#reopen(name, app);
    this.#openWaiting();
  }

  #reopen(name: AppName, { job, queue, priority }: App): void {
    if (!this.#options.isWanted(name)) this.#apps.delete(name);
    else this.#apps.set(name, { state: 'waiting', job, queue, priority });
  }
}
