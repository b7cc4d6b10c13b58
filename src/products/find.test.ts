import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Period, Product } from '../core/model.ts';
import { days, periods } from '../core/periods.ts';
import { storagesWith } from '../../test/fixtures/storages.ts';
import { PushbroomError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { findProducts } from './find.ts';
import type { FindOptions } from './find.ts';

let archive: string;
beforeAll(() => {
  archive = mkdtempSync(join(tmpdir(), 'pushbroom-archive-'));
});
afterAll(() => rmSync(archive, { recursive: true }));

/** Makes empty files below a directory of their own and gives its path. */
function files(name: string, ...paths: string[]): string {
  const root = join(archive, name);
  mkdirSync(root);
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
  return root;
}

interface Request extends Partial<Omit<FindOptions, 'dataset' | 'query'>> {
  readonly patterns: readonly string[];
  readonly range?: Period;
  readonly regionName?: string;
  readonly dataset?: Partial<Dataset>;
}

function find({ patterns, range, regionName, dataset, ...options }: Request) {
  return findProducts({
    dataset: { name: 'scenes', productType: 'S2', patterns, ...dataset },
    query: {
      dataset: 'scenes',
      productType: 'S2',
      ...(range && { range }),
      ...(regionName !== undefined && { regionName }),
    },
    periods: range ? [range] : [],
    storages: storagesWith(),
    engines: [],
    ...options,
  });
}

async function found(request: Request): Promise<Product[]> {
  return (await Array.fromAsync(find(request))).flat();
}

/** Paths below the root. */
const pathsIn = async (root: string, request: Request): Promise<string[]> =>
  (await found(request)).map(({ path }) => path.slice(root.length + 1));

const failure = async (request: Request): Promise<PushbroomError> => {
  const error = await found(request).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof PushbroomError) return error;
  throw new Error('no PushbroomError was thrown', { cause: error });
};

test('products are found by day, in the order of days and names', async () => {
  const root = files(
    'by-day',
    '2005/12/31/b.N1',
    '2005/12/31/a.N1',
    '2006/01/01/a.N1',
    '2006/01/01/a.txt',
    '2006/01/02/a.N1',
  );
  const request = {
    patterns: [`${root}/\${yyyy}/\${MM}/\${dd}/.*.N1`],
    range: { from: '2005-12-30', to: '2006-01-01' },
  };
  expect(await pathsIn(root, request)).toEqual([
    '2005/12/31/a.N1',
    '2005/12/31/b.N1',
    '2006/01/01/a.N1',
  ]);
});

test('without days all products are found, for the one period that there is', async () => {
  const root = files('without-days', '2005/12/a.N1', '2006/01/b.N1', '2006/01/02/c.N1');
  expect(await found({ patterns: [`${root}/\${yyyy}/\${MM}/.*[.]N1`] })).toEqual([
    { path: `${root}/2005/12/a.N1`, firstPeriod: 0, lastPeriod: 0 },
    { path: `${root}/2006/01/b.N1`, firstPeriod: 0, lastPeriod: 0 },
  ]);
});

test('an expression matches whole names and never across directories', async () => {
  const root = files('whole-names', 'a.tif', 'xa.tif', 'a.tif.gz', 'sub/a.tif', 'n/sub/a.tif');
  expect(await pathsIn(root, { patterns: [`${root}/a[.]tif`] })).toEqual(['a.tif']);
  expect(await pathsIn(root, { patterns: [`${root}/a|b[.]tif$`] })).toEqual([]);
  expect(await pathsIn(root, { patterns: [`${root}/.*.tif$`] })).toEqual(['a.tif', 'xa.tif']);
  expect(await pathsIn(root, { patterns: [`${root}/.*/a.tif`] })).toEqual(['sub/a.tif']);
});

test('names that begin with _ or . are invisible below the root', async () => {
  const root = files(
    'invisible',
    '_SUCCESS',
    '.part',
    '_tmp/a.tif',
    '.git/a.tif',
    'x/a.tif',
    'x/_a.tif',
    '2005/_tmp/a.tif',
  );
  expect(await pathsIn(root, { patterns: [`${root}/.*`] })).toEqual(['2005', 'x']);
  expect(await pathsIn(root, { patterns: [`${root}/.*/.*tif`] })).toEqual(['x/a.tif']);
  const range = { from: '2005-01-01', to: '2005-01-01' };
  expect(await pathsIn(root, { patterns: [`${root}/\${yyyy}/_tmp/.*tif`], range })).toEqual([]);
});

