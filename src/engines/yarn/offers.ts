import type { EngineId, Millis, NodeId, Offer, OfferId, Resources } from '../../core/model.ts';
import type { Emit } from '../engine.ts';
import type { ClusterNode } from './answers.ts';
import { NOTHING, least, minus, resourcesOf, sum } from './capability.ts';
import type { Ledger } from './ledger.ts';
import type { Nodes } from './nodes.ts';
import type { Capability } from './protocol.ts';
import { othersOf } from './queues.ts';
import type { Queues } from './queues.ts';

export interface OffersOptions {
  readonly engine: EngineId;
  readonly nodes: Nodes;
  readonly ledger: Ledger;
  /**
   * Milliseconds, about two heartbeats of a NodeManager: for what ends within them there is a request already, so that
   * the node is busy again with its next heartbeat.
   */
  readonly lookAhead: number;
  readonly queues: Queues;
  readonly now: () => Millis;
  readonly emit: Emit;
}

interface Given extends Offer {
  /** Since when a newer one of its node has taken its place. */
  replacedAt?: Millis;
}

/** Milliseconds for which an offer counts that was replaced: a launch with it may be under way. */
const REPLACED = 10_000;

/**
 * What is free on nodes, told as offers. YARN offers nothing by itself, but tells what it has given to whom; what is
 * free is what it has given to nobody and we have not asked for. Nothing is held by an offer: it is a guess, and a
 * launch that comes too late gets no container.
 */
export class Offers {
  readonly #options: OffersOptions;
  readonly #given = new Map<OfferId, Given>();
  readonly #current = new Map<NodeId, Given>();
  /** What others use. */
  readonly #others = new Map<NodeId, Capability>();
  readonly #series = Math.random().toString(36).slice(2, 8);
  #count = 0;
  #turn = 0;
  #isDue = false;
  #isOpen = false;

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  open(): void {
    this.#isOpen = true;
    this.touch();
  }

  /** Old offers are void. */
  close(): void {
    this.#isOpen = false;
    const offerIds = Array.from(this.#current.values(), ({ id }) => id);
    this.#current.clear();
    this.#given.clear();
    this.#others.clear();
    if (offerIds.length === 0) return;
    void this.#options.emit({ type: 'rescinded', engine: this.#options.engine, offerIds });
  }

  /** @param asked when the ResourceManager was asked for its nodes */
  learn(nodes: readonly ClusterNode[], asked: Millis): void {
    for (const { host, used } of nodes) {
      const ours = this.#options.ledger.share(asked, host);
      this.#others.set(host, othersOf(used, ours, this.#others.get(host)));
    }
    this.#turn += 1;
    this.touch();
  }

  /** Something has changed: what is offered is looked at soon, once for all that happens meanwhile. */
  touch(): void {
    if (this.#isDue || !this.#isOpen) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      if (this.#isOpen) this.#offer();
    });
  }

  /** Ends offers. @returns what they held that are not void */
  take(node: NodeId, ids: readonly OfferId[]): Resources {
    const taken = ids.flatMap((id) => this.#given.get(id) ?? []).filter((one) => one.node === node);
    for (const { id } of taken) {
      this.#given.delete(id);
      if (this.#current.get(node)?.id === id) this.#current.delete(node);
    }
    this.touch();
    // They are of the same room, one after the other, and not beside each other.
    return taken.reduce<Resources>(
      (all, { resources }) => ({
        cpus: Math.max(all.cpus, resources.cpus),
        memoryMb: Math.max(all.memoryMb, resources.memoryMb),
        gpus: Math.max(all.gpus ?? 0, resources.gpus ?? 0),
      }),
      { cpus: 0, memoryMb: 0 },
    );
  }

  /** What can still be asked for on a node. */
  room(node: NodeId): Capability {
    const known = this.#options.nodes.find(node);
    if (!known) return NOTHING;
    const { ledger, lookAhead } = this.#options;
    const others = this.#others.get(node) ?? NOTHING;
    const free = minus(minus(known.total, others), ledger.held(node));
    return lookAhead > 0 ? sum(free, ledger.ending(node, lookAhead)) : free;
  }

  #offer(): void {
    const { engine, emit } = this.#options;
    this.#forgetReplaced();
    const wanted = this.#wanted();
    const rescinded: OfferId[] = [];
    const offered: Offer[] = [];
    for (const [node, { id, resources }] of this.#current) {
      const now = wanted.get(node);
      if (now && isSame(now, resources)) wanted.delete(node);
      else {
        this.#current.delete(node);
        this.#given.get(id)!.replacedAt = this.#options.now();
        rescinded.push(id);
      }
    }
    for (const [node, resources] of wanted) {
      const id = `${engine}-${this.#series}-${(this.#count += 1)}`;
      const offer: Given = { id, engine, node, resources };
      this.#given.set(id, offer);
      this.#current.set(node, offer);
      offered.push({ id, engine, node, resources });
    }
    if (rescinded.length > 0) void emit({ type: 'rescinded', engine, offerIds: rescinded });
    if (offered.length > 0) void emit({ type: 'offered', offers: offered });
  }

  #forgetReplaced(): void {
    const before = this.#options.now() - REPLACED;
    for (const [id, { replacedAt = Infinity }] of this.#given) {
      if (replacedAt < before) this.#given.delete(id);
    }
  }

  /** Where queues let us have less than nodes have, some nodes are offered whole, others by the next look. */
  #wanted(): Map<NodeId, Resources> {
    const { nodes, ledger } = this.#options;
    const usable = nodes.usable();
    const rooms = usable.map(({ host }) => [host, this.room(host)] as const);
    const rate = ledger.rate();
    const wanted = new Map<NodeId, Resources>();
    let left = this.#limit(usable);
    const start = left && rooms.length > 0 ? this.#turn % rooms.length : 0;
    for (const [node, room] of [...rooms.slice(start), ...rooms.slice(0, start)]) {
      const share = left ? least(room, { ...left, gpus: room.gpus ?? 0 }) : room;
      const resources = resourcesOf({
        ...share,
        vcores: floored(share.vcores * rate.cpus, 1000),
        memoryMb: floored(share.memoryMb * rate.memoryMb, 1),
      });
      if (resources.cpus <= 0 || resources.memoryMb <= 0) continue;
      wanted.set(node, resources);
      if (left) left = minus(left, share);
    }
    return wanted;
  }

  #limit(usable: readonly ClusterNode[]): Capability | undefined {
    const { ledger, lookAhead, queues } = this.#options;
    const limit = queues.limit(ledger.held());
    if (!limit || lookAhead === 0) return limit;
    return usable.reduce((all, { host }) => sum(all, ledger.ending(host, lookAhead)), limit);
  }
}

/** Down to so many parts of one, but for what only rounding has taken. */
const floored = (value: number, parts: number): number => Math.floor(value * parts + 1e-6) / parts;

const isSame = (a: Resources, b: Resources): boolean =>
  a.cpus === b.cpus && a.memoryMb === b.memoryMb && (a.gpus ?? 0) === (b.gpus ?? 0);
