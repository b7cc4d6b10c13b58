import { expect, test } from 'vitest';

import type { StorageAccess } from './storage.ts';
import { openStorages } from './storages.ts';

const access: StorageAccess = { type: 'webhdfs', name: 'calvalus', urls: ['http://127.0.0.1:1'] };

test('a location finds its storage', () => {
  const storages = openStorages([access]);
  expect(storages.of('/a/b')).toBe(storages.of('/'));
  expect(storages.of('hdfs://calvalus/a')).toBe(storages.of('HDFS://calvalus'));
  expect(storages.of('hdfs://calvalus/a')).not.toBe(storages.of('/a'));
});

test.each(['hdfs://other/a', 's3://calvalus/a', 'https://example.org/a'])(
  '%s is on none of the storages, and it is said which there are',
  (location) => {
    const storages = openStorages([access]);
    expect(() => storages.of(location)).toThrow(
      `${location} is on none of the configured storages (hdfs://calvalus/).`,
    );
    expect(() => openStorages([]).of(location)).toThrow('(there are none)');
  },
);

test('a storage is connected to when it is used', async () => {
  const storage = openStorages([access]).of('hdfs://calvalus/a');
  await expect(storage.stat('hdfs://calvalus/a')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(
      /^Cannot look at hdfs:\/\/calvalus\/a: 127\.0\.0\.1:1 .*ECONNREFUSED/,
    ),
  });
  await expect(storage.list('/a')[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'INVALID_PARAMETER',
  });
});
