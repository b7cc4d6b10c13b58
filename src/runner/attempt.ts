import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { classify } from '../core/failures.ts';
import type { AttemptResult, Failure, OutputFile } from '../core/model.ts';
import type { Storage } from '../storage/storage.ts';
import type { Assignment } from './assignment.ts';
import { AttemptFailed, failureOf, notStored } from './failure.ts';
import type { InputOptions } from './inputs.ts';
import { createLimits } from './limits.ts';
import { createLog } from './log.ts';
import { createMeasure } from './measure.ts';
import type { Measure } from './measure.ts';
import { parametersText } from './parameters.ts';
import { runProgram } from './program.ts';
import type { ProgramEnd } from './program.ts';
import { OutputError, collectOutputs, commitOutputs, committedOutputs } from './result.ts';
import { makeScratch, removeScratch } from './scratch.ts';
import { storageOfResult, storagesOf } from './storages.ts';

export interface AttemptEnd {
  readonly to: 'finished' | 'failed' | 'killed';
  readonly result: AttemptResult;
}

class AttemptAborted extends Error {}

export interface AttemptOptions {
  readonly assignment: Assignment;
  /** Told the process group of each program that is started. */
  readonly onSpawn?: (group: number) => void;
  /** Told the end as soon as it is known: what the attempt leaves is removed after it. */
  readonly onEnd?: (end: AttemptEnd) => void;
  readonly signal: AbortSignal;
  /** After a failure an abort may come so many milliseconds late: programs that are ended with us may end first. */
  readonly settleMs?: number;
  /** What an abort gives a program between asking it to end and ending it, where the engine gives us no more. */
  readonly abortGraceMs?: number;
}

type Run = (file: string, ...args: string[]) => Promise<ProgramEnd>;

/**
 * Makes one attempt on this node: unpacks the bundle if need be, runs prepare, the processor and finalize in a fresh
 * directory, and commits the outputs. Never rejects: whatever happens is the attempt's end.
 *
 * Small steps on the file system are synchronous: waiting for a thread takes longer than they do. What can take long
 * is not, because other attempts are made meanwhile.
 */
export async function runAttempt(options: AttemptOptions): Promise<AttemptEnd> {
  const { scratch, collected } = options.assignment.directories;
  const end = await endOf(options);
  options.onEnd?.(end);
  // Where that fails, it goes with the job's other files.
  await removeScratch(scratch).catch(() => undefined);
  if (collected !== undefined) await removeScratch(collected).catch(() => undefined);
  return end;
}

async function endOf(options: AttemptOptions): Promise<AttemptEnd> {
  const { assignment } = options;
  const startedAt = Date.now();
  const measure = createMeasure();
  const end = (to: AttemptEnd['to'], result: AttemptResult): AttemptEnd => ({
    to,
    result: { startedAt, usage: measure.usage(), ...result },
  });
  try {
    const outputs = await attempt(options, measure);
    return end('finished', { exitCode: 0, outputs });
  } catch (error) {
    if (options.settleMs !== undefined) await pause(options.settleMs);
    // Whatever fails while an attempt is being ended, as the copying of its outputs does.
    if (error instanceof AttemptAborted || options.signal.aborted) return end('killed', {});
    if (!(error instanceof AttemptFailed)) {
      return end('failed', { failure: unexpected(assignment, error) });
    }
    const { exitCode, signal } = error.program ?? {};
    return end('failed', {
      ...(exitCode !== undefined && { exitCode }),
      ...(signal !== undefined && { signal }),
      failure: error.failure,
    });
  }
}

const unexpected = ({ executables }: Assignment, error: unknown): Failure =>
  error instanceof OutputError
    ? { kind: 'processor', message: `${executables.main} ${error.message}` }
    : failureOf(error);

async function attempt(options: AttemptOptions, measure: Measure): Promise<readonly OutputFile[]> {
  const { assignment, signal } = options;
  const { scratch, result, log } = assignment.directories;
  const storages = await storagesOf(assignment);
  const target = storageOfResult(storages, result);
  // An attempt whose success never reached the scheduler has done the work already.
  const winner = target ? await askStorage(target, result, signal) : committedOutputs(result);
  if (winner) return winner;
  if (assignment.image !== undefined) {
    const message = `the bundle wants to run in the container image ${assignment.image}, which the local engine cannot do: give it an engine that can`;
    throw new AttemptFailed('processor', message);
  }
  const bundle = await bundleOf(assignment);
  await makeScratch(scratch);
  const limits = createLimits(assignment.limits, () => performance.now());
  const logs = { out: createLog(`${log}.out`), err: createLog(`${log}.err`) };
  const run: Run = async (file, ...args) => {
    if (signal.aborted) throw new AttemptAborted();
    const { onSpawn, abortGraceMs } = options;
    const program = await runProgram({
      file: join(bundle, file),
      arguments: args,
      directory: scratch,
      assignment,
      limits,
      measure,
      log: logs,
      onSpawn,
      abortGraceMs,
      signal,
    });
    check(file, program);
    return program;
  };
  try {
    const making = { assignment, storages, limits, measure, signal };
    const outputs = await runSteps(making, run);
    return outputs.length === 0 ? [] : await commit(making, target, outputs);
  } finally {
    logs.out.close();
    logs.err.close();
  }
}

