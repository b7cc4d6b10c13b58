import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { aJob } from '../../test/fixtures/jobs.ts';
import { createStoredJobs } from '../../test/fixtures/stored-job.ts';
import type { StoredJobs } from '../../test/fixtures/stored-job.ts';
import type { Attempt } from '../core/model.ts';
import type { LogPart, LogText } from '../engines/engine.ts';
import { createLogReader } from './log.ts';

const job = aJob();
const id = `${job.id}.0.1`;

let jobs: StoredJobs;
let read: ReturnType<typeof createLogReader>;
let path: string;
beforeEach(async () => {
  jobs = await createStoredJobs();
  await jobs.finish(job, [{}]);
  read = createLogReader(jobs);
  path = jobs.layout.log(job.id, 0, 1);
  await mkdir(dirname(path), { recursive: true });
});
afterEach(() => jobs[Symbol.asyncDispose]());

test('an attempt that has said nothing has an empty log', async () => {
  expect(await read(id, 'out', 0, 100)).toEqual({ text: '', next: 0 });
});

test('each stream is read from where the last reading has ended', async () => {
  await writeFile(`${path}.out`, 'one\n');
  await writeFile(`${path}.err`, 'oops\n');
  expect(await read(id, 'out', 0, 100)).toEqual({ text: 'one\n', next: 4 });
  expect(await read(id, 'out', 4, 100)).toEqual({ text: '', next: 4 });
  await writeFile(`${path}.out`, 'two\n', { flag: 'a' });
  expect(await read(id, 'out', 4, 100)).toEqual({ text: 'two\n', next: 8 });
  expect(await read(id, 'err', 0, 100)).toEqual({ text: 'oops\n', next: 5 });
});

test('a log that has begun anew is read from its start', async () => {
  await writeFile(`${path}.out`, 'anew\n');
  expect(await read(id, 'out', 8_000_000, 100)).toEqual({ text: 'anew\n', next: 5 });
});

test('the pieces are the whole, and no character is cut', async () => {
  const whole = fc.string({ unit: 'binary', maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(whole, fc.integer({ min: 4, max: 16 }), async (text, limit) => {
      await writeFile(`${path}.out`, text);
      let heard = '';
      for (let offset = 0; ;) {
        const piece = await read(id, 'out', offset, limit);
        if (piece.text === '') break;
        expect(Buffer.byteLength(piece.text)).toBeLessThanOrEqual(limit);
        heard += piece.text;
        offset = piece.next;
      }
      expect(heard).toBe(text);
    }),
    { numRuns: 50 },
  );
});

test('bytes that are no text do not stop the reading', async () => {
  for (const bytes of [[0xff], [0xc3], [0x80, 0x80, 0x80, 0x80, 0x80], [0xf0, 0x9f, 0x41, 0xe2]]) {
    await writeFile(`${path}.out`, Buffer.from(bytes));
    let offset = 0;
    for (let turn = 0; turn < bytes.length; turn += 1) {
      offset = (await read(id, 'out', offset, 4)).next;
    }
    expect(offset).toBe(bytes.length);
  }
});

describe('what an attempt says that its engine has', () => {
  const asked: unknown[] = [];
  const remote = (answer: () => Promise<LogText | undefined>) => {
    asked.length = 0;
    const readRemote = (attempt: Attempt, part: LogPart) => {
      asked.push([attempt.id, attempt.jobId, part]);
      return answer();
    };
    return createLogReader({ ...jobs, readRemote });
  };

  test('is asked for while there is no file', async () => {
    const ask = remote(async () => ({ text: 'far', next: 13 }));
    expect(await ask(id, 'err', 10, 100)).toEqual({ text: 'far', next: 13 });
    expect(asked).toEqual([[id, job.id, { stream: 'err', offset: 10, limit: 100 }]]);
  });

  test('is not asked for where there is one', async () => {
    await writeFile(`${path}.out`, 'near');
    const ask = remote(async () => ({ text: 'far', next: 13 }));
    expect(await ask(id, 'out', 0, 100)).toEqual({ text: 'near', next: 4 });
    expect(asked).toEqual([]);
  });

  test('is empty where the engine has nothing', async () => {
    const ask = remote(async () => undefined);
    expect(await ask(id, 'out', 7, 100)).toEqual({ text: '', next: 7 });
  });

  test('cannot be told while its node is away', async () => {
    const ask = remote(() => Promise.reject(new Error('no route to host')));
    await expect(ask(id, 'out', 0, 100)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/cannot be read from node .+ now: no route to host$/),
    });
  });

  test('of an attempt that is none is not asked for', async () => {
    const ask = remote(async () => ({ text: 'far', next: 13 }));
    await expect(ask(`${job.id}.0.2`, 'out', 0, 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(asked).toEqual([]);
  });
});

test.each([
  'nonsense',
  `${job.id}.0.2`,
  `${job.id}.1.1`,
  'nobody.0.1',
  '../../../etc/passwd',
  `../${job.id}.0.1`,
])('%s is no attempt', async (attemptId) => {
  await expect(read(attemptId, 'out', 0, 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
