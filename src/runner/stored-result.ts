import { basename } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

import type { OutputFile } from '../core/model.ts';
import { PushbroomError, messageOf } from '../errors.ts';
import { joinLocation } from '../storage/location.ts';
import { patiently } from '../storage/patience.ts';
import type { Storage } from '../storage/storage.ts';
import { TRANSFERS, inParallel, orAbort } from './in-parallel.ts';
import { MANIFEST } from './result.ts';

/** What is not removed by then goes with the job's other files. */
const REMOVAL_MS = 2_000;

/**
 * The outputs of the attempt that has won the task, if there is one.
 *
 * @param result URL of the storage
 * @throws PushbroomError as the storage's, when it has been away for minutes as well
 */
export async function storedOutputs(
  storage: Storage,
  result: string,
  signal?: AbortSignal,
): Promise<readonly OutputFile[] | undefined> {
  const manifest = joinLocation(result, MANIFEST);
  const content = await patiently(
    () =>
      storage
        .read(manifest, {}, signal)
        .then((stream) => text(stream))
        .catch(unlessMissing),
    { signal },
  );
  if (content === undefined) return undefined;
  try {
    return JSON.parse(content) as OutputFile[];
  } catch (error) {
    throw new PushbroomError('INTERNAL', `${manifest} is not JSON: ${messageOf(error)}`);
  }
}

export interface StoreOptions {
  readonly storage: Storage;
  /** URL of the task's result on that storage. */
  readonly result: string;
  /** Of the attempt, or of whoever else makes the result: nobody beside it makes this result under this name. */
  readonly maker: string;
  readonly outputs: readonly OutputFile[];
  /** The content of an output; asked for at each try. */
  open(output: OutputFile): AsyncIterable<Uint8Array>;
  /** Told of each output that has arrived. */
  onStored?(output: OutputFile): void;
  readonly signal: AbortSignal;
}

/**
 * Brings outputs to a storage, to a directory of their own beside the task's result, which becomes the result by one
 * atomic move. Where another attempt was first, its outputs stand and are returned. Whatever happens, a result is whole
 * or not there; while the storage is away, that is waited for some minutes.
 *
 * @throws PushbroomError as the storage's
 */
export async function storeOutputs(options: StoreOptions): Promise<readonly OutputFile[]> {
  const { storage, result, maker } = options;
  const partial = joinLocation(result, '..', `.${basename(result)}.${maker}`);
  try {
    const isOurs = await storeAndMove(options, partial);
    if (isOurs) return options.outputs;
    const winner = await storedOutputs(storage, result, options.signal);
    if (winner) return await removing(storage, partial).then(() => winner);
    const what = `${result} is there and has no ${MANIFEST}, or ${partial} has gone`;
    throw new PushbroomError('CONFLICT', `${what}: who else writes there?`);
  } catch (error) {
    await removing(storage, partial);
    throw error;
  }
}

/** @returns whether it has become the result; where it was not known whether an earlier try did, `false` even so */
async function storeAndMove(options: StoreOptions, partial: string): Promise<boolean> {
  const { storage, result, outputs, signal } = options;
  // An earlier try of the same attempt may have left something.
  await patiently(() => orAbort(signal, () => storage.remove(partial)), { signal });
  await inParallel(
    () => outputs,
    TRANSFERS,
    signal,
    async (output, either) => {
      const target = joinLocation(partial, output.path);
      await patiently(() => storage.write(target, () => wholeOf(options, output), either), {
        signal: either,
      });
      options.onStored?.(output);
    },
  );
  const manifest = Buffer.from(JSON.stringify(outputs));
  await patiently(() => storage.write(joinLocation(partial, MANIFEST), manifest, signal), {
    signal,
  });
  // An answer that was lost is asked for again, and what has been moved is no longer there.
  const isMoved = () => orAbort(signal, () => storage.move(partial, result).catch(unlessMissing));
  return (await patiently(isMoved, { signal })) ?? false;
}

/** What is said of an output is true of what is stored, or it is not stored. */
async function* wholeOf({ open }: StoreOptions, output: OutputFile): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of open(output)) {
    length += chunk.length;
    yield chunk;
  }
  if (length === output.size) return;
  const what = `the output ${output.path} had ${output.size} bytes when it was collected`;
  throw new PushbroomError('INTERNAL', `${what}, and ${length} when it was stored`);
}

const unlessMissing = (error: unknown): undefined => {
  if (error instanceof PushbroomError && error.code === 'NOT_FOUND') return undefined;
  throw error;
};

async function removing(storage: Storage, partial: string): Promise<void> {
  const removed = storage.remove(partial).catch(() => undefined);
  const tooLate = new AbortController();
  await Promise.race([removed, pause(REMOVAL_MS, undefined, { signal: tooLate.signal })]);
  tooLate.abort();
}
