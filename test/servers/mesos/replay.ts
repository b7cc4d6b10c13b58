import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Subscription, send } from './client.ts';
import type { Answered, Event } from './client.ts';
import { Names, comparable, dataOf, normalOffer, skeleton } from './normal.ts';
import type { MesosCluster } from './types.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/mesos');

/** A line of a recording. */
export interface Entry {
  readonly n: number;
  readonly kind: string;
  readonly who: string;
  readonly re?: number;
  readonly status?: number;
  readonly method?: string;
  readonly path?: string;
  readonly to?: string;
  readonly headers?: Readonly<Record<string, string>>;
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever was sent
  readonly body?: any;
  readonly event?: Event;
  readonly why?: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- notes hold all kinds of things
  readonly [field: string]: any;
}

export type Deed = (replay: Replay) => Promise<unknown> | void;

export interface Scenario {
  /** Without `.jsonl`. */
  readonly file: string;
  /** What the operator or the client did, by the number of the line; before that line is compared. */
  readonly deeds?: Readonly<Record<number, Deed>>;
  /** Lines that this server does not answer. */
  readonly skipped?: readonly number[];
  /** Tasks whose last message hung on a race when it was recorded. */
  readonly looseMessages?: readonly string[];
}

/** Text in the recording, as it is to be sent. */
export type Rewriting = readonly (readonly [recorded: string, now: string])[];

interface Held {
  readonly agent: number;
  readonly cpus: number;
  readonly role: string;
}

/** One subscription of the recording, played. */
class Stream {
  readonly subscription: Subscription;
  /** What the recording's client held, and what ours holds, by offer id. */
  readonly recorded = new Map<string, Held>();
  readonly held = new Map<string, Held>();
  /** All that the recording's client was ever offered. */
  readonly offered = new Map<string, Held>();
  readonly rescinded: number[] = [];
  readonly taken = new Map<string, number>();
  readonly consumed = new Set<Event>();
  #seen = 0;

  constructor(subscription: Subscription) {
    this.subscription = subscription;
  }

  /** Brings what we hold up to date with the events that came. */
  sync(names: Names): void {
    for (const event of this.subscription.events.slice(this.#seen)) {
      for (const offer of event['offers']?.offers ?? []) {
        this.held.set(offer.id.value, heldOf(offer, names.agentOf(offer.agent_id.value)));
      }
      const rescinded = this.held.get(event['rescind']?.offer_id.value);
      if (rescinded) {
        this.held.delete(event['rescind'].offer_id.value);
        this.rescinded.push(rescinded.agent);
      }
    }
    this.#seen = this.subscription.events.length;
  }

  /** As if all that came until now had been declined. */
  forgetOffers(names: Names): void {
    this.sync(names);
    this.held.clear();
  }

  /** The next event of the type that no line has taken yet. */
  async next(type: string): Promise<Event> {
    const at = this.taken.get(type) ?? 0;
    this.taken.set(type, at + 1);
    return this.subscription.until(
      () => this.subscription.events.filter((event) => event['type'] === type)[at],
    );
  }
}

const heldOf = (offer: Event, agent: number): Held => ({
  agent,
  cpus: (offer['resources'] as Event[]).find(({ name }) => name === 'cpus')?.['scalar'].value ?? 0,
  role: offer['allocation_info'].role,
});

/** Smaller fragments are not offered alone. */
const LEAST_CPUS = 0.01;

const cpusOn = (offers: ReadonlyMap<string, Held>, agent: number): number =>
  [...offers.values()].reduce((sum, one) => sum + (one.agent === agent ? one.cpus : 0), 0);

/** Plays a recording against a cluster, line by line, and expects what the recording shows. */
export class Replay {
  readonly cluster: MesosCluster;
  readonly names: Names;
  readonly #scenario: Scenario;
  readonly #entries: readonly Entry[];
  readonly #directory: string;
  readonly #rewriting: Rewriting;
  readonly #streams = new Map<string, Stream>();
  /** What recorded offers became when they were used. */
  readonly #used = new Map<string, readonly string[]>();
  /** Recorded uuids and ours. */
  readonly #uuids = new Map<string, string>();
  #isMasterDown = false;
  /** The line that is played. */
  entry!: Entry;