test('an archive below a directory with such a name is searched', async () => {
  const root = files('.hidden', 'a.tif');
  expect(await pathsIn(root, { patterns: [`${root.replaceAll('.', '[.]')}/.*`] })).toEqual([]);
  expect(await pathsIn(root, { patterns: [`${root.replaceAll('.', String.raw`\.`)}/.*`] })).toEqual(
    ['a.tif'],
  );
});

test('a product may be a directory or a link, and links to directories are followed', async () => {
  const root = files('links', 'S2A.SAFE/manifest.xml', 'real/a.tif');
  symlinkSync(join(root, 'real'), join(root, 'linked'));
  symlinkSync(join(root, 'real', 'a.tif'), join(root, 'b.tif'));
  expect(
    await pathsIn(root, { patterns: [`${root}/S2A.SAFE`, `${root}/b.tif`, `${root}/linked/.*`] }),
  ).toEqual(['S2A.SAFE', 'b.tif', 'linked/a.tif']);
});

test('a link to a file is no directory to look into', async () => {
  const root = files('link-to-file', 'real/a.tif');
  symlinkSync(join(root, 'real', 'a.tif'), join(root, 'linked'));
  symlinkSync(join(root, 'gone'), join(root, 'dangling'));
  expect(await pathsIn(root, { patterns: [`${root}/.*/.*`] })).toEqual(['real/a.tif']);
});

test('a product that several patterns or days match is given once, for the day that was first', async () => {
  const root = files('twice', '20160101_20160102.tif', '20160102_20160103.tif');
  const range = { from: '2016-01-01', to: '2016-01-03' };
  const products = await found({
    patterns: [`${root}/.*\${yyyy}\${MM}\${dd}.*`, `${root}/.*\${yyyy}\${MM}02.*`],
    range,
    periods: periods(range, '1'),
  });
  expect(products).toEqual([
    { path: `${root}/20160101_20160102.tif`, firstPeriod: 0, lastPeriod: 0 },
    { path: `${root}/20160102_20160103.tif`, firstPeriod: 0, lastPeriod: 2 },
  ]);
});

test('products come in the order of their first periods, whatever pattern finds them', async () => {
  const names = ['2016/01/01', '2016/01/02', '2016/01/03'].flatMap((day) => [
    `early/${day}/a`,
    `late/${day}/b`,
  ]);
  const root = files('order', ...names, 'late/2016/01/03/c', 'any');
  const range = { from: '2016-01-01', to: '2016-01-03' };
  const products = await found({
    patterns: [
      `${root}/late/\${yyyy}/\${MM}/\${dd}/.*`,
      `${root}/any`,
      `${root}/early/\${yyyy}/\${MM}/\${dd}/.*`,
    ],
    range,
    periods: periods(range, '1'),
  });
  expect(
    products.map(({ path, firstPeriod }) => `${firstPeriod} ${path.slice(root.length + 1)}`),
  ).toEqual([
    '0 late/2016/01/01/b',
    '0 any',
    '0 early/2016/01/01/a',
    '1 late/2016/01/02/b',
    '1 early/2016/01/02/a',
    '2 late/2016/01/03/b',
    '2 late/2016/01/03/c',
    '2 early/2016/01/03/a',
  ]);
});

test('each product is given once, whatever patterns find it, in the order of periods', async () => {
  const root = files(
    'all',
    ...[...days({ from: '2016-01-30', to: '2016-02-02' })].flatMap((day) => {
      const [year, month, dayOfMonth] = day.split('-');
      return ['a', 'b'].map((name) => `${year}/${month}/${dayOfMonth}/${name}${year}${month}`);
    }),
  );
  const range = { from: '2016-01-30', to: '2016-02-02' };
  const names = fc.constantFrom('.*', 'a.*', '.*${yyyy}${MM}', 'b${yyyy}.*');
  const directories = fc.constantFrom(
    '${yyyy}/${MM}/${dd}',
    '${yyyy}/${MM}/.*',
    '2016/${MM}/${dd}',
    '.*/.*/.*',
    '.*/02/.*',
  );
  const pattern = fc
    .tuple(directories, names)
    .map(([directory, name]) => `${root}/${directory}/${name}`);
  await fc.assert(
    fc.asyncProperty(fc.array(pattern, { minLength: 1, maxLength: 4 }), async (patterns) => {
      const each = await Promise.all(
        patterns.map((one) => found({ patterns: [one], range, periods: periods(range, '1') })),
      );
      const together = await found({ patterns, range, periods: periods(range, '1') });
      const paths = together.map(({ path }) => path);
      expect(paths.toSorted()).toEqual(
        [...new Set(each.flat().map(({ path }) => path))].toSorted(),
      );
      const starts = together.map(({ firstPeriod }) => firstPeriod);
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    }),
    { numRuns: 60 },
  );
});

