import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { away, createTestStorage, storagesWith } from '../../test/fixtures/storages.ts';
import type { TestStorage } from '../../test/fixtures/storages.ts';
import type { Period, Product } from '../core/model.ts';
import { periods } from '../core/periods.ts';
import { PushbroomError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { findProducts } from './find.ts';
import type { FindOptions } from './find.ts';

let directory: string;
let storage: TestStorage;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pushbroom-storages-'));
  for (const place of ['hdfs', 'mnt']) mkdirSync(join(directory, place));
  storage = createTestStorage(join(directory, 'hdfs'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Makes empty files below a directory of this test. */
function files(place: 'hdfs' | 'mnt', ...paths: string[]): void {
  for (const path of paths) {
    const file = join(directory, place, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
  }
}

const YARN = { id: 'yarn', directories: [] };

interface Request extends Partial<Omit<FindOptions, 'dataset' | 'query'>> {
  readonly dataset: Partial<Dataset>;
  readonly range?: Period;
}

function find({ dataset, range, ...options }: Request) {
  return findProducts({
    dataset: { name: 'scenes', productType: 'S2', patterns: ['.*'], ...dataset },
    query: { dataset: 'scenes', productType: 'S2', ...(range && { range }) },
    periods: range ? periods(range, '1') : [],
    storages: storagesWith(storage),
    engines: [{ id: 'local' }, YARN],
    pauses: [0, 0],
    ...options,
  });
}

const found = async (request: Request): Promise<Product[]> =>
  (await Array.fromAsync(find(request))).flat();
const paths = async (request: Request): Promise<string[]> =>
  (await found(request)).map(({ path }) => path);

const failure = async (request: Request): Promise<PushbroomError> => {
  const error = await found(request).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof PushbroomError) return error;
  throw new Error('no PushbroomError was thrown', { cause: error });
};

const range = { from: '2016-01-30', to: '2016-02-02' };

describe('on a storage', () => {
  const BY_DAY = { patterns: ['hdfs://test/eo/${yyyy}/${MM}/${dd}/.*[.]tif'] };

  test('products are found as in directories', async () => {
    files('hdfs', 'eo/2016/01/31/b.tif', 'eo/2016/01/31/a.tif', 'eo/2016/01/31/a.txt');
    files('hdfs', 'eo/2016/02/02/_a.tif', 'eo/2016/02/02/.b.tif', 'eo/2016/02/02/c.tif');
    files('hdfs', 'eo/2016/02/02/dir.tif/part', 'eo/2016/02/01', 'eo/2016/02/03/late.tif');
    expect(
      (await found({ dataset: BY_DAY, range })).map(({ path, firstPeriod }) => [path, firstPeriod]),
    ).toEqual([
      ['hdfs://test/eo/2016/01/31/a.tif', 1],
      ['hdfs://test/eo/2016/01/31/b.tif', 1],
      ['hdfs://test/eo/2016/02/02/c.tif', 3],
      ['hdfs://test/eo/2016/02/02/dir.tif', 3],
    ]);
  });

  test('only directories are looked into', async () => {
    files('hdfs', 'a/x', 'b/x', 'c', '_d/x');
    expect(await paths({ dataset: { patterns: ['hdfs://test/.*/x'] } })).toEqual([
      'hdfs://test/a/x',
      'hdfs://test/b/x',
    ]);
    expect(storage.asked.filter(({ deed }) => deed === 'list')).toHaveLength(3);
  });

  test('a missing year costs one look and not 365', async () => {
    files('hdfs', 'eo/2017/01/01/a.tif');
    const years = { from: '2015-01-01', to: '2017-01-01' };
    expect(await paths({ dataset: BY_DAY, range: years })).toHaveLength(1);
    expect(storage.asked.length).toBeLessThan(20);
  });

  test('it is the same order as in directories', async () => {
    const names = ['b', 'a', 'Z', 'ä', '\u{1f600}', '\uff5e', '10', '9'];
    for (const place of ['hdfs', 'mnt'] as const) files(place, ...names);
    const mounted = join(directory, 'mnt');
    expect(await paths({ dataset: { patterns: ['hdfs://test/.*'] } })).toEqual(
      (await paths({ dataset: { patterns: [`${mounted}/.*`] } })).map((path) =>
        path.replace(mounted, 'hdfs://test'),
      ),
    );
  });

  test('an archive that is not there is an error that names it', async () => {
    files('hdfs', 'file');
    for (const [pattern, reason] of [
      ['hdfs://test/gone/.*', 'hdfs://test/gone is not there'],
      ['hdfs://test/file/.*', 'hdfs://test/file is not a directory'],
    ] as const) {
      const error = await failure({ dataset: { patterns: [pattern] } });
      expect(error).toMatchObject({ code: 'INVALID_PARAMETER', locator: 'inputDataSetName' });
      expect(error.message).toContain(`dataset "scenes": ${reason}; mount`);
    }
  });

  test('what we may not read is an error at once', async () => {
    files('hdfs', 'a/x');
    storage.trouble = (deed, location) =>
      deed === 'list' && location.endsWith('/a')
        ? new PushbroomError('FORBIDDEN', 'Permission denied')
        : undefined;
    const error = await failure({ dataset: { patterns: ['hdfs://test/.*/x'] } });
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).toBe('dataset "scenes": cannot list hdfs://test/a: Permission denied');
    expect(storage.asked.filter(({ location }) => location.endsWith('/a'))).toHaveLength(1);
  });

  test('one that is away is asked again, and given up when it stays away', async () => {
    files('hdfs', 'a/x', 'b/x');
    const dataset = { patterns: ['hdfs://test/.*/x'] };
    const refused = new Set<string>();
    storage.trouble = (deed, location) => {
      const key = `${deed} ${location}`;
      if (deed === 'nodesOf' || refused.has(key)) return undefined;
      refused.add(key);
      return away(location);
    };
    expect(await paths({ dataset })).toHaveLength(2);
    expect(refused.size).toBeGreaterThan(3);
    storage.trouble = (_, location) => away(location);
    const error = await failure({ dataset });
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).toBe('dataset "scenes": hdfs://test is away');
    storage.trouble = (deed, location) => (deed === 'list' ? away(location) : undefined);
    expect((await failure({ dataset })).message).toContain('cannot list hdfs://test: ');
  });

  test('an aborted search ends with the reason, even while it waits', async () => {
    files('hdfs', 'a');
    const stop = new AbortController();
    storage.trouble = (_, location) => {
      stop.abort(new Error('dismissed'));
      return away(location);
    };
    await expect(
      found({ dataset: { patterns: ['hdfs://test/.*'] }, signal: stop.signal, pauses: [100_000] }),
    ).rejects.toThrow('dismissed');
  });
});

describe('nodes', () => {
  const dataset = { patterns: ['hdfs://test/.*'] };
  const names = Array.from({ length: 300 }, (_, index) => `p${String(index).padStart(3, '0')}`);

  test('are those of the products, in objects that are shared, beside what is said for all', async () => {
    files('hdfs', 'a', 'b', 'c');
    storage.nodesOf = async (location) => (location.endsWith('c') ? [] : ['n1', 'n2']);
    const location = { nodes: ['n2', 'n9'], pool: 'calvalus' };
    const products = await found({ dataset: { ...dataset, location } });
    expect(products.map((product) => product.location)).toEqual([
      { nodes: ['n1', 'n2', 'n9'], pools: ['calvalus'] },
      { nodes: ['n1', 'n2', 'n9'], pools: ['calvalus'] },
      { nodes: ['n2', 'n9'], pools: ['calvalus'] },
    ]);
    expect(products[0]!.location).toBe(products[1]!.location);
  });

  test('are the first few of many', async () => {
    files('hdfs', 'a');
    const all = Array.from({ length: 28 }, (_, index) => `n${index}`);
    storage.nodesOf = async () => all;
    const [product] = await found({ dataset });
    expect(product!.location!.nodes).toEqual(all.slice(0, 10));
  });

  test('are asked for many products at once, but not for all, and the order stays', async () => {
    files('hdfs', ...names);
    let atOnce = 0;
    let most = 0;
    storage.nodesOf = async (location) => {
      most = Math.max(most, (atOnce += 1));
      // Later ones answer earlier.
      for (let turn = Number(location.at(-1)); turn < 10; turn += 1) await Promise.resolve();
      atOnce -= 1;
      return [location];
    };
    const products = await found({ dataset });
    expect(products.map(({ path }) => path)).toEqual(names.map((name) => `hdfs://test/${name}`));
    expect(products.every(({ path, location }) => location!.nodes![0] === path)).toBe(true);
    expect(most).toBe(32);
  });

  test('of the next batch are asked for while one is taken, and no others', async () => {
    files('hdfs', ...names);
    const asked: string[] = [];
    storage.nodesOf = async (location) => {
      asked.push(location);
      return [];
    };
    const search = find({ dataset, batch: 10 });
    expect((await search.next()).value).toHaveLength(10);
    await expect.poll(() => asked.length).toBe(20);
    await search.return(undefined);
    expect(asked).toHaveLength(20);
  });

  test('that are not known are no failure, which is told once', async () => {
    files('hdfs', ...names);
    storage.nodesOf = async (location) => {
      throw new PushbroomError('NOT_FOUND', `${location} has gone`);
    };
    const told: string[] = [];
    const products = await found({ dataset, warn: (message) => told.push(message) });
    expect(products).toHaveLength(300);
    expect(products.every(({ location }) => location === undefined)).toBe(true);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(
      /^it is not known on which nodes hdfs:\/\/test\/p\d+ lies: .* has gone/,
    );
  });

  test('are not asked for on and on while the storage is away', async () => {
    files('hdfs', ...names);
    let asked = 0;
    storage.nodesOf = async (location) => {
      asked += 1;
      throw away(location);
    };
    expect(await found({ dataset })).toHaveLength(300);
    expect(asked).toBe(32);
  });
});

describe('a dataset under several roots', () => {
  const mounted = () => join(directory, 'mnt', 'eo');
  const dataset = (first: 'hdfs' | 'mnt' = 'hdfs'): Partial<Dataset> => {
    const roots = [
      { location: 'hdfs://test/eo', pool: 'calvalus' },
      { location: mounted(), pool: 'geofarm' },
    ];
    return {
      patterns: ['${yyyy}/${MM}/.*[.]tif'],
      roots: first === 'hdfs' ? roots : roots.toReversed(),
    };
  };
  const PRODUCTS = ['eo/2016/01/a.tif', 'eo/2016/02/b.tif'];
  const KEYS = PRODUCTS.map((path) => `hdfs://test/${path}`);
  beforeEach(() => {
    files('hdfs', ...PRODUCTS);
    files('mnt', ...PRODUCTS, 'eo/2016/02/c.tif');
  });

  test('is searched under the first, and near to all of them', async () => {
    storage.nodesOf = async () => ['n1'];
    const products = await found({ dataset: dataset(), range });
    expect(products.map(({ path }) => path)).toEqual(KEYS);
    expect(products[0]!.location).toEqual({ nodes: ['n1'], pools: ['calvalus', 'geofarm'] });
  });

  test('has the nodes of its blocks even where it was found elsewhere', async () => {
    const asked: string[] = [];
    storage.nodesOf = async (location) => {
      asked.push(location);
      return location.endsWith('c.tif') ? Promise.reject(away(location)) : ['n1'];
    };
    const products = await found({ dataset: dataset('mnt'), range });
    expect(products.map(({ path }) => path.slice(mounted().length))).toEqual([
      '/2016/01/a.tif',
      '/2016/02/b.tif',
      '/2016/02/c.tif',
    ]);
    expect(products.map(({ location }) => location!.nodes)).toEqual([['n1'], ['n1'], undefined]);
    expect(asked).toEqual([...KEYS, 'hdfs://test/eo/2016/02/c.tif']);
  });

  test('keeps the names of the first while that is away', async () => {
    storage.trouble = (_, location) => away(location);
    expect(await paths({ dataset: dataset(), range })).toEqual([
      ...KEYS,
      'hdfs://test/eo/2016/02/c.tif',
    ]);
    expect(
      storage.asked.filter(({ deed }) => deed !== 'nodesOf'),
      'asked once',
    ).toHaveLength(1);
  });

  test('goes on under the next where the first goes away in the midst of it', async () => {
    storage.trouble = (_, location) => (location.includes('/02') ? away(location) : undefined);
    expect(await paths({ dataset: dataset(), range })).toEqual([
      ...KEYS,
      'hdfs://test/eo/2016/02/c.tif',
    ]);
  });

  test('is searched where it is mounted', async () => {
    await rename(mounted(), `${mounted()}-away`);
    expect(await paths({ dataset: dataset('mnt'), range })).toEqual(
      PRODUCTS.map((path) => join(directory, 'mnt', path)),
    );
  });

  test('is an error where none of them is, and both are named', async () => {
    await rm(mounted(), { recursive: true });
    storage.trouble = (_, location) => away(location);
    const error = await failure({ dataset: dataset(), range });
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).toMatch(/^dataset "scenes": hdfs:\/\/test\/eo is away; .*mnt\/eo cannot/);
    storage.trouble = () => undefined;
    await rm(join(directory, 'hdfs', 'eo'), { recursive: true });
    expect((await failure({ dataset: dataset(), range })).code).toBe('INVALID_PARAMETER');
  });
});

describe('who can reach products', () => {
  beforeEach(() => {
    files('hdfs', 'a');
    files('mnt', 'a');
  });
  const enginesIn = async (patterns: string[], engines: FindOptions['engines']) =>
    (await found({ dataset: { patterns }, engines })).map(({ location }) => location?.engines);

  test('is said where not everybody can', async () => {
    const mounted = join(directory, 'mnt');
    const engines = [{ id: 'local' }, YARN];
    expect(await enginesIn([`${mounted}/.*`, 'hdfs://test/.*'], engines)).toEqual([
      ['local'],
      undefined,
    ]);
    const shared = [{ id: 'local' }, { id: 'yarn', directories: [directory] }];
    expect(await enginesIn([`${mounted}/.*`], shared)).toEqual([undefined]);
    expect(await enginesIn([`${mounted}/.*`], [{ id: 'local' }])).toEqual([undefined]);
  });
});
