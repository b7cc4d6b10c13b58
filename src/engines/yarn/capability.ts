import type { Resources } from '../../core/model.ts';
import type { Capability } from './protocol.ts';

export const NOTHING: Capability = { memoryMb: 0, vcores: 0 };

export const sum = (a: Capability, b: Capability): Capability => combine(a, b, (x, y) => x + y);

export const minus = (a: Capability, b: Capability): Capability => combine(a, b, (x, y) => x - y);

/** @param factor a whole number, or not: then of amounts and not of a container */
export const times = (capability: Capability, factor: number): Capability =>
  combine(capability, NOTHING, (x) => x * factor);

/** Part by part the smaller, or the larger. */
export const least = (a: Capability, b: Capability): Capability => combine(a, b, Math.min);
export const most = (a: Capability, b: Capability): Capability => combine(a, b, Math.max);

export const fits = (a: Capability, into: Capability): boolean =>
  a.memoryMb <= into.memoryMb && a.vcores <= into.vcores && (a.gpus ?? 0) <= (into.gpus ?? 0);

function combine(a: Capability, b: Capability, of: (x: number, y: number) => number): Capability {
  return {
    memoryMb: of(a.memoryMb, b.memoryMb),
    vcores: of(a.vcores, b.vcores),
    ...((a.gpus !== undefined || b.gpus !== undefined) && { gpus: of(a.gpus ?? 0, b.gpus ?? 0) }),
  };
}

/** The container that an attempt needs: YARN knows whole vcores only, and its runner needs memory too. */
export const containerOf = (
  { cpus, memoryMb, gpus = 0 }: Resources,
  runnerMemoryMb: number,
): Capability => ({
  memoryMb: Math.ceil(memoryMb + runnerMemoryMb),
  vcores: Math.max(1, Math.ceil(cpus)),
  ...(gpus > 0 && { gpus }),
});

/** A node's capacity in the words of the core. */
export const resourcesOf = ({ vcores, memoryMb, gpus = 0 }: Capability): Resources => ({
  cpus: vcores,
  memoryMb,
  ...(gpus > 0 && { gpus }),
});

export const capabilityText = ({ memoryMb, vcores, gpus = 0 }: Capability): string =>
  `${memoryMb} MB and ${vcores} vcores${gpus > 0 ? ` and ${gpus} GPUs` : ''}`;
