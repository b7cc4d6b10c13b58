/**
 * What an agent knows of an attempt, by its own API. Sources: the operator API's documentation (READ_FILE,
 * GET_CONTAINERS) and sandbox.md of Apache Mesos; shapes as recorded from a 1.12 agent.
 */
import type { AttemptId, Usage } from '../../core/model.ts';
import { Recent } from '../../core/recent.ts';
import { wholeCharacters } from '../../text.ts';
import type { LogText } from '../engine.ts';

export interface SandboxFile {
  /**
   * Asks the agent: a call of its v1 API, or what is read by GET. Resolves with what the JSON says; rejects with an
   * error that has the `status` of a refusal.
   */
  ask(
    request:
      | { readonly type: string; readonly [field: string]: unknown }
      | { readonly path: string },
  ): Promise<unknown>;
  readonly frameworkId: string;
  readonly agentId: string;
  readonly attemptId: AttemptId;
  /** What its programs say, or what the runner itself does. */
  readonly file: 'attempt.out' | 'attempt.err' | 'stdout' | 'stderr';
  /** Of a byte; beyond the end, the file has begun anew and is read from its start. */
  readonly offset: number;
  /** Bytes, at least 4; an agent gives 16 pages of memory (64 KiB on most) at most. */
  readonly limit: number;
}

/** Directories of sandboxes. To find one, an agent has to be asked for all that it knows. */
const directories = new Recent<string, string>(10_000);

/**
 * Reads a part of a file in an attempt's sandbox, while it runs and for as long as the agent keeps it after that
 * (`--gc_delay`). Only whole characters.
 *
 * @returns undefined where there is no such file, or no sandbox any more
 */
export async function readSandbox(file: SandboxFile): Promise<LogText | undefined> {
  const key = `${file.agentId}/${file.frameworkId}/${file.attemptId}`;
  const directory = directories.get(key) ?? (await findSandbox(file));
  if (directory === undefined) return undefined;
  directories.set(key, directory);
  const path = `${directory}/${file.file}`;
  const { offset } = file;
  const part = await readPart(file, path, offset);
  if (!part || offset <= part.size) return part && textOf(part.bytes, offset);
  const anew = await readPart(file, path, 0);
  return anew && textOf(anew.bytes, 0);
}

function textOf(bytes: Buffer, offset: number): LogText {
  const length = wholeCharacters(bytes);
  return { text: bytes.toString('utf8', 0, length), next: offset + length };
}

async function readPart({ ask, limit }: SandboxFile, path: string, offset: number) {
  const call = { type: 'READ_FILE', read_file: { path, offset, length: limit } };
  const answer = await orGone(ask(call));
  if (answer === undefined) return undefined;
  const { size, data = '' } = objectOf(objectOf(answer)['read_file']);
  if (typeof size !== 'number' || typeof data !== 'string') {
    throw new Error('the agent answers a READ_FILE with something else');
  }
  return { size, bytes: Buffer.from(data, 'base64').subarray(0, limit) };
}

/** The v1 API does not tell the directory. A command executor's id is its task's. */
async function findSandbox({ ask, frameworkId, attemptId }: SandboxFile) {
  const state = await orGone(ask({ path: '/slave(1)/state' }));
  const { directory } =
    listOf(state, 'frameworks', 'completed_frameworks')
      .filter(({ id }) => id === frameworkId)
      .flatMap((framework) => listOf(framework, 'executors', 'completed_executors'))
      .find(({ id }) => id === attemptId) ?? {};
  return typeof directory === 'string' ? directory : undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** Whatever an agent says is taken as what it should be, as far as it is that. */
const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? (value as Json) : {};

const listOf = (holder: unknown, ...names: readonly string[]): Json[] =>
  names.flatMap((name) => {
    const list = objectOf(holder)[name];
    return Array.isArray(list) ? list.map(objectOf) : [];
  });

async function orGone(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * What an attempt has used until now, its executor included. The memory is what it uses now, so the peak is at least
 * that. How long it has run, an agent does not say.
 *
 * @param answer to GET_CONTAINERS
 */
export function usageOf(answer: unknown, attemptId: AttemptId): Omit<Usage, 'wallMs'> | undefined {
  const { get_containers: got } = objectOf(answer);
  const container = listOf(got, 'containers').find(
    ({ executor_id: id }) => objectOf(id)['value'] === attemptId,
  );
  // `ResourceStatistics` in mesos.proto.
  const used = objectOf(container?.['resource_statistics']);
  const { cpus_user_time_secs: user, cpus_system_time_secs: system, mem_rss_bytes: rss } = used;
  const hasCpu = isFigure(user) && isFigure(system);
  const hasMemory = isFigure(rss);
  if (!hasCpu && !hasMemory) return undefined;
  return {
    ...(hasCpu && { cpuUserMs: Math.round(1000 * user), cpuSystemMs: Math.round(1000 * system) }),
    ...(hasMemory && { peakMemoryBytes: rss }),
    sources: {
      ...(hasCpu && { cpu: 'mesos-agent' }),
      ...(hasMemory && { memory: 'mesos-agent' }),
    },
  };
}

const isFigure = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;
