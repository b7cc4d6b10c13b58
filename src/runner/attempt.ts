import { mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import type { AttemptResult, Failure, FailureKind, OutputFile } from '../core/model.ts';
import { messageOf } from '../errors.ts';
import type { Assignment } from './assignment.ts';
import { createLog } from './log.ts';
import { createMeasure } from './measure.ts';
import { parametersText } from './parameters.ts';
import { runProgram } from './program.ts';
import type { ProgramEnd } from './program.ts';
import { OutputError, collectOutputs, commitOutputs, committedOutputs } from './result.ts';
import { unpackBundle } from './unpack.ts';

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
  readonly onSpawn: (group: number) => void;
  readonly signal: AbortSignal;
}

const PARAMETERS_FILE = 'parameters';

/**
 * Makes one attempt on this node: unpacks the bundle if need be, runs prepare, the processor and finalize in a fresh
 * directory, and commits the outputs. Never rejects: whatever happens is the attempt's end.
 */
export async function runAttempt(options: AttemptOptions): Promise<AttemptEnd> {
  const { assignment } = options;
  const { scratch } = assignment.directories;
  const startedAt = Date.now();
  const measure = createMeasure();
  const end = (to: AttemptEnd['to'], result: AttemptResult): AttemptEnd => ({
    to,
    result: { startedAt, usage: measure.usage(), ...result },
  });
  try {
    const outputs = await attempt(options, measure.look);
    return end('finished', { exitCode: 0, outputs });
  } catch (error) {
    if (error instanceof AttemptAborted) return end('killed', {});
    if (error instanceof AttemptFailed) {
      const { exitCode, signal } = error.program ?? {};
      return end('failed', {
        ...(exitCode !== undefined && { exitCode }),
        ...(signal !== undefined && { signal }),
        failure: error.failure,
      });
    }
    return end('failed', { failure: unexpected(assignment, error) });
  } finally {
    await rm(scratch, { recursive: true, force: true }).catch(() => undefined);
  }
}

function unexpected({ executables }: Assignment, error: unknown): Failure {
  if (error instanceof OutputError) {
    return { kind: 'output', message: `${executables.main} ${error.message}` };
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return { kind: 'disk', message: `no space is left on the node's disk: ${messageOf(error)}` };
  }
  return { kind: 'engine', message: messageOf(error) };
}

async function attempt(
  options: AttemptOptions,
  look: (pid: number) => number,
): Promise<readonly OutputFile[]> {
  const { assignment } = options;
  const { scratch, result } = assignment.directories;
  // An attempt whose success never reached the scheduler has done the work already.
  const winner = await committedOutputs(result);
  if (winner) return winner;
  const bundle = await unpackBundle(
    assignment.bundle.archive,
    assignment.bundle.hash,
    assignment.directories.cache,
  ).catch((error: unknown) => {
    const { name, version } = assignment.bundle;
    throw new AttemptFailed('deployment', `bundle ${name}-${version}: ${messageOf(error)}`);
  });
  await mkdir(scratch, { recursive: true });
  await writeFile(join(scratch, PARAMETERS_FILE), parametersText(assignment.parameters));
  const logs = await openLogs(assignment.directories.log);
  const run = (file: string, ...args: string[]) =>
    program(options, look, logs, { file: join(bundle, file), args });
  try {
    return await runSteps(assignment, run);
  } finally {
    logs.out.close();
    logs.err.close();
  }
}

type Run = (file: string, ...args: string[]) => Promise<ProgramEnd>;

async function runSteps(assignment: Assignment, run: Run): Promise<readonly OutputFile[]> {
  const { executables, directories } = assignment;
  const { scratch, result } = directories;
  const collected = join(scratch, '.collected');
  await mkdir(collected);
  const prepared = executables.prepare
    ? (await run(executables.prepare, assignment.input, collected)).announced
    : undefined;
  if (prepared?.skip) return [];
  const input = prepared?.input ?? (await linkInput(assignment));
  const { announced } = await run(executables.main, input, PARAMETERS_FILE);
  if (announced.outputs.length === 0) return [];
  if (!executables.finalize) {
    const { outputs } = announced;
    const { checksum } = assignment;
    const files = await collectOutputs({
      directory: scratch,
      into: collected,
      announced: outputs,
      checksum,
    });
    return commitOutputs(collected, result, files);
  }
  const names = announced.outputs.map(({ path }) => path);
  await run(executables.finalize, ...names, collected);
  const finalized = (await readdir(collected))
    .toSorted()
    .map((name) => ({ path: join(collected, name) }));
  const into = join(scratch, '.finalized');
  const { checksum } = assignment;
  const files = await collectOutputs({ directory: scratch, into, announced: finalized, checksum });
  return commitOutputs(into, result, files);
}

/** The input appears in the working directory under its own name, without being copied. */
async function linkInput({ input, directories }: Assignment): Promise<string> {
  await stat(input).catch((error: unknown) => {
    throw new AttemptFailed('input', `the input ${input} cannot be read: ${messageOf(error)}`);
  });
  const name = basename(input);
  await symlink(input, join(directories.scratch, name));
  return name;
}

async function openLogs(prefix: string) {
  await mkdir(dirname(prefix), { recursive: true });
  return { out: createLog(`${prefix}.out`), err: createLog(`${prefix}.err`) };
}

async function program(
  { assignment, onSpawn, signal }: AttemptOptions,
  look: (pid: number) => number,
  logs: Awaited<ReturnType<typeof openLogs>>,
  { file, args }: { file: string; args: readonly string[] },
): Promise<ProgramEnd> {
  const end = await runProgram({
    file,
    arguments: args,
    directory: assignment.directories.scratch,
    assignment,
    look,
    log: { out: logs.out.write, err: logs.err.write },
    onSpawn,
    signal,
  });
  const name = basename(file);
  if (end.ended === 'aborted') throw new AttemptAborted();
  if (end.ended) throw new AttemptFailed(end.ended.kind, `${name} ${end.ended.message}`, end);
  if (end.exitCode === 0) return end;
  const how =
    end.signal !== undefined
      ? `was ended by ${end.signal}`
      : end.exitCode === undefined
        ? 'could not be started'
        : `failed with exit code ${end.exitCode}`;
  const words = end.lastWords === '' ? '' : `: ${end.lastWords}`;
  throw new AttemptFailed('processor', `${name} ${how}${words}`, end);
}