  constructor(
    scenario: Scenario,
    cluster: MesosCluster,
    directory: string,
    rewriting: Rewriting = [],
  ) {
    this.#scenario = scenario;
    this.cluster = cluster;
    this.#directory = directory;
    this.#rewriting = rewriting;
    this.names = new Names(cluster);
    this.#entries = readFileSync(join(FIXTURES, `${scenario.file}.jsonl`), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry);
  }

  async play(): Promise<void> {
    for (const entry of this.#entries) {
      this.entry = entry;
      try {
        await this.#scenario.deeds?.[entry.n]?.(this);
        if (!this.#scenario.skipped?.includes(entry.n)) await inTime(this.#play(entry));
      } catch (error) {
        throw new Error(`${this.#scenario.file}, line ${entry.n}: ${String(error)}`, {
          cause: error,
        });
      }
    }
    assert.deepEqual(this.#surplus(), []);
  }

  stream(who: string): Stream {
    const stream = this.#streams.get(who);
    if (!stream) throw new Error(`no stream ${who}`);
    return stream;
  }

  /** Lets a task that waits instead of sleeping end. */
  openGate(taskId: string): void {
    writeFileSync(join(this.#directory, `${taskId}.gate`), '');
  }

  async killMaster(): Promise<void> {
    this.#isMasterDown = true;
    await this.cluster.master.kill();
  }

  async restartMaster(): Promise<void> {
    await this.cluster.master.restart();
    this.#isMasterDown = false;
  }

  async #play(entry: Entry): Promise<void> {
    if (entry.kind === 'request') await this.#request(entry);
    else if (entry.kind === 'response') await this.#late(entry);
    else if (entry.kind === 'event') await this.#event(entry);
    else if (entry.kind === 'stream_closed') {
      const { subscription } = this.stream(entry.who);
      const why = await subscription.until(() => subscription.closed);
      assert.equal(why, entry.why!.startsWith('end') ? 'end' : 'aborted');
    }
  }

  #answerTo(request: Entry, kind: string): Entry | undefined {
    return this.#entries.find((entry) => entry.kind === kind && entry.re === request.n);
  }

  async #request(entry: Entry): Promise<void> {
    if (this.#answerTo(entry, 'response_head')) return this.#subscribe(entry);
    const response = this.#answerTo(entry, 'response');
    if (!response) {
      // It never reached the master.
      if (this.#isMasterDown) await assert.rejects(this.#send(entry));
      return;
    }
    if (!isLate(entry, response)) this.#compare(response, await this.#send(entry));
  }

  /** Acknowledgements that were refused had been overtaken: they are sent where their answer stands. */
  async #late(response: Entry): Promise<void> {
    const request = this.#entries.find(({ n }) => n === response.re)!;
    if (isLate(request, response)) this.#compare(response, await this.#send(request));
  }

  async #subscribe(entry: Entry): Promise<void> {
    const headers = { ...entry.headers };
    const body = JSON.stringify(this.#rewritten(entry.body));
    const subscription = await Subscription.open(this.cluster.url, body, headers);
    const head = this.#answerTo(entry, 'response_head')!;
    assert.equal(subscription.status, head.status);
    assert.equal(subscription.headers['content-type'], 'application/json');
    assert.equal(subscription.headers['transfer-encoding'], 'chunked');
    this.names.add(head.headers!['mesos-stream-id']!, subscription.streamId);
    this.#streams.set(entry.who, new Stream(subscription));
  }

  async #send(entry: Entry): Promise<Answered> {
    const { body, headers, method, path } = entry;
    const stream = this.#streams.get(entry.who);
    if (stream) await this.#awaitOffers(body, stream);
    const text = typeof body === 'string' ? body : JSON.stringify(this.#rewritten(body, stream));
    // Calls to an agent are sent to the first, as recorded.
    const isMaster = entry.to === undefined || /:50[56]0$/.test(entry.to);
    return send(isMaster ? this.cluster.url : this.cluster.agents[0]!.url, {
      method: method!,
      path: path!,
      headers: this.names.translate(headers) as Record<string, string>,
      body: body === undefined ? undefined : text,
    });
  }

  #compare(response: Entry, answered: Answered): void {
    const { body } = response;
    assert.equal(answered.status, response.status, answered.body);
    if (typeof body === 'string') {
      assert.equal(this.names.normal(answered.body), this.names.normal(body));
    } else {
      // What is answered has been seen in a real answer; a real one may tell more.
      assert.partialDeepStrictEqual(skeleton(body), skeleton(JSON.parse(answered.body)));
    }
    for (const name of ['content-type', 'allow', 'www-authenticate']) {
      assert.equal(answered.headers[name], response.headers?.[name]);
    }
  }

  /** A recorded body with our ids; commands that slept until they were done wait for a gate. */
  #rewritten(value: unknown, stream?: Stream): unknown {
    if (typeof value === 'string') {
      const now = this.#uuids.get(value) ?? this.names.now(value);
      return this.#rewriting.reduce((text, [was, is]) => text.replaceAll(was, is), now);
    }
    if (Array.isArray(value)) return value.map((one) => this.#rewritten(one, stream));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]): [string, unknown] => {
        if (key === 'offer_ids' && stream) return [key, this.#offers(one, stream)];
        if (key === 'task_infos') {
          return [key, this.#rewritten((one as Event[]).map((info) => this.#gated(info)))];
        }
        return [key, this.#rewritten(one, stream)];
      }),
    );
  }

  #gated(info: Event): Event {
    const id = info['task_id'].value as string;
    const ends = this.#entries.some(({ event }) => {
      const status = event?.['update']?.status;
      return status?.task_id.value === id && status.state === 'TASK_FINISHED';
    });
    const line = info['command']?.value as string | undefined;
    if (!ends || !line) return info;
    const gate = join(this.#directory, `${id}.gate`);
    const wait = `while [ ! -e '${gate}' ]; do sleep 0.02; done`;
    return { ...info, command: { ...info['command'], value: line.replace(/\bsleep \d+/, wait) } };
  }

