import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  BadAnswer,
  isToken,
  parseBlocks,
  parseBoolean,
  parseChecksum,
  parseExpiry,
  parseListing,
  parseLocatedBlocks,
  parseStatus,
  parseToken,
  remoteException,
} from './parse.ts';

const status = {
  accessTime: 1795420900560,
  blockSize: 8388608,
  childrenNum: 0,
  fileId: 16397,
  group: 'root',
  length: 1,
  modificationTime: 1795420900974,
  owner: 'root',
  pathSuffix: 'a',
  permission: '644',
  replication: 1,
  storagePolicy: 0,
  type: 'FILE',
};
const batch = (remainingEntries: unknown, ...entries: unknown[]) => ({
  DirectoryListing: {
    partialListing: { FileStatuses: { FileStatus: entries } },
    remainingEntries,
  },
});
const parsers = {
  status: [parseStatus, { FileStatus: status }],
  listing: [parseListing, batch(3, status, { ...status, type: 'DIRECTORY' })],
  blocks: [
    parseBlocks,
    { BlockLocations: { BlockLocation: [{ length: 7, offset: 0, hosts: ['n1', 'n2'] }] } },
  ],
  located: [
    parseLocatedBlocks,
    {
      LocatedBlocks: {
        locatedBlocks: [{ block: { numBytes: 7 }, locations: [{ hostName: 'n1' }] }],
      },
    },
  ],
  boolean: [parseBoolean, { boolean: true }],
  checksum: [parseChecksum, { FileChecksum: { algorithm: 'MD5', bytes: '00ff', length: 2 } }],
  token: [parseToken, { Token: { urlString: 'JQAIaG9yc3Q-_0123456789' } }],
  expiry: [parseExpiry, { long: 1795420900974 }],
} as const satisfies Record<string, readonly [(text: string) => unknown, unknown]>;

test('answers of name nodes are understood', () => {
  const text = (value: unknown) => JSON.stringify(value);
  expect(parseStatus(text(parsers.status[1]))).toEqual({
    name: 'a',
    isDirectory: false,
    size: 1,
    modifiedAt: 1795420900974,
    fileId: 16397,
  });
  const listing = parseListing(text(parsers.listing[1]));
  expect(listing.isPart).toBe(true);
  expect(listing.entries[1]).toMatchObject({ isDirectory: true, size: 0 });
  expect(parseBlocks(text(parsers.blocks[1]))).toEqual([{ bytes: 7, hosts: ['n1', 'n2'] }]);
  expect(parseLocatedBlocks(text(parsers.located[1]))).toEqual([{ bytes: 7, hosts: ['n1'] }]);
  expect(parseBoolean('{"boolean":false}')).toBe(false);
  expect(parseChecksum(text(parsers.checksum[1]))).toEqual({ algorithm: 'MD5', bytes: '00ff' });
  expect(parseToken(text(parsers.token[1]))).toBe('JQAIaG9yc3Q-_0123456789');
  expect(parseExpiry('{"long":5}')).toBe(5);
});

test('a listing that promises more and shows nothing is at its end', () => {
  expect(parseListing(JSON.stringify(batch(9)))).toEqual({ entries: [], isPart: false });
  const whole = { FileStatuses: { FileStatus: [status] } };
  expect(parseListing(JSON.stringify(whole))).toMatchObject({ isPart: false });
});

test.each([
  ['a name that leads elsewhere', { ...status, pathSuffix: '../../etc' }],
  ['a length below nothing', { ...status, length: -1 }],
  ['a length that cannot be counted', { ...status, length: 2 ** 60 }],
  ['a length in words', { ...status, length: '1' }],
  ['no time', { ...status, modificationTime: undefined }],
  ['an unknown kind', { ...status, type: 'DOOR' }],
])('%s is refused', (_what, entry) => {
  expect(() => parseListing(JSON.stringify(batch(0, entry)))).toThrow(BadAnswer);
  expect(() => parseStatus(JSON.stringify({ FileStatus: entry }))).toThrow(BadAnswer);
});

test('of an exception the first line counts, without its stack', () => {
  const text = JSON.stringify({
    RemoteException: {
      exception: 'AccessControlException',
      javaClassName: 'org.apache.hadoop.security.AccessControlException',
      message: `Permission denied: user=eve\n\tat org.apache.hadoop.X(Y.java:1)`,
    },
  });
  expect(remoteException(text)).toEqual({
    exception: 'AccessControlException',
    words: 'Permission denied: user=eve',
  });
  expect(remoteException('<html>404</html>')).toBeUndefined();
  expect(remoteException('{"RemoteException":7}')).toBeUndefined();
});

test('what a token looks like is never told', () => {
  const text = JSON.stringify({ Token: { urlString: 'secret token with blanks' } });
  expect(() => parseToken(text)).toThrow(BadAnswer);
  expect(() => parseToken(text)).not.toThrow(/secret/);
  expect(() => parseToken('{"Token":null}')).toThrow('the cluster has no Kerberos');
  expect(isToken('a&op=DELETE')).toBe(false);
});

const odd = fc.constantFrom<unknown>(
  null,
  true,
  -1,
  1e308,
  0.5,
  '',
  '__proto__',
  'x'.repeat(1000),
  [],
  [[]],
  [null],
  {},
  undefined,
);

/** Replaces what the path of numbers leads to. */
function mutate(value: unknown, [step = 0, ...path]: readonly number[], by: unknown): unknown {
  if (typeof value !== 'object' || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[step % Math.max(1, keys.length)];
  if (key === undefined) return by;
  const inner = (value as Record<string, unknown>)[key];
  const changed = path.length === 0 ? by : mutate(inner, path, by);
  if (Array.isArray(value)) return value.with(Number(key), changed);
  return { ...value, [key]: changed };
}

test.each(Object.entries(parsers))(
  'garbage in place of %s is refused in words',
  (_, [parse, good]) => {
    const path = fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 7 });
    const mutated = fc
      .tuple(path, odd)
      .map(([steps, by]) => JSON.stringify(mutate(good, steps, by)));
    const cut = fc.nat({ max: 100 }).map((percent) => {
      const text = JSON.stringify(good);
      return text.slice(0, Math.floor((text.length * percent) / 100));
    });
    fc.assert(
      fc.property(fc.oneof(mutated, cut, fc.json(), fc.string()), (text) => {
        try {
          parse(text ?? '');
        } catch (error) {
          expect(error).toBeInstanceOf(BadAnswer);
          expect((error as Error).message.length).toBeLessThan(600);
        }
      }),
      { numRuns: 500 },
    );
  },
);
