import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { createPosix } from '../storage/posix/posix.ts';
import { storeOutputs, storedOutputs } from './stored-result.ts';

test('an output that is not what was said of it is not stored', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'stored-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const storage = createPosix();
  const result = join(directory, 'results/1');
  const store = (size: number) =>
    storeOutputs({
      storage,
      result,
      maker: 'a',
      outputs: [{ path: 'a.tif', size }],
      async *open() {
        yield Buffer.from('abc');
      },
      signal: new AbortController().signal,
    });
  await expect(store(5)).rejects.toThrow(
    'the output a.tif had 5 bytes when it was collected, and 3 when it was stored',
  );
  expect(await readdir(join(directory, 'results'))).toEqual([]);
  expect(await storedOutputs(storage, result)).toBeUndefined();
  await store(3);
  expect(await storedOutputs(storage, result)).toEqual([{ path: 'a.tif', size: 3 }]);
});
