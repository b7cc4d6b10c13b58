import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { days } from '../core/periods.ts';
import {
  checkPattern,
  expandPattern,
  expressionOf,
  namesOf,
  isRegionName,
  levelsOf,
  resolvePattern,
  splitPatterns,
} from './patterns.ts';

const texts = (...input: Parameters<typeof expandPattern>) =>
  expandPattern(...input).map(({ pattern }) => pattern);

describe('patterns of the specification (B.8.2)', () => {
  test('three patterns are divided by commas', () => {
    expect(splitPatterns('foo,bar,baz')).toEqual(['foo', 'bar', 'baz']);
  });
  test('the region stands in the path, or anything for none', () => {
    expect(texts('/foo/${region}/.*.N1', undefined, 'northsea')).toEqual(['/foo/northsea/.*.N1']);
    expect(texts('/foo/${region}/.*.N1', undefined)).toEqual(['/foo/.*/.*.N1']);
  });
  test('each day gives an entry', () => {
    const range = { from: '2005-12-30', to: '2006-01-02' };
    expect(expandPattern('/foo/${yyyy}/${MM}/${dd}/.*.N1', [...days(range)])).toEqual([
      { pattern: '/foo/2005/12/30/.*.N1', days: { from: '2005-12-30', to: '2005-12-30' } },
      { pattern: '/foo/2005/12/31/.*.N1', days: { from: '2005-12-31', to: '2005-12-31' } },
      { pattern: '/foo/2006/01/01/.*.N1', days: { from: '2006-01-01', to: '2006-01-01' } },
      { pattern: '/foo/2006/01/02/.*.N1', days: { from: '2006-01-02', to: '2006-01-02' } },
    ]);
  });
  test('a month without a day gives one entry for all its days', () => {
    const range = { from: '2005-01-01', to: '2005-01-03' };
    expect(expandPattern('/foo/${yyyy}/${MM}/.*.N1', [...days(range)])).toEqual([
      { pattern: '/foo/2005/01/.*.N1', days: range },
    ]);
  });
  test('its examples can all be searched for', () => {
    for (const pattern of [
      '/calvalus/eodata/MER_RR__1P/r03/${yyyy}/${MM}/${dd}/MER_..._1.*${yyyy}${MM}${dd}.*.N1$',
      '/calvalus/eodata/S2_L1C/v2/${yyyy}/${MM}/${dd}/S2._(OPER_PRD_MSIL1C_....|MSIL1C).*zip$',
      '/calvalus/projects/lc/sr-s2-nc/${yyyy}-${MM}-${dd}/ESACCI-LC-L3-SR-.*-.*m-P.*D-h23(0|1|2|3|4)v05(5|6|7|8|9)-${yyyy}${MM}${dd}-v....nc$',
      '/calvalus/eodata/MER_RR__1P/r03/${yyyy}/${MM}/.*${yyyy}${DDD}.*.N1',
    ]) {
      expect(() => checkPattern(pattern)).not.toThrow();
    }
  });
});

test('commas inside of groups, classes, counts and after a backslash do not divide patterns', () => {
  expect(splitPatterns(String.raw`/a/x{1,2}, /b/(c,d)/[e,f]\,g ,, /h`)).toEqual([
    '/a/x{1,2}',
    String.raw`/b/(c,d)/[e,f]\,g`,
    '/h',
  ]);
  expect(splitPatterns(String.raw`/a\(,/b),/c`)).toEqual([String.raw`/a\(`, '/b)', '/c']);
  expect(splitPatterns(' , ')).toEqual([]);
});

test('what the days give twice comes once, where it came first', () => {
  const range = { from: '2004-12-31', to: '2006-01-01' };
  expect(texts('/${MM}', [...days(range)])).toEqual(
    ['12', '01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '11'].map((m) => `/${m}`),
  );
});

test('without days the variables of the date stand for anything', () => {
  expect(expandPattern('/a/${yyyy}/${MM}-${dd}/${DDD}', undefined)).toEqual([
    { pattern: '/a/.*/.*-.*/.*' },
  ]);
  expect(texts('/a/${yyyy}', [])).toEqual([]);
});

test('the day of the year has three digits and site stands for the region', () => {
  expect(texts('/${site}/${yyyy}${DDD}', ['2004-01-09', '2004-12-31'], 'helgoland')).toEqual([
    '/helgoland/2004009',
    '/helgoland/2004366',
  ]);
});

test('a region name is taken literally', () => {
  expect(texts('/a/${region}', undefined, 'a.*(b|c)$\\')).toEqual([
    String.raw`/a/a\.\*\(b\|c\)\$\\`,
  ]);
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (name, other) => {
      fc.pre(isRegionName(name));
      const [component = ''] = levelsOf(
        texts('/x.*/${region}', undefined, name)[0]!,
      ).components.slice(-1);
      expect(expressionOf(component).test(name)).toBe(true);
      expect(expressionOf(component).test(other)).toBe(other === name);
    }),
  );
});

