import type { Resources } from './model.ts';

/** Resources that are counted up and down. */
export interface Amount {
  cpus: number;
  memoryMb: number;
  gpus: number;
}

export const nothing = (): Amount => ({ cpus: 0, memoryMb: 0, gpus: 0 });

export function add(to: Amount, resources: Resources, times: number): void {
  to.cpus += times * resources.cpus;
  to.memoryMb += times * resources.memoryMb;
  if (resources.gpus) to.gpus += times * resources.gpus;
}

/** As all others see it: without a word of GPUs where there are none. */
export const asResources = ({ cpus, memoryMb, gpus }: Resources): Resources => ({
  cpus,
  memoryMb,
  ...(gpus && { gpus }),
});

/** `2 cpus and 2048 MB`, or `2 cpus, 2048 MB and 1 gpus`. */
export const amountText = ({ cpus, memoryMb, gpus = 0 }: Resources): string =>
  gpus === 0 ? `${cpus} cpus and ${memoryMb} MB` : `${cpus} cpus, ${memoryMb} MB and ${gpus} gpus`;
