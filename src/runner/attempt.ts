import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { classify } from '../core/failures.ts';
import type { AttemptResult, Failure, FailureKind, OutputFile } from '../core/model.ts';
import type { Assignment } from './assignment.ts';
import { failureOf } from './failure.ts';
import { createLimits } from './limits.ts';
import { createLog } from './log.ts';
import { createMeasure } from './measure.ts';
import type { Measure } from './measure.ts';
import { parametersText } from './parameters.ts';
import { runProgram } from './program.ts';
import type { ProgramEnd } from './program.ts';
import { OutputError, collectOutputs, commitOutputs, committedOutputs } from './result.ts';
import { makeScratch, removeScratch } from './scratch.ts';

export interface AttemptEnd {
  readonly to: 'finished' | 'failed' | 'killed';
  readonly result: AttemptResult;
}

/** Ends an attempt early with a reason. */
class AttemptFailed extends Error {
  readonly failure: Failure;
  readonly program: ProgramEnd | undefined;
  constructor(kind: FailureKind, message: string, program?: ProgramEnd) {
    super(message);
    this.failure = { kind, message };
    this.program = program;
  }
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
  const { assignment, onSpawn, signal } = options;
  const { scratch, result, log } = assignment.directories;
  // An attempt whose success never reached the scheduler has done the work already.
  const winner = committedOutputs(result);
  if (winner) return winner;
  if (assignment.image !== undefined) {
    const message = `the bundle wants to run in the container image ${assignment.image}, which the local engine cannot do: give it an engine that can`;
    throw new AttemptFailed('processor', message);
  }
  const bundle = await bundleOf(assignment);
  await makeScratch(scratch);
  const limits = createLimits(assignment.limits, () => performance.now());
  const logs = { out: createLog(`${log}.out`), err: createLog(`${log}.err`) };
  try {
    return await runSteps(assignment, signal, async (file, ...args) => {
      if (signal.aborted) throw new AttemptAborted();
      const program = await runProgram({
        file: join(bundle, file),
        arguments: args,
        directory: scratch,
        assignment,
        limits,
        measure,
        log: logs,
        onSpawn,
        signal,
      });
      check(file, program);
      return program;
    });
  } finally {
    logs.out.close();
    logs.err.close();
  }
}

/** Where the bundle is unpacked; that is done, and what does it loaded, by the first attempt on the node only. */
async function bundleOf({ bundle, directories: { cache } }: Assignment): Promise<string> {
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

async function runSteps(
  assignment: Assignment,
  signal: AbortSignal,
  run: Run,
): Promise<readonly OutputFile[]> {
  const { executables, directories, checksum } = assignment;
  const { scratch, result, collected: into = join(scratch, '.collected') } = directories;
  const { prepare, main, finalize } = executables;
  const parameters = writeParameters(assignment);
  /** What prepare and finalize know as the output directory. */
  const outputDirectory = join(scratch, '.outputs');
  if (prepare || finalize) mkdirSync(outputDirectory);
  const prepared = prepare
    ? (await run(prepare, assignment.input, outputDirectory)).announced
    : undefined;
  if (prepared?.skip) return [];
  const input = prepared?.input ?? linkInput(assignment);
  let { outputs } = (await run(main, input, parameters)).announced;
  if (outputs.length === 0) return [];
  if (finalize) {
    await run(finalize, ...outputs.map(({ path }) => path), outputDirectory);
    outputs = readdirSync(outputDirectory)
      .toSorted()
      .map((name) => ({ path: join(outputDirectory, name) }));
  }
  const collected = { directory: scratch, into, announced: outputs, checksum, signal };
  const files = await collectOutputs(collected);
  return commitOutputs(into, result, files, { flush: directories.collected !== undefined });
}

/** @returns its name in the working directory: `parameters` unless the input is called so */
function writeParameters({ input, parameters, directories }: Assignment): string {
  const name = basename(input) === 'parameters' ? 'parameters.properties' : 'parameters';
  writeFileSync(join(directories.scratch, name), parametersText(parameters));
  return name;
}

/** The input appears in the working directory under its own name, without being copied. */
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
