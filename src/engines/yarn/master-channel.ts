import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';

import { messageOf } from '../../errors.ts';
import type { Channel, ChannelListener } from './channel.ts';
import { objectOf, textOf } from './json.ts';
import { Masters } from './masters.ts';
import type { MastersOptions } from './masters.ts';
import type { AmEvent, AppName, LocalResource, Order } from './protocol.ts';
import type { ResourceManager } from './resource-manager.ts';
import { isPlainName, submissionOf } from './submission.ts';
import type { SubmissionOptions } from './submission.ts';

export interface MasterChannelOptions
  extends
    Pick<MastersOptions, 'host' | 'port' | 'baseUrl' | 'tls' | 'key' | 'logger' | 'pollMs'>,
    Pick<SubmissionOptions, 'java' | 'javaOptions' | 'mainClass' | 'ca' | 'memoryMb'> {
  readonly resourceManager: ResourceManager;
  /** Who the service is to YARN. */
  readonly user: string;
  /** Brings the program, its libraries and the cluster's configuration to where nodes find them. */
  readonly resources: () => Promise<readonly LocalResource[]>;
  /** Milliseconds between looks at applications whose masters say nothing. */
  readonly watchMs?: number;
}

const WATCH_MS = 5_000;
/** Longer than a master's pause between two tries. */
const SILENCE_MS = 20_000;
const OVER: ReadonlySet<string> = new Set(['FINISHED', 'FAILED', 'KILLED']);

/**
 * Masters in containers of their own, which dial the service: for sites whose NodeManagers it cannot reach, and for
 * tasks that have to outlive long absences. Containers live on when a master dies, and the next takes them over.
 */
export function createMasterChannel(options: MasterChannelOptions): Channel {
  let current: MasterChannel | undefined;
  return {
    async run(listener, signal) {
      const channel = new MasterChannel(options, listener);
      try {
        await channel.open(signal);
        current = channel;
        await channel.watch(signal);
      } catch (error) {
        options.logger.error(`application masters cannot dial in: ${messageOf(error)}`);
        listener.lost(messageOf(error));
        if (!signal.aborted) await once(signal, 'abort');
      } finally {
        current = undefined;
        await channel.close();
      }
    },
    give: (order) => current?.give(order) ?? false,
  };
}

/** By it secrets of applications are made, also those of the service before. Made where there is none. */
export async function readKey(file: string): Promise<Buffer> {
  const made = randomBytes(32).toString('hex');
  await writeFile(file, made, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  const text = (await readFile(file, 'utf8')).trim();
  if (/^[\da-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  throw new Error(`${file} does not hold a key: remove it, and end the applications that run`);
}

class MasterChannel {
  readonly #options: MasterChannelOptions;
  readonly #listener: ChannelListener;
  readonly #masters: Masters;
  readonly #logger: Logger;
  /** Applications by the service's names of them. */
  readonly #ids = new Map<AppName, string>();
  #racks: Order | undefined;

  constructor(options: MasterChannelOptions, listener: ChannelListener) {
    this.#options = options;
    this.#listener = listener;
    this.#logger = options.logger;
    this.#masters = new Masters({
      ...options,
      hear: (event) => this.#hear(event),
      dialled: (applicationId) => {
        if (this.#racks) this.#masters.give(applicationId, this.#racks);
      },
    });
  }

  /** There is somebody to talk to once the cluster answers. */
  async open(signal: AbortSignal): Promise<void> {
    await this.#masters.listen();
    const { resourceManager, user, watchMs = WATCH_MS } = this.#options;
    while (!signal.aborted) {
      try {
        const { version } = await resourceManager.info();
        setImmediate(() => this.#listener.hear({ event: 'ready', hadoop: version, user }));
        return;
      } catch (error) {
        this.#logger.warn(`no ResourceManager: ${messageOf(error)}`);
        await sleep(watchMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async watch(signal: AbortSignal): Promise<void> {
    const { watchMs = WATCH_MS } = this.#options;
    while (!signal.aborted) {
      await Promise.all(Array.from(this.#ids, ([app, id]) => this.#look(app, id)));
      await sleep(watchMs, undefined, { signal }).catch(() => undefined);
    }
  }

  close(): Promise<void> {
    return this.#masters.close();
  }

  give(order: Order): boolean {
    switch (order.order) {
      case 'racks':
        this.#racks = order;
        for (const id of this.#ids.values()) this.#masters.give(id, order);
        return true;
      case 'open':
        void this.#open(order);
        return true;
      case 'adopt':
        this.#ids.set(order.app, order.applicationId);
        this.#masters.expect(order.applicationId, order.app);
        return this.#masters.give(order.applicationId, order);
      case 'readLog':
        if (!this.#masters.give(order.applicationId, order)) this.#unreadable(order.id);
        return true;
      default: {
        const id = this.#ids.get(order.app);
        return id !== undefined && this.#masters.give(id, order);
      }
    }
  }

  #unreadable(id: number): void {
    const error = 'not found: the application has no master any more';
    setImmediate(() => this.#listener.hear({ event: 'log', id, error }));
  }

  #hear(event: AmEvent): void {
    // Masters begin by themselves; the service has begun with all of them.
    if (event.event === 'ready') return;
    if (event.event === 'closed') this.#forget(event.app);
    this.#listener.hear(event);
  }

  async #open(order: Extract<Order, { order: 'open' }>): Promise<void> {
    const { resourceManager, resources } = this.#options;
    const { app } = order;
    let applicationId: string | undefined;
    try {
      if (!isPlainName(app)) throw new Error(`${JSON.stringify(app)} cannot be a master's word`);
      const files = await resources();
      const made = objectOf(await resourceManager.ask('POST', 'apps/new-application'));
      applicationId = textOf(made['application-id']);
      if (applicationId === undefined) throw new Error('the ResourceManager gives no id');
      this.#ids.set(app, applicationId);
      this.#masters.expect(applicationId, app);
      await resourceManager.ask('POST', 'apps', this.#submission(order, applicationId, files));
      this.#logger.info({ job: app, applicationId }, 'the application is submitted');
    } catch (error) {
      // Its answer may be all that was lost.
      if (applicationId !== undefined)
        await resourceManager.end(applicationId).catch(() => undefined);
      this.#over(app, 'REFUSED', messageOf(error));
    }
  }

  #submission(
    open: Extract<Order, { order: 'open' }>,
    applicationId: string,
    resources: readonly LocalResource[],
  ): object {
    const masters = this.#masters;
    return submissionOf({
      ...this.#options,
      open,
      applicationId,
      resources,
      url: masters.urlOf(applicationId),
      secret: masters.secretOf(applicationId),
    });
  }

  /** Where no master is left to say that it is over. */
  async #look(app: AppName, applicationId: string): Promise<void> {
    if (this.#masters.silenceOf(applicationId) < SILENCE_MS) return;
    try {
      const answer = await this.#options.resourceManager.ask('GET', `apps/${applicationId}`);
      const { state, diagnostics } = objectOf(objectOf(answer)['app']);
      const word = textOf(state) ?? '';
      if (OVER.has(word)) this.#over(app, word, textOf(diagnostics) ?? '');
    } catch (error) {
      this.#logger.debug({ err: error, applicationId }, 'nobody knows how it is');
    }
  }

  #over(app: AppName, state: string, diagnostics: string): void {
    this.#forget(app);
    this.#listener.hear({ event: 'closed', app, state, diagnostics });
  }

  #forget(app: AppName): void {
    const id = this.#ids.get(app);
    this.#ids.delete(app);
    if (id !== undefined) this.#masters.forget(id);
  }
}
