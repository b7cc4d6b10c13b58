import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { storageContract } from '../contract.ts';
import { createPosix } from './posix.ts';

storageContract('posix', async () => {
  const root = await mkdtemp(join(tmpdir(), 'pushbroom-posix-'));
  return {
    storage: createPosix(),
    root,
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
});