  /** All that we hold of the agents whose offers were used: fragments come as the timing has it. */
  #offers(ids: unknown, stream: Stream): unknown {
    stream.sync(this.names);
    return (ids as readonly (Event | number)[]).flatMap((id): unknown[] => {
      if (typeof id === 'number') return [id];
      const recorded = id['value'] as string;
      const now = this.#used.get(recorded) ?? this.#use(recorded, stream);
      return now.map((value) => ({ value }));
    });
  }

  /** What we used up with an earlier fragment has to have come back. */
  async #awaitOffers(body: Entry['body'], stream: Stream): Promise<void> {
    const ids = (body?.accept ?? body?.decline)?.offer_ids as readonly Event[] | undefined;
    for (const { value: id } of ids ?? []) {
      const offer = stream.offered.get(id as string);
      if (!offer || this.#used.has(id as string)) continue;
      await stream.subscription.until(() => {
        stream.sync(this.names);
        return cpusOn(stream.held, offer.agent) > offer.cpus - LEAST_CPUS || undefined;
      });
    }
  }

  #use(recorded: string, stream: Stream): readonly string[] {
    const offer = stream.offered.get(recorded);
    if (!offer) return [recorded];
    const own = [...stream.held].filter(([, { agent }]) => agent === offer.agent);
    const ids = own.map(([id]) => id);
    for (const id of ids) stream.held.delete(id);
    for (const [id, { agent }] of stream.recorded) {
      if (agent === offer.agent) stream.recorded.delete(id);
    }
    this.#used.set(recorded, ids);
    return ids;
  }

  async #event(entry: Entry): Promise<void> {
    const event = entry.event!;
    const stream = this.stream(entry.who);
    const type = event['type'] as string;
    if (type === 'UPDATE') return this.#update(event['update'].status, stream);
    if (type === 'OFFERS') return this.#offered(event['offers'].offers, stream);
    if (type === 'RESCIND') return this.#rescinded(event, stream);
    const now = await stream.next(type);
    if (type === 'SUBSCRIBED') {
      this.names.add(event['subscribed'].framework_id.value, now['subscribed'].framework_id.value);
    }
    if (type === 'INVERSE_OFFERS') {
      const [was, is] = [event, now].map((one) => one['inverse_offers'].inverse_offers[0]);
      this.names.add(was.id.value, is.id.value);
    }
    assert.deepEqual(dataOf(now, this.names), dataOf(event, this.names));
  }

  async #offered(offers: readonly Event[], stream: Stream): Promise<void> {
    for (const offer of offers) {
      const agent = this.names.agent(offer);
      stream.recorded.set(offer['id'].value, heldOf(offer, agent));
      stream.offered.set(offer['id'].value, heldOf(offer, agent));
    }
    const agents = new Set(offers.map((offer) => this.names.agent(offer)));
    await stream.subscription.until(() => {
      stream.sync(this.names);
      const isThere = [...agents].every(
        (agent) => cpusOn(stream.held, agent) > cpusOn(stream.recorded, agent) - LEAST_CPUS,
      );
      return isThere || undefined;
    });
    const roles = (held: Iterable<Held>) => new Set([...held].map(({ role }) => role));
    const recorded = offers.map(({ id }) => stream.recorded.get(id.value)!);
    assert(roles(recorded).isSubsetOf(roles(stream.held.values())), 'offers are for other roles');
    for (const offer of offers) this.#compareWhole(offer, stream);
  }

  /** Offers of a whole agent are the same to the letter. */
  #compareWhole(recorded: Event, stream: Stream): void {
    const agent = this.names.agent(recorded);
    const own = [...stream.held].filter(([, held]) => held.agent === agent);
    const { cpus } = heldOf(recorded, agent);
    if (own.length !== 1 || own[0]![1].cpus !== cpus || cpus !== 4) return;
    const all = stream.subscription.events.flatMap((event) => event['offers']?.offers ?? []);
    const now = all.find((offer: Event) => offer['id'].value === own[0]![0]) as Event;
    const { role } = own[0]![1];
    assert.deepEqual(normalOffer(now, this.names, role), normalOffer(recorded, this.names, role));
  }

  async #rescinded(event: Event, stream: Stream): Promise<void> {
    const id = event['rescind'].offer_id.value as string;
    const { agent } = stream.offered.get(id)!;
    stream.recorded.delete(id);
    await stream.subscription.until(() => {
      stream.sync(this.names);
      return stream.rescinded.includes(agent) || undefined;
    });
    stream.rescinded.splice(stream.rescinded.indexOf(agent), 1);
  }

  async #update(recorded: Event, stream: Stream): Promise<void> {
    const id = recorded['task_id'].value as string;
    if (recorded['state'] === 'TASK_FINISHED') this.openGate(id);
    const again = this.#uuids.get(recorded['uuid'] as string);
    const now = await stream.subscription.until(() => {
      const fresh = stream.subscription.statuses(id).filter((one) => !stream.consumed.has(one));
      if (again) return fresh.find(({ uuid }) => uuid === again);
      const known = new Set(this.#uuids.values());
      return fresh.find(({ uuid }) => uuid === undefined || !known.has(uuid as string));
    });
    stream.consumed.add(now);
    if (recorded['uuid']) this.#uuids.set(recorded['uuid'] as string, now['uuid'] as string);
    const isLoose = this.#scenario.looseMessages?.includes(id) ?? false;
    assert.deepEqual(
      comparable(now, this.names, isLoose),
      comparable(recorded, this.names, isLoose),
    );
  }

  /** Updates that no line of the recording has, but for repeated ones. */
  #surplus(): Event[] {
    const known = new Set(this.#uuids.values());
    return [...this.#streams.values()].flatMap(({ subscription, consumed }) =>
      subscription.events.flatMap((event) => {
        const status = event['update']?.status as Event | undefined;
        return !status || consumed.has(status) || known.has(status['uuid']) ? [] : [status];
      }),
    );
  }
}

/** Says at which line a replay hangs, before the test's own timeout does without. */
async function inTime(playing: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('what it waits for does not come')), 15_000);
  });
  await Promise.race([playing, late]).finally(() => clearTimeout(timer));
}

const isLate = (request: Entry, response: Entry): boolean =>
  request.body?.type === 'ACKNOWLEDGE' && response.status !== 202;
