import { isMainThread } from 'node:worker_threads';

import { startPortably } from './portable.ts';
import type { StartProcess } from './process.ts';

/** Signals, by which it is told of ends, reach the main thread only. */
const native =
  process.platform === 'linux' && isMainThread
    ? await import('./native.ts').catch(() => undefined)
    : undefined;

/**
 * Starts a process.
 *
 * Node's own way copies the page tables of the whole program for each start, which takes longer than a small processor
 * runs, and does not tell what a single child has used. It stands in where the native way cannot be loaded.
 */
export const startProcess: StartProcess = native?.startNatively ?? startPortably;
