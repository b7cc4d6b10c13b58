import { request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** A plain HTTP client for Mesos's APIs that sends just what it is told; for the tests of the replayed cluster. */

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | undefined;
}

export const JSON_HEADERS = { accept: 'application/json', 'content-type': 'application/json' };

export async function send(url: string, sent: Sent): Promise<Answered> {
  const { method = 'POST', path, headers = JSON_HEADERS, body = '' } = sent;
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, url), { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: text }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export const call = (url: string, body: object): Promise<Answered> =>
  send(url, { path: '/api/v1', body: JSON.stringify(body) });

// oxlint-disable-next-line typescript/no-explicit-any -- events of scheduler.proto
export type Event = Record<string, any>;

/** A subscription as a plain client sees it. */
export class Subscription {
  readonly events: Event[] = [];
  status = 0;
  headers: IncomingHttpHeaders = {};
  /** `end` after an orderly end, `aborted` after a broken connection. */
  closed: 'end' | 'aborted' | undefined;
  readonly #changed = new Set<() => void>();
  #destroy: () => void = () => undefined;
  #rest = Buffer.alloc(0);

  static async open(url: string, body: string, headers: OutgoingHttpHeaders = JSON_HEADERS) {
    const subscription = new Subscription();
    await subscription.#open(new URL('/api/v1/scheduler', url), body, headers);
    return subscription;
  }

  async #open(url: URL, body: string, headers: OutgoingHttpHeaders): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(url, { method: 'POST', headers, agent: false }, (response) => {
        this.status = response.statusCode!;
        this.headers = response.headers;
        this.#destroy = () => response.destroy();
        response.on('data', (chunk: Buffer) => this.#read(chunk));
        response.on('error', () => this.#close('aborted'));
        response.on('end', () => this.#close('end'));
        response.on('close', () => this.#close('aborted'));
        resolve();
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  get streamId(): string {
    return this.headers['mesos-stream-id'] as string;
  }

  destroy(): void {
    this.#destroy();
  }

  /** Resolves with what `look` finds, asked after each event and at the end of the stream. */
  until<T>(look: () => T | undefined): Promise<T> {
    const found = look();
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => {
      const again = () => {
        const now = look();
        if (now === undefined) return;
        this.#changed.delete(again);
        resolve(now);
      };
      this.#changed.add(again);
    });
  }

  event(type: string): Promise<Event> {
    return this.until(() => this.events.find((event) => event['type'] === type));
  }

  /** The statuses of a task, as they came. */
  statuses(taskId: string): Event[] {
    return this.events.flatMap((event) => {
      const status = event['update']?.status as Event | undefined;
      return status?.['task_id'].value === taskId ? [status] : [];
    });
  }

  async update(taskId: string, state: string): Promise<Event> {
    return this.until(() => this.statuses(taskId).find((status) => status['state'] === state));
  }

  #close(why: 'end' | 'aborted'): void {
    this.closed ??= why;
    this.#tell();
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const newline = this.#rest.indexOf('\n');
      const bytes = newline < 0 ? NaN : Number(this.#rest.toString('utf8', 0, newline));
      const end = newline + 1 + bytes;
      if (!(this.#rest.length >= end)) break;
      const text = this.#rest.toString('utf8', newline + 1, end);
      this.#rest = this.#rest.subarray(end);
      this.events.push(JSON.parse(text) as Event);
      this.#tell();
    }
  }

  #tell(): void {
    for (const tell of this.#changed) tell();
  }
}

export const FRAMEWORK = {
  user: 'root',
  name: 'test',
  roles: ['eo'],
  failover_timeout: 60,
  checkpoint: true,
  capabilities: [
    { type: 'MULTI_ROLE' },
    { type: 'PARTITION_AWARE' },
    { type: 'RESERVATION_REFINEMENT' },
    { type: 'TASK_KILLING_STATE' },
  ],
};

/** The least that a framework is: it subscribes, takes offers, and acknowledges what it is told. */
export class PlainFramework {
  readonly subscription: Subscription;
  readonly id: string;
  readonly #url: string;
  readonly #used = new Set<string>();
  #count = 0;

  private constructor(url: string, subscription: Subscription, id: string) {
    this.#url = url;
    this.subscription = subscription;
    this.id = id;
  }

  static async join(url: string, info: object = {}): Promise<PlainFramework> {
    const subscribe = { framework_info: { ...FRAMEWORK, ...info } };
    const subscription = await Subscription.open(
      url,
      JSON.stringify({ type: 'SUBSCRIBE', subscribe }),
    );
    const event = await subscription.event('SUBSCRIBED');
    return new PlainFramework(url, subscription, event['subscribed'].framework_id.value as string);
  }

  call(type: string, fields: object = {}): Promise<Answered> {
    const body = { framework_id: { value: this.id }, type, ...fields };
    const headers = { ...JSON_HEADERS, 'mesos-stream-id': this.subscription.streamId };
    return send(this.#url, {
      path: '/api/v1/scheduler',
      headers,
      body: JSON.stringify(body),
    });
  }

  get offers(): Event[] {
    return this.subscription.events.flatMap((event) => event['offers']?.offers ?? []);
  }

  /** The first offer, past or future, that was not accepted here and that the predicate likes. */
  offer(predicate: (offer: Event) => boolean = () => true): Promise<Event> {
    return this.subscription.until(() =>
      this.offers.find((offer) => !this.#used.has(offer['id'].value) && predicate(offer)),
    );
  }

  async launch(offer: Event, ...tasks: readonly Event[]): Promise<Answered> {
    return this.accept([offer], tasks);
  }

  async accept(offers: readonly Event[], tasks: readonly Event[]): Promise<Answered> {
    const agent = offers[0]!['agent_id'];
    for (const { id } of offers) this.#used.add(id.value as string);
    const infos = tasks.map((task) => ({
      name: 'task',
      agent_id: agent,
      resources: [
        { name: 'cpus', type: 'SCALAR', scalar: { value: 0.5 } },
        { name: 'mem', type: 'SCALAR', scalar: { value: 64 } },
      ],
      ...task,
    }));
    return this.call('ACCEPT', {
      accept: {
        offer_ids: offers.map(({ id }) => id as object),
        operations: [{ type: 'LAUNCH', launch: { task_infos: infos } }],
        filters: { refuse_seconds: 0 },
      },
    });
  }

  /** A task that runs a shell line; resolves with its last status, acknowledging all before it. */
  async run(line: string, command: object = {}, task: object = {}): Promise<Event> {
    const id = `task-${++this.#count}`;
    const offer = await this.offer();
    const info = { task_id: { value: id }, command: { value: line, ...command }, ...task };
    await this.launch(offer, info);
    return this.ended(id);
  }

  /** Acknowledges a task's updates until it is in that state. */
  async reached(id: string, ...states: readonly string[]): Promise<Event> {
    const seen = new Set<string>();
    for (;;) {
      const status = await this.subscription.until(() =>
        this.subscription.statuses(id).find(({ uuid }) => !seen.has(uuid as string)),
      );
      seen.add(status['uuid'] as string);
      if (status['uuid']) await this.acknowledge(status);
      if (states.includes(status['state'] as string)) return status;
    }
  }

  ended(id: string): Promise<Event> {
    return this.reached(
      id,
      'TASK_FINISHED',
      'TASK_FAILED',
      'TASK_KILLED',
      'TASK_LOST',
      'TASK_ERROR',
    );
  }

  acknowledge({ agent_id: agent, task_id: task, uuid }: Event): Promise<Answered> {
    return this.call('ACKNOWLEDGE', { acknowledge: { agent_id: agent, task_id: task, uuid } });
  }
}
