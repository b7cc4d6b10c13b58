import type { OfferId, Resources } from '../../core/model.ts';

/**
 * What a node has, in three parts: used by attempts (which nobody counts here), in offers, and spare. Nothing is ever
 * lost between them.
 *
 * @param idPrefix of the offers' ids, which are never used again
 */
export function createCapacity(total: Resources, idPrefix: string) {
  const offers = new Map<OfferId, Resources>();
  let spare = total;
  let count = 0;

  return {
    /** What runs already uses them, even where there is no longer so much. */
    use(resources: Resources): void {
      spare = minus(spare, resources);
    },
    /** Takes resources back without offering them. */
    keep(back: Resources): undefined {
      spare = sum([spare, back]);
    },
    /**
     * Takes resources back and makes an offer of all that is spare. Memory without a CPU, or the reverse, is of use
     * to nobody and stays spare.
     */
    offer(back: Resources): { readonly id: OfferId; readonly resources: Resources } | undefined {
      spare = sum([spare, back]);
      if (spare.cpus <= 0 || spare.memoryMb <= 0) return undefined;
      const id = `${idPrefix}-${(count += 1)}`;
      const resources = spare;
      spare = NONE;
      offers.set(id, resources);
      return { id, resources };
    },
    /** Ends offers; those that are gone hold nothing. */
    take(ids: readonly OfferId[]): Resources {
      const taken = sum(ids.map((id) => offers.get(id) ?? NONE));
      for (const id of ids) offers.delete(id);
      return taken;
    },
    /** Ends all offers. */
    withdraw(): void {
      spare = sum([spare, ...offers.values()]);
      offers.clear();
    },
  };
}

export const NONE: Resources = { cpus: 0, memoryMb: 0 };

export const sum = (parts: readonly Resources[]): Resources => ({
  cpus: exact(parts.reduce((total, { cpus }) => total + cpus, 0)),
  memoryMb: exact(parts.reduce((total, { memoryMb }) => total + memoryMb, 0)),
});

export const minus = (from: Resources, part: Resources): Resources => ({
  cpus: exact(from.cpus - part.cpus),
  memoryMb: exact(from.memoryMb - part.memoryMb),
});

/** To a millionth: tenths of a CPU, taken and given back ten times, are one CPU again. */
const exact = (amount: number): number => Math.round(amount * 1e6) / 1e6;
