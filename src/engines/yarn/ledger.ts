import { Durations } from '../../core/durations.ts';
import type { JobId, Millis, NodeId, Resources } from '../../core/model.ts';
import { Recent } from '../../core/recent.ts';
import { NOTHING, sum, times } from './capability.ts';
import type { Capability } from './protocol.ts';

/** What one attempt has of the cluster, or has asked for. */
interface Entry {
  readonly job: JobId;
  readonly node: NodeId;
  /** As the core sees it; absent of one that an earlier service has launched. */
  readonly resources?: Resources;
  /** What was asked for, then what was given: YARN rounds up. */
  capability: Capability;
  allocatedAt?: Millis;
}

/** The ResourceManager may not have heard of an end for so many milliseconds, or say it only now. */
const SETTLED = 5_000;
/** Jobs whose attempts' durations are remembered. */
const KNOWN_JOBS = 1_000;
/** Of a place for attempts that take no time at all: how many get it within two heartbeats. */
const MOST_EXPECTED = 2;

/** What is ours of the cluster, node by node, as far as we have been told. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #byNode = new Map<NodeId, Set<Entry>>();
  #ended: { readonly node: NodeId; readonly at: Millis; readonly capability: Capability }[] = [];
  readonly #durations = new Recent<JobId, Durations>(KNOWN_JOBS);
  /** Of all that is out, by which it is known what the core's share costs in containers. */
  #out = { cpus: 0, memoryMb: 0, vcores: 0, containerMb: 0 };
  #memoryRate = 1;

  isBusy = (node: NodeId): boolean => (this.#byNode.get(node)?.size ?? 0) > 0;

  begin(id: string, entry: Omit<Entry, 'allocatedAt'>): void {
    this.#add(id, { ...entry });
  }

  /** Also one that was not known: an earlier service has asked for it. */
  allocate(id: string, node: NodeId, job: JobId, capability: Capability, at: Millis): void {
    const known = this.#entries.get(id);
    if (known?.allocatedAt !== undefined) return;
    if (known) this.#remove(id, known);
    const { resources } = known ?? {};
    this.#add(id, { job, node, capability, allocatedAt: at, ...(resources && { resources }) });
  }

  end(id: string, at: Millis): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#remove(id, entry);
    const { node, job, capability, allocatedAt } = entry;
    if (allocatedAt !== undefined) this.#durationsOf(job).add(at - allocatedAt);
    this.#ended.push({ node, at, capability });
  }

  /** All of a node, or of all nodes, that is ours or will be. */
  held(node?: NodeId): Capability {
    return total(node === undefined ? this.#entries.values() : (this.#byNode.get(node) ?? []));
  }

  /**
   * How much is ours of what the ResourceManager says to be used of a node, or of all.
   *
   * @param asked when it was asked
   * @returns what is certainly in it, and what may or may not be
   */
  share(
    asked: Millis,
    node?: NodeId,
  ): { readonly certain: Capability; readonly maybe: Capability } {
    const here =
      node === undefined ? [...this.#entries.values()] : [...(this.#byNode.get(node) ?? [])];
    const isCertain = ({ allocatedAt = Infinity }: Entry) => allocatedAt < asked;
    this.#ended = this.#ended.filter(({ at }) => at > asked - SETTLED);
    const ended = this.#ended.filter((one) => node === undefined || one.node === node);
    return {
      certain: total(here.filter(isCertain)),
      maybe: total([...here.filter((entry) => !isCertain(entry)), ...ended]),
    };
  }

  /** What of ours on a node probably ends within so many milliseconds, as far as durations are known. */
  ending(node: NodeId, withinMs: number): Capability {
    const running = Array.from(this.#byNode.get(node) ?? []).filter(
      ({ allocatedAt }) => allocatedAt !== undefined,
    );
    let expected = 0;
    for (const { job } of running) {
      const mean = this.#durations.get(job)?.mean;
      if (mean !== undefined) expected += Math.min(MOST_EXPECTED, withinMs / Math.max(mean, 1));
    }
    const count = Math.floor(expected);
    return count === 0 ? NOTHING : times(total(running), count / running.length);
  }

  /** What the core's CPU and its memory are of a container's, at present: at most all of it. */
  rate(): { readonly cpus: number; readonly memoryMb: number } {
    const { cpus, vcores, memoryMb, containerMb } = this.#out;
    if (containerMb > 0) this.#memoryRate = Math.min(1, memoryMb / containerMb);
    return { cpus: vcores > 0 ? Math.min(1, cpus / vcores) : 1, memoryMb: this.#memoryRate };
  }

  #add(id: string, entry: Entry): void {
    this.#entries.set(id, entry);
    const here = this.#byNode.get(entry.node);
    if (here) here.add(entry);
    else this.#byNode.set(entry.node, new Set([entry]));
    this.#count(entry, 1);
  }

  #remove(id: string, entry: Entry): void {
    this.#entries.delete(id);
    const here = this.#byNode.get(entry.node);
    here?.delete(entry);
    if (here?.size === 0) this.#byNode.delete(entry.node);
    this.#count(entry, -1);
  }

  #count({ resources, capability }: Entry, by: 1 | -1): void {
    if (!resources) return;
    const out = this.#out;
    out.cpus += by * resources.cpus;
    out.memoryMb += by * resources.memoryMb;
    out.vcores += by * capability.vcores;
    out.containerMb += by * capability.memoryMb;
  }

  #durationsOf(job: JobId): Durations {
    const known = this.#durations.get(job) ?? new Durations();
    this.#durations.set(job, known);
    return known;
  }
}

const total = (entries: Iterable<{ readonly capability: Capability }>): Capability =>
  Array.from(entries).reduce((all, { capability }) => sum(all, capability), NOTHING);
