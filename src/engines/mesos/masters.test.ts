import { describe, expect, test } from 'vitest';

import { createMasters, masterProblems, originOf, redirected } from './masters.ts';

const never = new AbortController().signal;

describe('a list of masters', () => {
  const leaderOf = async (...addresses: readonly string[]) =>
    (await createMasters(addresses).leader(never)).href;

  test.each([
    ['master:5050', 'http://master:5050/'],
    ['10.0.0.1:5050', 'http://10.0.0.1:5050/'],
    ['[::1]:5050', 'http://[::1]:5050/'],
    ['http://master:80', 'http://master/'],
    ['https://master', 'https://master/'],
    ['https://gateway/mesos', 'https://gateway/mesos/'],
    ['http://master:5050/api/v1/scheduler', 'http://master:5050/'],
  ])('%s is at %s', async (address, url) => {
    expect(masterProblems([address])).toEqual([]);
    expect(await leaderOf(address)).toBe(url);
  });

  test('is gone through in turn, from the last that led on', async () => {
    const masters = createMasters(['a:1', 'b:1', 'c:1']);
    const [a, b, c] = ['a', 'b', 'c'].map((host) => new URL(`http://${host}:1/`)) as [
      URL,
      URL,
      URL,
    ];
    const next = async () => (await masters.leader(never)).host;
    expect([await next(), await next()]).toEqual(['a:1', 'a:1']);
    masters.failed(a);
    expect(await next()).toBe('b:1');
    // What failed before that is old news.
    masters.failed(a);
    expect(await next()).toBe('b:1');
    masters.failed(b);
    masters.failed(c);
    expect(await next()).toBe('a:1');
    masters.led(c);
    expect(await next()).toBe('c:1');
    masters.led(new URL('http://elsewhere:1/'));
    expect(await next()).toBe('c:1');
  });
});

describe('problems of addresses', () => {
  test.each([
    [[], 'names no master'],
    [['a:5050', 'zk://b:2181/mesos'], 'a zk:// address stands alone'],
    [['zk://a:2181/mesos', 'zk://b:2181/mesos'], 'a zk:// address stands alone'],
    [['master'], '"master" has no port: a master\'s is 5050'],
    [['http://'], '"http://" is no address of a master such as host:5050'],
    [['a b:5050'], 'is no address of a master'],
    [['ftp://master:5050'], 'begins neither with http, https nor zk'],
    [['http://master:5050/?a=1'], 'has more than host, port and path'],
    [['zk://'], 'is no address such as zk://host:2181,host:2181/mesos'],
    [['zk://host:2181'], 'lacks the path below which the masters register'],
    [['zk://host:2181/'], 'lacks the path'],
    [['zk://host:2181/a//b'], 'lacks the path'],
    [['zk://host:0/mesos'], 'has a ZooKeeper server "host:0" that is not host:port'],
    [['zk://a:2181,,b:2181/mesos'], 'has a ZooKeeper server "" that is not host:port'],
    [['zk://a:2181,b:99999/mesos'], 'has a ZooKeeper server "b:99999"'],
  ])('%j', (addresses, problem) => {
    const problems = masterProblems(addresses);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
    expect(() => createMasters(addresses)).toThrow(problem);
  });

  test('every address has its own', () => {
    expect(masterProblems(['a', 'b:1', 'c'])).toHaveLength(2);
  });

  test.each(['zk://host:2181/mesos', 'zk://user:p@ss@a:2181,[::1]:2182/a/b/', 'zk://host/mesos'])(
    '%s has none',
    (address) => expect(masterProblems([address])).toEqual([]),
  );

  test.each([
    'http://user:s3cret@master:5050',
    'user:s3cret@master:5050',
    'zk://user:s3cret@host:0/mesos',
    'zk://:s3cret@host:2181/mesos',
    'zk://user:s3cret@host:2181',
    'ftp://user:s3cret@host',
  ])('%s is wrong, and its secret is not repeated', (address) => {
    expect(masterProblems([address])).toHaveLength(1);
    expect(masterProblems([address])[0]).not.toContain('s3cret');
  });
});

describe('a redirect', () => {
  const from = new URL('http://one:5050/');

  test.each([
    // Recorded from a 1.12 master.
    ['//127.0.0.1:5050', 'http://127.0.0.1:5050/'],
    ['//two:5050/api/v1/scheduler', 'http://two:5050/'],
    ['http://two:5050/api/v1/scheduler', 'http://two:5050/'],
    ['https://two/mesos/api/v1/scheduler', 'https://two/mesos/'],
    ['/mesos/api/v1/scheduler', 'http://one:5050/mesos/'],
    ['http://user:secret@two:5050/?a=1', 'http://two:5050/'],
  ])('to %s leads to %s', (location, url) => {
    expect(redirected(from, location).href).toBe(url);
  });

  test('keeps the way in which the master was asked', () => {
    const secure = new URL('https://one:5050/');
    expect(redirected(secure, '//two:5050').href).toBe('https://two:5050/');
    expect(() => redirected(secure, 'http://two:5050')).toThrow('less safe than https');
  });

  test.each([
    ['http://[', 'which is no address'],
    ['file:///etc/passwd', 'which is neither http nor https'],
  ])('to %s is not followed', (location, why) => {
    expect(() => redirected(from, location)).toThrow(why);
  });
});

test('a host and a port of a cluster are no more than that', () => {
  expect(originOf(false, 'agent-1', 5051)?.href).toBe('http://agent-1:5051/');
  expect(originOf(true, '2001:db8::1', 5051)?.href).toBe('https://[2001:db8::1]:5051/');
  for (const host of ['', 'a/b', 'a@b', 'a:1', '[::1]', undefined, 7]) {
    expect(originOf(false, host, 5051)).toBeUndefined();
  }
  for (const port of [0, 65_536, 1.5, '5051', undefined]) {
    expect(originOf(false, 'agent', port)).toBeUndefined();
  }
});
