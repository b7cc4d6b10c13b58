import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { CallError } from './connection.ts';
import { readSandbox, usageOf } from './sandbox.ts';
import type { SandboxFile } from './sandbox.ts';

type Request = Parameters<SandboxFile['ask']>[0];

interface Line {
  readonly n: number;
  readonly kind: string;
  readonly re?: number;
  readonly path?: string;
  readonly body?: { readonly type?: string; readonly [field: string]: unknown };
  readonly status?: number;
}

const RECORDING = join(import.meta.dirname, '../../../test/fixtures/mesos/13-operator-api.jsonl');
const lines = readFileSync(RECORDING, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Line);

const keyOf = (request: object) => JSON.stringify(request);

/** What the recorded agent has answered, which was asked after the master. */
const answers = new Map<string, { readonly status: number; readonly body: unknown }>();
for (const { n, kind, path, body } of lines) {
  if (kind !== 'request') continue;
  const { status, body: answer } = lines.find(({ re }) => re === n) ?? {};
  const request = body ?? { path };
  if (status !== undefined) answers.set(keyOf(request), { status, body: answer });
}

/** Asks the recorded agent; what was not recorded is a bug of the test. */
async function askRecorded(request: Request): Promise<unknown> {
  const answer = answers.get(keyOf(request));
  if (!answer) throw new Error(`not recorded: ${keyOf(request)}`);
  const { status, body } = answer;
  if (status === 200) return body;
  throw new CallError('refused', { status, isSent: true });
}

const recorded = {
  ask: askRecorded,
  frameworkId: 'd1459189-8b8a-4193-91fc-1cb4a7d266f6-0000',
  agentId: '285d786d-700e-43b1-82c6-ab5192495734-S0',
  attemptId: 'op-1',
  file: 'stdout',
  offset: 0,
  limit: 4096,
} as const satisfies SandboxFile;

let count = 0;
/** An agent with one sandbox, in which one file is. */
function createAgent(file: { content: Buffer; isThere?: boolean }) {
  const attemptId = `job.0.${(count += 1)}`;
  const asked: Request[] = [];
  const ask = async (request: Request): Promise<unknown> => {
    asked.push(request);
    if ('path' in request) {
      const executor = { id: attemptId, directory: '/work/run' };
      return { frameworks: [{ id: 'f', executors: [], completed_executors: [executor] }] };
    }
    const { path, offset, length } = request['read_file'] as Record<string, number | string>;
    if (file.isThere === false || path !== '/work/run/attempt.out') {
      throw new CallError('404', { status: 404, isSent: true });
    }
    const part = file.content.subarray(Number(offset), Number(offset) + Number(length));
    return { read_file: { size: file.content.length, data: part.toString('base64') } };
  };
  const read = (offset: number, limit = 100, name: SandboxFile['file'] = 'attempt.out') =>
    readSandbox({ ask, frameworkId: 'f', agentId: 'a', attemptId, file: name, offset, limit });
  return { read, asked };
}

