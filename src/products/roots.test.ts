import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dataset } from './dataset.ts';
import { enginesOf, isBelow, pathFor } from './roots.ts';
import type { EngineSight } from './roots.ts';

const LOCAL: EngineSight = { id: 'local' };
const MESOS: EngineSight = { id: 'mesos' };
const YARN: EngineSight = { id: 'yarn', directories: ['/shared/'] };
const ALL = [LOCAL, MESOS, YARN];

const HDFS = { location: 'hdfs://calvalus/eodata' };
const XFS = { location: '/net/eodata' };
const SHARED = { location: '/shared/eodata' };

describe('a place can be read', () => {
  test.each([
    ['on HDFS by all engines', [HDFS], undefined],
    ['in a directory by those whose nodes see it', [XFS], ['local', 'mesos']],
    ['in a shared directory by all engines', [SHARED], undefined],
    ['in one of several by who sees one of them', [XFS, HDFS], undefined],
    ['by those that it names', [{ ...HDFS, engines: ['yarn'] }], ['yarn']],
    [
      'by those that each of several names',
      [
        { ...HDFS, engines: ['yarn'] },
        { ...XFS, engines: ['mesos'] },
      ],
      ['mesos', 'yarn'],
    ],
  ])('%s', (_, roots, engines) => {
    expect(enginesOf(ALL, roots)).toEqual(engines);
  });

  test('by all where there is no cluster that sees little', () => {
    expect(enginesOf([LOCAL, MESOS], [XFS])).toBeUndefined();
  });
});

test('a directory is below itself, and not below one whose name begins like its own', () => {
  expect(isBelow('/shared', '/shared/')).toBe(true);
  expect(isBelow('/shared/a', '/shared')).toBe(true);
  expect(isBelow('/shared2', '/shared')).toBe(false);
  expect(isBelow('/a', '/')).toBe(true);
});

const dataset = (...roots: NonNullable<Dataset['roots']>): Dataset => ({
  name: 'd',
  productType: 't',
  patterns: ['.*'],
  roots,
});

describe('a product is read', () => {
  const path = 'hdfs://calvalus/eodata/2020/a b.tif';

  test('by a cluster with a file system of its own from there, by others from directories', () => {
    const both = dataset(HDFS, XFS);
    expect(pathFor(both, YARN, path)).toBe(path);
    expect(pathFor(both, MESOS, path)).toBe('/net/eodata/2020/a b.tif');
    expect(pathFor(dataset(XFS, HDFS), YARN, '/net/eodata/2020/a b.tif')).toBe(path);
    expect(pathFor(dataset(HDFS, XFS, SHARED), YARN, path)).toBe(path);
  });

  test('under the root that names the engine', () => {
    const engines = ['mesos'];
    const named = dataset(XFS, { ...HDFS, engines });
    expect(pathFor(named, MESOS, '/net/eodata/a')).toBe('hdfs://calvalus/eodata/a');
    expect(pathFor(named, LOCAL, '/net/eodata/a')).toBe('/net/eodata/a');
  });

  test('from wherever it can be where nothing is near', () => {
    expect(pathFor(dataset(HDFS), LOCAL, path)).toBe(path);
    expect(pathFor(dataset(SHARED), YARN, '/shared/eodata/a')).toBe('/shared/eodata/a');
    expect(pathFor(dataset(XFS), YARN, '/net/eodata/a'), 'nowhere').toBe('/net/eodata/a');
  });

  test('where it was found, without roots or when the roots have changed since', () => {
    const { roots: _, ...plain } = dataset(HDFS);
    expect(pathFor(plain, YARN, path)).toBe(path);
    expect(pathFor(dataset(XFS), LOCAL, path)).toBe(path);
    expect(pathFor(dataset(XFS), LOCAL, '/net/eodata2/a')).toBe('/net/eodata2/a');
  });

  test('at the same place under each root', () => {
    const roots = fc.constantFrom(HDFS, XFS, SHARED, { location: '/' });
    fc.assert(
      fc.property(
        fc.uniqueArray(roots, { minLength: 1 }),
        fc.constantFrom(...ALL),
        fc.string({ minLength: 1 }).filter((name) => !name.startsWith('/')),
        (some, engine, name) => {
          const start = (location: string) => (location === '/' ? '/' : `${location}/`);
          const found = pathFor(dataset(...some), engine, start(some[0]!.location) + name);
          expect(some.map(({ location }) => start(location) + name)).toContain(found);
        },
      ),
    );
  });
});