test.each(['..', '.', '_hidden', '.git', 'a/b', '/', 'a\0b', 'x'.repeat(201)])(
  'a region name %j cannot stand in a path',
  (name) => expect(isRegionName(name)).toBe(false),
);

test('the search begins where the pattern stops being literal', () => {
  expect(levelsOf('/a/b-c/.*/d.tif')).toEqual({ base: '/a/b-c', components: ['.*', 'd.tif'] });
  expect(levelsOf('/a//b/${yyyy}/x')).toEqual({ base: '/a/b', components: ['${yyyy}', 'x'] });
  expect(levelsOf(String.raw`/a\.b/c\$/d`)).toEqual({ base: '/a.b/c$', components: ['d'] });
  expect(levelsOf(String.raw`/a\d/c`)).toEqual({ base: '', components: [String.raw`a\d`, 'c'] });
  expect(levelsOf('/file')).toEqual({ base: '', components: ['file'] });
});

test('relative patterns lead from their directory, whose name is no expression', () => {
  const directory = '/srv/eo+data (old)/v1.2';
  const { base, components } = levelsOf(resolvePattern('../scenes/${yyyy}/.*', directory));
  expect(base).toBe('/srv/eo+data (old)/scenes');
  expect(components).toEqual(['${yyyy}', '.*']);
  expect(levelsOf(resolvePattern('./x/.*', '/')).base).toBe('/x');
  expect(levelsOf(resolvePattern('..data/x', '/a')).components).toEqual(['..data', 'x']);
  expect(resolvePattern('/abs/.*', directory)).toBe('/abs/.*');
});

test.each([
  [
    '/a/(x/y)',
    '"(x" is not a regular expression for a name (none may go across a "/"): SyntaxError',
  ],
  ['/a/[', '"[" is not a regular expression for a name'],
  ['/a/${yyyy}/*.tif', '"*.tif" is not a regular expression for a name'],
  ['/a/${year}/x', '"/a/${year}/x" has the unknown variable ${year}'],
  ['/a/${constructor}/x', 'unknown variable ${constructor}'],
  ['/a/../b', '"/a/../b" has the part ".."'],
  [String.raw`/a/\.\./b`, String.raw`has the part "\.\."`],
  ['/a/./b', 'has the part "."'],
  ['s3://bucket/x', '"s3://bucket/x" is a URL of no configured storage; there is none'],
  ['/', '"/" names no file'],
])('the pattern %s is refused', (pattern, message) => {
  expect(() => checkPattern(pattern)).toThrow(message);
});

test('a slash divides a pattern, but not within a class', () => {
  expect(namesOf('/a//b[.]x/')).toEqual(['a', 'b[.]x']);
  expect(namesOf(String.raw`/n[^/]+/[\]/]/\[/x[`)).toEqual([
    'n[^/]+',
    String.raw`[\]/]`,
    String.raw`\[`,
    'x[',
  ]);
  expect(namesOf(String.raw`/a\/b`), 'which is no expression').toEqual(['a\\', 'b']);
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[\w.*()]+$/)), (names) => {
      expect(namesOf(`/${names.join('/')}`)).toEqual(names);
    }),
  );
});

test('a URL of a configured storage is a pattern whose storage is no expression', () => {
  const storages = ['hdfs://cal.valus', 'hdfs://b'];
  const pattern = 'hdfs://cal.valus/eodata/${yyyy}/a.*';
  expect(() => checkPattern(pattern, storages)).not.toThrow();
  expect(() => checkPattern('hdfs://calXvalus/a', storages)).toThrow(
    'is a URL of no configured storage; there is hdfs://cal.valus, hdfs://b',
  );
  expect(() => checkPattern('hdfs://b', storages)).toThrow('"hdfs://b" names no file');
  expect(() => checkPattern('hdfs://b/../a', storages)).toThrow('has the part ".."');
  expect(resolvePattern(pattern, '/etc')).toBe(pattern);
  const [expansion] = expandPattern(pattern, ['2020-02-01']);
  expect(levelsOf(expansion!.pattern)).toEqual({
    base: 'hdfs://cal.valus/eodata/2020',
    components: ['a.*'],
  });
  expect(levelsOf('hdfs://b/.*')).toEqual({ base: 'hdfs://b', components: ['.*'] });
});