describe("a file of a running task's sandbox", () => {
  test('is read as a real agent gives it', async () => {
    const text = 'line 1\nline 2\nline 3\nline 4\nline 5\n';
    expect(await readSandbox(recorded)).toEqual({ text, next: 35 });
  });

  test('is unknown where the agent does not know the task', async () => {
    expect(await readSandbox({ ...recorded, attemptId: 'op-2' })).toBeUndefined();
    expect(await readSandbox({ ...recorded, attemptId: 'mr-2' })).toBeUndefined();
  });

  test('is found again without asking for everything', async () => {
    const { read, asked } = createAgent({ content: Buffer.from('words') });
    await read(0);
    await read(0);
    expect(asked.filter((request) => 'path' in request)).toHaveLength(1);
    expect(asked).toHaveLength(3);
  });

  test('that is not there, or no longer, is none', async () => {
    const file = { content: Buffer.from('words'), isThere: true };
    const { read } = createAgent(file);
    expect(await read(0, 100, 'stderr')).toBeUndefined();
    expect(await read(0)).toEqual({ text: 'words', next: 5 });
    file.isThere = false;
    expect(await read(0)).toBeUndefined();
  });

  test('that has begun anew is read from its start', async () => {
    const { read } = createAgent({ content: Buffer.from('anew') });
    expect(await read(4)).toEqual({ text: '', next: 4 });
    expect(await read(8_000_000)).toEqual({ text: 'anew', next: 4 });
  });

  test('is read in pieces that are the whole, and no character is cut', async () => {
    const whole = fc.string({ unit: 'binary', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(whole, fc.integer({ min: 4, max: 16 }), async (text, limit) => {
        const { read } = createAgent({ content: Buffer.from(text) });
        let heard = '';
        for (let offset = 0; ;) {
          const piece = await read(offset, limit);
          if (!piece || piece.text === '') break;
          heard += piece.text;
          offset = piece.next;
        }
        expect(heard).toBe(text);
      }),
    );
  });

  test('that cannot be asked for now is an error', async () => {
    const ask = async () => {
      throw new CallError('no answer', { isSent: true });
    };
    await expect(readSandbox({ ...recorded, attemptId: 'new', ask })).rejects.toThrow('no answer');
  });

  test.each([
    null,
    'text',
    {},
    { read_file: {} },
    { read_file: { size: 'x' } },
    { frameworks: [] },
  ])('is not %j', async (garbage) => {
    const ask = async (request: Request) =>
      'path' in request ? answers.get(keyOf({ path: '/slave(1)/state' }))!.body : garbage;
    const reading = readSandbox({ ...recorded, agentId: 'garbage', ask });
    await expect(reading).rejects.toThrow('something else');
  });

  test.each([
    null,
    'text',
    {},
    [],
    { frameworks: [{}] },
    { frameworks: [{ id: 'f', executors: [{}] }] },
  ])('is unknown where the agent’s state is %j', async (state) => {
    const file = { ...recorded, frameworkId: 'f', attemptId: 'none', ask: async () => state };
    expect(await readSandbox(file)).toBeUndefined();
  });
});

describe('what an attempt uses', () => {
  const containers = answers.get(keyOf({ type: 'GET_CONTAINERS' }))!.body;

  test('is told by a real agent', () => {
    expect(usageOf(containers, 'op-1')).toEqual({
      cpuUserMs: 70,
      cpuSystemMs: 40,
      peakMemoryBytes: 135_491_584,
      sources: { cpu: 'mesos-agent', memory: 'mesos-agent' },
    });
  });

  test('is not told of what the agent does not run', () => {
    expect(usageOf(containers, 'op-2')).toBeUndefined();
    expect(usageOf({ type: 'GET_CONTAINERS', get_containers: {} }, 'op-1')).toBeUndefined();
  });

  test('is told as far as it is measured', () => {
    const answer = (statistics?: object) => ({
      get_containers: {
        containers: [{ executor_id: { value: 'a' }, resource_statistics: statistics }],
      },
    });
    expect(usageOf(answer(), 'a')).toBeUndefined();
    expect(usageOf(answer({ timestamp: 1 }), 'a')).toBeUndefined();
    expect(usageOf(answer({ mem_rss_bytes: 5 }), 'a')).toEqual({
      peakMemoryBytes: 5,
      sources: { memory: 'mesos-agent' },
    });
    const odd = { cpus_user_time_secs: 1, cpus_system_time_secs: -1, mem_rss_bytes: 'x' };
    expect(usageOf(answer(odd), 'a')).toBeUndefined();
  });

  test.each([
    undefined,
    null,
    1,
    'text',
    {},
    { get_containers: null },
    { get_containers: { containers: 'x' } },
    { get_containers: { containers: [null] } },
  ])('is not told by %j', (answer) => expect(usageOf(answer, 'a')).toBeUndefined());
});
