import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkPlacePattern, createLocator } from './location.ts';

test('without a location nothing is known', () => {
  expect(createLocator()('/a/b')).toBeUndefined();
  expect(createLocator({})('/a/b')).toBeUndefined();
  expect(createLocator({ pattern: '/(?<node>n.)?.*' })('/a/b')).toBeUndefined();
});

test('what holds for all products is said of each', () => {
  const location = { nodes: ['n1', 'n2'], pool: 'hall 2' };
  expect(createLocator(location)('/a/b')).toEqual({ nodes: ['n1', 'n2'], pools: ['hall 2'] });
});

test('the path goes before what holds for all', () => {
  const locate = createLocator({
    nodes: ['n0'],
    racks: ['r0'],
    pool: 'p0',
    pattern: '/(?<pool>[^/]+)/data/(?<rack>r.)-(?<node>.*)',
  });
  expect(locate('/xfs/data/r7-n12/2020/a.zip')).toEqual({
    pools: ['xfs'],
    racks: ['r7'],
    nodes: ['n12'],
  });
  expect(locate('/xfs/data/n12/a.zip')).toEqual({ nodes: ['n0'], racks: ['r0'], pools: ['p0'] });
});

test.each([
  ['/data/(?<node>[^/]+)', '/data/n1/x/y', 'n1'],
  ['/data/(?<node>[^/]+)/.*', '/data/n1/x/y', 'n1'],
  ['/data/(?<node>[^/]+)/.*/.*/.*', '/data/n1/x/y', undefined],
  ['/data/(?<node>[^/]+)/x', '/data/n1/y', undefined],
  ['/data/(?<node>.*)-.*', '/data/n1-a.zip', 'n1'],
  ['/data/.*/(?<node>n[0-9])?.*', '/data/x/n1.zip', 'n1'],
])('%s tells of %s the node %s', (pattern, path, node) => {
  expect(createLocator({ pattern })(path)?.nodes?.[0]).toBe(node);
});

test('equal places are one object, in whatever order the products come', () => {
  const locate = createLocator({ pattern: '/(?<node>[^/]+)' });
  const nodes = fc.array(fc.constantFrom('n1', 'n2', 'n3'));
  fc.assert(
    fc.property(nodes, (names) => {
      const found = names.map((name, index) => locate(`/${name}/${index}`));
      found.forEach((location, index) => {
        expect(location).toEqual({ nodes: [names[index]] });
        expect(location).toBe(found[names.indexOf(names[index]!)]);
      });
    }),
  );
});

test.each([
  ['/data/.*', '"/data/.*" has none of the groups (?<node>...), (?<rack>...), (?<pool>...)'],
  ['/data/(?<host>.*)', 'the group host is none of (?<node>...), (?<rack>...), (?<pool>...)'],
  ['/data/(?<node>.*', 'is not a regular expression for a name'],
  ['/(?<node>.*)/${yyyy}', 'has a variable; it can have none'],
])('the pattern %s is refused', (pattern, message) => {
  expect(() => checkPlacePattern(pattern)).toThrow(message);
});

test('what holds everywhere is said as well, and each pool once', () => {
  const everywhere = { pools: ['calvalus', 'xfs'], engines: ['yarn'] };
  expect(createLocator({}, everywhere)('/a')).toEqual(everywhere);
  const locate = createLocator({ pool: 'p0', pattern: '/(?<pool>[^/]+)' }, everywhere);
  expect(locate('/xfs/a')).toEqual({ pools: ['xfs', 'calvalus'], engines: ['yarn'] });
  const other = createLocator({ pool: 'p0', pattern: '/(?<pool>x)' }, everywhere);
  expect(other('/y')).toEqual({ pools: ['p0', 'calvalus', 'xfs'], engines: ['yarn'] });
});

test('the path of a URL tells as any other, but only on that storage', () => {
  const locate = createLocator({ pool: 'p', pattern: 'hdfs://a/data/(?<node>[^/]+)' });
  expect(locate('hdfs://a/data/n1/x')).toEqual({ pools: ['p'], nodes: ['n1'] });
  expect(locate('hdfs://b/data/n1/x')).toEqual({ pools: ['p'] });
  expect(locate('/data/n1/x')).toEqual({ pools: ['p'] });
});