/** Where the bundle is unpacked; that is done, and what does it loaded, by the first attempt on the node only. */
async function bundleOf({ bundle, directories: { cache } }: Assignment): Promise<string> {
  if (bundle.unpacked !== undefined) return bundle.unpacked;
  const unpacked = join(cache, bundle.hash);
  if (existsSync(unpacked)) return unpacked;
  try {
    const { unpackBundle } = await import('./unpack.ts');
    return await unpackBundle(bundle.archive, bundle.hash, cache);
  } catch (error) {
    const failure = failureOf(error);
    const kind = failure.kind === 'disk' ? 'disk' : 'engine';
    throw new AttemptFailed(kind, `bundle ${bundle.name}-${bundle.version}: ${failure.message}`);
  }
}

/** What the runner's own steps beside the programs work with. */
type Making = InputOptions & { readonly measure: Measure };

/** @returns what is to be committed, collected in the directory for that */
async function runSteps(making: Making, run: Run): Promise<readonly OutputFile[]> {
  const { assignment, signal } = making;
  const { executables, directories, checksum } = assignment;
  const { scratch } = directories;
  const { prepare, main, finalize } = executables;
  const parameters = writeParameters(assignment);
  /** What prepare and finalize know as the output directory. */
  const outputDirectory = join(scratch, '.outputs');
  if (prepare || finalize) mkdirSync(outputDirectory);
  const list = await bringListed(making);
  const named = list === undefined ? assignment.input : join(scratch, list);
  const prepared = prepare ? (await run(prepare, named, outputDirectory)).announced : undefined;
  if (prepared?.skip) return [];
  const input = prepared?.input ?? list ?? (await placeInput(making));
  let { outputs } = (await run(main, input, parameters)).announced;
  if (outputs.length === 0) return [];
  if (finalize) {
    await run(finalize, ...outputs.map(({ path }) => path), outputDirectory);
    outputs = readdirSync(outputDirectory)
      .toSorted()
      .map((name) => ({ path: join(outputDirectory, name) }));
  }
  const into = collectedIn(directories);
  return collectOutputs({ directory: scratch, into, announced: outputs, checksum, signal });
}

// What storages need is loaded where there are any: each task of a cluster pays for what its runner loads.

async function bringListed(making: Making): Promise<string | undefined> {
  if (making.storages.isNone) return undefined;
  const inputs = await import('./inputs.ts');
  return inputs.bringListed(making);
}

/**
 * The input appears in the working directory under its own name: as a link, without being copied, where the node has
 * it; from a storage it is brought there.
 *
 * @returns its name there
 */
async function placeInput(making: Making): Promise<string> {
  const { assignment, storages } = making;
  const storage = storages.of(assignment.input);
  if (!storage) return linkInput(assignment);
  const { bringInput } = await import('./inputs.ts');
  return bringInput(making, storage);
}

function linkInput({ input, directories }: Assignment): string {
  const name = basename(input);
  try {
    statSync(input);
    symlinkSync(input, join(directories.scratch, name));
  } catch (error) {
    const failure = failureOf(error);
    if (failure.kind === 'disk') throw error;
    throw new AttemptFailed('input', `the input ${input} cannot be used: ${failure.message}`);
  }
  return name;
}

const collectedIn = ({ scratch, collected }: Assignment['directories']): string =>
  collected ?? join(scratch, '.collected');

/** @returns those that are committed: its own, unless another attempt was first */
async function commit(
  { assignment, measure, signal }: Making,
  storage: Storage | undefined,
  outputs: readonly OutputFile[],
): Promise<readonly OutputFile[]> {
  const { attemptId: maker, directories } = assignment;
  const { result, collected } = directories;
  const from = collectedIn(directories);
  if (!storage) return commitOutputs(from, result, outputs, { flush: collected !== undefined });
  const open = ({ path }: OutputFile) => readChunks(join(from, path));
  const onStored = ({ size }: OutputFile) => measure.stored(size);
  try {
    const { storeOutputs } = await import('./stored-result.ts');
    return await storeOutputs({ storage, result, maker, outputs, open, onStored, signal });
  } catch (error) {
    throw notStored(result, error);
  }
}

/** Opened when it is first read, and closed however that ends. */
async function* readChunks(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: 1024 ** 2 });
}

async function askStorage(
  storage: Storage,
  result: string,
  signal: AbortSignal,
): Promise<readonly OutputFile[] | undefined> {
  try {
    const { storedOutputs } = await import('./stored-result.ts');
    return await storedOutputs(storage, result, signal);
  } catch (error) {
    throw notStored(result, error);
  }
}

/** @returns its name in the working directory: `parameters` unless the input is called so */
function writeParameters({ input, parameters, directories }: Assignment): string {
  const name = basename(input) === 'parameters' ? 'parameters.properties' : 'parameters';
  writeFileSync(join(directories.scratch, name), parametersText(parameters));
  return name;
}

/** @throws AttemptFailed unless the program ended well */
function check(file: string, program: ProgramEnd): void {
  const { ended, exitCode, signal, lastWords } = program;
  if (ended === 'aborted') throw new AttemptAborted();
  if (ended) throw new AttemptFailed(ended.kind, `${file} ${ended.message}`, program);
  if (exitCode === 0) return;
  const by = signal ?? signalOf(exitCode);
  const how = by === undefined ? `failed with exit code ${exitCode}` : `was ended by ${by}`;
  const words = lastWords === '' ? '' : `: ${lastWords}`;
  throw new AttemptFailed(classify(program), `${file} ${how}${words}`, program);
}

/** Shells and bubblewrap tell the signal that ended their program as 128 and its number. */
const signalOf = (exitCode = 0): string | undefined =>
  Object.entries(constants.signals).find(([, number]) => 128 + number === exitCode)?.[0];