test('a product that two patterns match is given once', async () => {
  const root = files('patterns', '2016/a.tif', '2016/b.tif');
  const range = { from: '2016-01-01', to: '2016-01-03' };
  const patterns = [`${root}/\${yyyy}/a.*`, `${root}/\${yyyy}/.*`];
  expect(await pathsIn(root, { patterns, range })).toEqual(['2016/a.tif', '2016/b.tif']);
});

describe('a product contributes to', () => {
  const range = { from: '2016-01-01', to: '2016-03-31' };

  test('every period that holds its day, as periods may overlap', async () => {
    const root = files('overlap', '2016/01/10/a', '2016/01/11/b');
    const products = await found({
      patterns: [`${root}/\${yyyy}/\${MM}/\${dd}/.*`],
      range,
      periods: periods(range, '5', '10'),
    });
    // 01-01:01-10, 01-06:01-15, 01-11:01-20
    expect(products.map(({ firstPeriod, lastPeriod }) => [firstPeriod, lastPeriod])).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  test('every period that touches its month where the pattern has no day', async () => {
    const root = files('month', '2016/01/a', '2016/02/b', '2016/03/c');
    const products = await found({
      patterns: [`${root}/\${yyyy}/\${MM}/.*`],
      range,
      periods: periods(range, '20'),
    });
    // 01-01:01-20, 01-21:02-09, 02-10:02-29, 03-01:03-20
    expect(products.map(({ firstPeriod, lastPeriod }) => [firstPeriod, lastPeriod])).toEqual([
      [0, 1],
      [1, 2],
      [3, 3],
    ]);
  });

  test('every period where the pattern has no date', async () => {
    const root = files('static', 'a');
    const [product] = await found({
      patterns: [`${root}/.*`],
      range,
      periods: periods(range, '1m'),
    });
    expect(product).toEqual({ path: `${root}/a`, firstPeriod: 0, lastPeriod: 2 });
  });
});

test('days outside of all periods, of the request or of the dataset are not listed', async () => {
  const range = { from: '2016-01-01', to: '2016-02-29' };
  const all = [...days(range)];
  const root = files('outside', ...all);
  const request = { patterns: [`${root}/\${yyyy}-\${MM}-\${dd}`], range };
  expect(await pathsIn(root, request)).toEqual(all);
  expect(await pathsIn(root, { ...request, periods: periods(range, '1m', '2') })).toEqual([
    '2016-01-01',
    '2016-01-02',
    '2016-02-01',
    '2016-02-02',
  ]);
  const dataset = { minDate: '2016-01-31', maxDate: '2016-02-01' };
  expect(await pathsIn(root, { ...request, dataset })).toEqual(['2016-01-31', '2016-02-01']);
  const later = { from: '2016-02-29', to: '2016-03-31' };
  expect(await pathsIn(root, { ...request, range: later, periods: [range, later] })).toEqual([
    '2016-02-29',
  ]);
});

test('days after a missing year are found, whatever else is missing', async () => {
  const root = files('gaps', '2010/01/01/a', '2012/12/31/b', '2013/02/01/c');
  const range = { from: '2009-01-01', to: '2014-01-01' };
  expect(await pathsIn(root, { patterns: [`${root}/\${yyyy}/\${MM}/\${dd}/.*`], range })).toEqual([
    '2010/01/01/a',
    '2012/12/31/b',
    '2013/02/01/c',
  ]);
});

test('a missing directory hides none whose name begins like its own', async () => {
  const root = files('prefixes', '2016b/a');
  const range = { from: '2016-01-01', to: '2016-01-01' };
  const patterns = [`${root}/\${yyyy}/.*`, `${root}/\${yyyy}b/.*`];
  expect(await pathsIn(root, { patterns, range })).toEqual(['2016b/a']);
});

test('the region name of the request goes before that of the dataset', async () => {
  const root = files('regions', 'north/a', 'south/b', 'n.rth/c');
  const request = { patterns: [`${root}/\${region}/.*`] };
  expect(await pathsIn(root, request)).toEqual(['n.rth/c', 'north/a', 'south/b']);
  expect(await pathsIn(root, { ...request, dataset: { regionName: 'south' } })).toEqual([
    'south/b',
  ]);
  expect(
    await pathsIn(root, { ...request, regionName: 'n.rth', dataset: { regionName: 'south' } }),
  ).toEqual(['n.rth/c']);
});

test('a region name that would lead elsewhere is refused', async () => {
  const root = files('escape/', 'in/a');
  for (const regionName of ['..', '../escape', '/', '.git', '_tmp', 'a\0']) {
    const error = await failure({ patterns: [`${root}/in/\${region}/.*`], regionName });
    expect(error).toMatchObject({ code: 'INVALID_PARAMETER', locator: 'regionName' });
  }
});

test('an archive that is not there is an error that names it, not an empty result', async () => {
  const root = files('root', 'file');
  for (const patterns of [[`${root}/mnt/\${yyyy}/.*`], [`${root}/.*`, `${root}/mnt/.*`]]) {
    const error = await failure({ patterns });
    expect(error).toMatchObject({ code: 'INVALID_PARAMETER', locator: 'inputDataSetName' });
    expect(error.message).toContain(`dataset "scenes": ${root}/mnt cannot be read (ENOENT`);
  }
  expect((await failure({ patterns: [`${root}/file/.*`] })).message).toContain(
    `${root}/file is not a directory`,
  );
});

test('too many products are an error after as many as were allowed', async () => {
  const root = files('limit', 'a', 'b', 'c');
  const limit = (products: number) => ({ products, whose: "user 'anna'" });
  expect(await pathsIn(root, { patterns: [`${root}/.*`], limit: limit(3) })).toHaveLength(3);
  const error = await failure({ patterns: [`${root}/.*`], limit: limit(2) });
  expect(error.message).toContain(
    `dataset "scenes" has more than 2 products for the request, the limit of user 'anna'`,
  );
});

test('too many days are an error before anything is searched', async () => {
  const root = files('centuries');
  const error = await failure({
    patterns: [`${root}/\${yyyy}`],
    range: { from: '0001-01-01', to: '9999-12-31' },
  });
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER', locator: 'minDate' });
  const dataset = { minDate: '2016-01-01', maxDate: '2016-12-31' };
  expect(
    await found({
      patterns: [`${root}/\${yyyy}`],
      range: { from: '0001-01-01', to: '9999-12-31' },
      dataset,
    }),
  ).toEqual([]);
});

test('products come in batches', async () => {
  const root = files('batches', 'a', 'b', 'c', 'x/d', 'x/e');
  const batches = await Array.fromAsync(
    find({ patterns: [`${root}/[abc]`, `${root}/x/.*`], batch: 2 }),
  );
  expect(batches.map((batch) => batch.length)).toEqual([2, 2, 1]);
});

test('batches begin small, so that work can begin, and grow', async () => {
  const root = files('growing', ...Array.from({ length: 500 }, (_, index) => String(index)));
  const batches = await Array.fromAsync(find({ patterns: [`${root}/.*`], batch: 100 }));
  expect(batches.map((batch) => batch.length)).toEqual([32, 64, 100, 100, 100, 100, 4]);
});

test('products say where they lie, in objects that they share', async () => {
  const root = files('nodes', 'n1/a', 'n1/b', 'n2/a', 'x/a');
  const location = { pool: 'hall 2', pattern: `${root}/(?<node>n[^/]+)/.*` };
  const products = await found({ patterns: [`${root}/.*/.*`], dataset: { location } });
  expect(products.map(({ path, location: its }) => [path.slice(root.length + 1), its])).toEqual([
    ['n1/a', { pools: ['hall 2'], nodes: ['n1'] }],
    ['n1/b', { pools: ['hall 2'], nodes: ['n1'] }],
    ['n2/a', { pools: ['hall 2'], nodes: ['n2'] }],
    ['x/a', { pools: ['hall 2'] }],
  ]);
  expect(products[0]!.location).toBe(products[1]!.location);
});

test('an aborted search ends with the reason', async () => {
  const root = files('aborted', '1/a', '2/b');
  const controller = new AbortController();
  const search = find({ patterns: [`${root}/.*/.*`], batch: 1, signal: controller.signal });
  expect((await search.next()).value).toHaveLength(1);
  controller.abort(new Error('dismissed'));
  await expect(search.next()).rejects.toThrow('dismissed');
});

test('a directory that cannot be listed is an error, not an empty one', async () => {
  const root = files('loop', 'a');
  symlinkSync(join(root, 'self'), join(root, 'self'));
  const error = await failure({ patterns: [`${root}/.*/x`] });
  expect(error.code).toBe('UNAVAILABLE');
  expect(error.message).toContain(`dataset "scenes": cannot list ${root}/self: ELOOP`);
});
