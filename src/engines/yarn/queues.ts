import type { QueueShare } from './answers.ts';
import { NOTHING, least, minus, most, sum, times } from './capability.ts';
import type { Capability } from './protocol.ts';

/** Of the cluster; where a queue may have so much, nodes are all that limits it. */
const WHOLE = 99.9;

/** How much of the cluster the queues of our jobs may use, beyond what is free on nodes. */
export class Queues {
  readonly #names: readonly string[];
  #found: readonly QueueShare[] = [];
  #maximum: Capability | undefined;
  /** What others use of it. */
  #others: Capability | undefined;

  /** @param names of all that jobs are run in; with or without the path to them */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /**
   * @param cluster all that it has
   * @param ours what of the queues' use is ours for certain, and what may be
   */
  learn(
    listed: readonly QueueShare[],
    cluster: Capability,
    ours: { readonly certain: Capability; readonly maybe: Capability },
  ): void {
    this.#found = listed.filter(({ path }) =>
      this.#names.some((name) => path === name || path.endsWith(`.${name}`)),
    );
    const percent = this.#found.reduce((all, { maximum }) => all + maximum, 0);
    if (this.#found.length === 0 || percent >= WHOLE) {
      this.#maximum = undefined;
      return;
    }
    this.#maximum = times(cluster, percent / 100);
    const used = this.#found.reduce((all, queue) => sum(all, queue.used), NOTHING);
    this.#others = othersOf(used, ours, this.#others);
  }

  /** What we may still ask for. @param ours what we have and have asked for */
  limit(ours: Capability): Capability | undefined {
    return this.#maximum && minus(minus(this.#maximum, this.#others ?? NOTHING), ours);
  }

  /** For an operator. */
  text(): string {
    return this.#found
      .map(({ path, percent, maximum, isRunning }) => {
        const stopped = isRunning ? '' : ' and is stopped';
        return `queue ${path} uses ${Math.round(percent)} % of at most ${Math.round(maximum)} %${stopped}`;
      })
      .join(', ');
  }
}

/**
 * What others use of something of which we know only what all use together. It is what it was, unless that cannot be:
 * our own comings and goings, which others hear of sooner or later than we do, are no news of others.
 */
export function othersOf(
  used: Capability,
  { certain, maybe }: { readonly certain: Capability; readonly maybe: Capability },
  before: Capability | undefined,
): Capability {
  const highest = most(minus(used, certain), NOTHING);
  const lowest = most(minus(highest, maybe), NOTHING);
  return before ? least(most(before, lowest), highest) : lowest;
}
