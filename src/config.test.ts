import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createConfigFile } from '../test/fixtures/config.ts';
import { isTree } from './config-problems.ts';
import { CONFIG_SCHEMA } from './config-schema.ts';
import { describeConfig, loadConfig } from './config.ts';
import type { Config } from './config.ts';
import { createGroupPolicy, DEFAULT_POLICY, jobGroups } from './core/policy.ts';

const { directory, load, problems } = createConfigFile();

const dataset = (...lines: string[]) =>
  [
    'datasets:',
    '  - name: scenes',
    '    productType: S2',
    ...lines.map((line) => `    ${line}`),
  ].join('\n');

test('without a file everything is as it is by default', async () => {
  const config = await loadConfig({});
  expect(config).toMatchObject({
    dataDir: resolve('data'),
    public: { host: '127.0.0.1', port: 8080, bodyLimit: 4 * 1024 * 1024 },
    internal: { host: '127.0.0.1', port: 8081 },
    datasets: [],
    bundles: [],
    jobs: { maxAttempts: 3, maxLosses: 10, retryDelay: 1, cpus: 1, memoryMb: 1024, keepFailed: 7 },
    scheduling: DEFAULT_POLICY,
    engines: { local: { enabled: true, isolation: 'auto' } },
  });
  expect(config.engines.local.cpus).toBeGreaterThanOrEqual(1);
  expect(config.engines.local.memoryMb).toBeGreaterThan(100);
});

test('paths are relative to the file', async () => {
  const config = await load(`
dataDir: ../var
bundles: [b/one.zip, /abs/two.zip]
log: { file: log/pushbroom.log }
${dataset('path: ./scenes/${yyyy}/.*, /archive/.*')}
`);
  expect(config.dataDir).toBe(resolve(directory, '../var'));
  expect(config.bundles).toEqual([join(directory, 'b/one.zip'), '/abs/two.zip']);
  expect(config.log.file).toBe(join(directory, 'log/pushbroom.log'));
  expect(config.datasets).toEqual([
    {
      name: 'scenes',
      productType: 'S2',
      patterns: [`${directory}/scenes/\${yyyy}/.*`, '/archive/.*'],
    },
  ]);
});

test('a dataset keeps its dates, its names and its region, in the one form of regions', async () => {
  const { datasets } = await load(
    dataset(
      'path: [/a/.*, "/b/x{1,2},/c/.*"]',
      'minDate: 2004-01-01',
      'maxDate: 2004-01-01',
      'regionName: WesternEurope',
      'region: polygon ((-7 54, -7 38.5, 5.5 38.5, -7 54))',
      'bands: [red, nir]',
    ),
  );
  expect(datasets).toEqual([
    {
      name: 'scenes',
      productType: 'S2',
      patterns: ['/a/.*', '/b/x{1,2}', '/c/.*'],
      minDate: '2004-01-01',
      maxDate: '2004-01-01',
      regionName: 'WesternEurope',
      regionWkt: 'POLYGON((-7 54,-7 38.5,5.5 38.5,-7 54))',
      bands: ['red', 'nir'],
    },
  ]);
});

test('the command line wins over the file, with paths relative to the current directory', async () => {
  const yaml = 'dataDir: here\npublic: { port: 1, host: 10.0.0.1 }\nlog: { file: here.log }';
  const config = await load(yaml, {
    dataDir: 'there',
    public: { port: 0, host: undefined },
    log: { file: 'there.log' },
  });
  expect(config.dataDir).toBe(resolve('there'));
  expect(config.log.file).toBe(resolve('there.log'));
  expect(config.public).toMatchObject({ port: 0, host: '10.0.0.1' });
  expect((await loadConfig({})).public.port).toBe(8080);
});

test('keys without a value are as absent', async () => {
  const config = await load('jobs:\n  # maxAttempts: 5\npublic: { port: }\ndatasets:\n');
  expect([config.jobs.maxAttempts, config.public.port, config.datasets]).toEqual([3, 8080, []]);
  expect((await load('')).jobs.maxAttempts).toBe(3);
  expect((await load('scheduling: { groups: [{ name: a, limits: }] }')).scheduling.groups).toEqual([
    createGroupPolicy({ name: 'a' }),
  ]);
});

describe('what is wrong stops the start with its line', () => {
  test.each([
    [
      'public:\n  port: 70000',
      ['pushbroom.yaml: line 2, column 3: public.port: must be <= 65535, is 70000'],
    ],
    [
      'public: { hots: x }',
      ['pushbroom.yaml: line 1, column 11: public.hots: unknown key, did you mean host?'],
    ],
    [
      'jobs: { MaxAttempt: 3 }',
      ['pushbroom.yaml: line 1, column 9: jobs.MaxAttempt: unknown key, did you mean maxAttempts?'],
    ],
    [
      'internal: { nonsense: 1 }',
      [
        'pushbroom.yaml: line 1, column 13: internal.nonsense: unknown key, there are host, port, authentication',
      ],
    ],
    [
      'jobs: { maxAttempts: -1 }',
      ['pushbroom.yaml: line 1, column 9: jobs.maxAttempts: must be >= 1, is -1'],
    ],
    [
      'jobs: { maxAttempts: 1.5 }',
      ['pushbroom.yaml: line 1, column 9: jobs.maxAttempts: must be integer, is 1.5'],
    ],
    ['jobs: { cpus: 0 }', ['pushbroom.yaml: line 1, column 9: jobs.cpus: must be > 0, is 0']],
    [
      'uploads: { entries: many }',
      ['pushbroom.yaml: line 1, column 12: uploads.entries: must be integer, is "many"'],
    ],
    [
      'log: { level: loud }',
      [
        'pushbroom.yaml: line 1, column 8: log.level: must be one of trace, debug, info, warn, error, fatal, silent, is "loud"',
      ],
    ],
    ['public: 8080', ['pushbroom.yaml: line 1, column 1: public: must be object, is 8080']],
    ['- public', ['pushbroom.yaml: line 1, column 1: must be object']],
    ['bundles: x.zip', ['pushbroom.yaml: line 1, column 1: bundles: must be array, is "x.zip"']],
    [
      'datasets: [{ name: a, productType: b }]',
      ['pushbroom.yaml: line 1, column 12: datasets[0]: has no path'],
    ],
    [
      dataset('path: 3'),
      ['pushbroom.yaml: line 4, column 5: datasets[0].path: must be string or must be array, is 3'],
    ],
    [
      'staging: { user: ../x }',
      [
        'pushbroom.yaml: line 1, column 12: staging.user: must match pattern "^(?![.])[A-Za-z0-9._@-]{1,100}$", is "../x"',
      ],
    ],
    [
      'jobs: { retryDelay: 5, maxRetryDelay: 4 }',
      ['pushbroom.yaml: line 1, column 24: jobs.maxRetryDelay: is less than jobs.retryDelay'],
    ],
    [
      'jobs: { memoryMb: 2000, maxMemoryMb: 1999 }',
      ['pushbroom.yaml: line 1, column 25: jobs.maxMemoryMb: is less than jobs.memoryMb'],
    ],
    [
      'public: { port: 1 }\njobs: { maxAttempts: 0, cpus: 0 }',
      [
        'pushbroom.yaml: line 2, column 9: jobs.maxAttempts: must be >= 1, is 0',
        'pushbroom.yaml: line 2, column 25: jobs.cpus: must be > 0, is 0',
      ],
    ],
    ['a: [', [expect.stringMatching(/^pushbroom.yaml: line 1, column \d: /)]],
  ])('%j', async (yaml, expected) => {
    expect(await problems(yaml)).toEqual(expected);
  });

  test('by its key where the command line said it', async () => {
    expect(await problems('public: { port: 1 }', { public: { port: 70_000 } })).toEqual([
      'command line: public.port: must be <= 65535, is 70000',
    ]);
    expect(await problems('public: 1', { public: { port: 1 } })).toEqual([
      'pushbroom.yaml: line 1, column 1: public: must be object, is 1',
    ]);
  });

  test('also a file that is not there', async () => {
    await expect(loadConfig({ file: '/not/there.yaml' })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: expect.stringMatching(/^\/not\/there.yaml: ENOENT/),
    });
  });
});

describe('both listeners', () => {
  test.each([
    ['127.0.0.1', 'localhost'],
    ['0.0.0.0', '127.0.0.1'],
    ['10.0.0.1', '::'],
  ])('cannot share a port on %s and %s', async (host, other) => {
    expect(
      await problems(`public: { host: "${host}" }\ninternal: { host: "${other}", port: 8080 }`),
    ).toEqual([
      expect.stringMatching(
        /internal.port: is the port of the public listener \(8080\) on the same host$/,
      ),
    ]);
  });

  test('can on different hosts, and both can take any free port', async () => {
    expect(await problems('public: { host: 10.0.0.1 }\ninternal: { port: 8080 }')).toEqual([]);
    expect(await problems('public: { port: 0 }\ninternal: { port: 0 }')).toEqual([]);
  });
});

test.each(['ftp://a', 'a.b', 'https://me:secret@a', 'https://a/?x', 'https://a/#x', 'http://'])(
  'the base URL %s is refused',
  async (url) => {
    const [problem] = await problems(`public: { baseUrl: "${url}" }`);
    expect(problem).toContain('public.baseUrl: must be an http or https URL');
  },
);

test('a base URL may have a path', async () => {
  expect((await load('public: { baseUrl: "https://a.org/wps" }')).public.baseUrl).toBe(
    'https://a.org/wps',
  );
});

describe('a dataset', () => {
  test.each([
    [
      ['path: /a/(b'],
      'line 4, column 5: datasets[0].path: "(b" is not a regular expression for a name',
    ],
    [
      ['path:', '  - /a/b', '  - /a/${day}/x'],
      'line 6, column 9: datasets[0].path[1]: "/a/${day}/x" has the unknown variable ${day}',
    ],
    [['path: ","'], 'line 4, column 5: datasets[0].path: names no file'],
    [['path: a/../b'], 'datasets[0].path: "/a/../b" has the part ".."'],
    [
      ['path: /a/b', 'minDate: 2001-02-29'],
      'line 5, column 5: datasets[0].minDate: "2001-02-29" is not a day',
    ],
    [
      ['path: /a/b', 'maxDate: 20010228'],
      'line 5, column 5: datasets[0].maxDate: must be string, is 20010228',
    ],
    [
      ['path: /a/b', 'minDate: 2002-01-02', 'maxDate: 2002-01-01'],
      'line 6, column 5: datasets[0].maxDate: 2002-01-01 is before minDate 2002-01-02',
    ],
    [
      ['path: /a/b', 'regionName: ../x'],
      'line 5, column 5: datasets[0].regionName: cannot be part of a file name',
    ],
    [
      ['path: /a/b', 'region: POLYGON((0 0))'],
      'line 5, column 5: datasets[0].region: the region has a ring of 1 points',
    ],
    [
      ['path: /a/b', 'location: { pattern: /a/(?<host>.*) }'],
      'line 5, column 17: datasets[0].location.pattern: the group host is none of (?<node>...)',
    ],
    [
      ['path: /a/b', 'location: { nodes: [] }'],
      'line 5, column 17: datasets[0].location.nodes: must NOT have fewer than 1 items',
    ],
  ])('with %j is refused', async (lines, expected) => {
    const found = await problems(dataset(...lines));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });

  test('says where its products lie, by a pattern that leads from the file', async () => {
    const place = 'location: { pool: hall 2, pattern: "./(?<node>[^/]+)" }';
    expect((await load(dataset('path: /a/b', place))).datasets[0]!.location).toEqual({
      pool: 'hall 2',
      pattern: `${directory}/(?<node>[^/]+)`,
    });
  });

  test('cannot share name and type with another', async () => {
    const other = '\n  - { name: scenes, productType: S2, path: /c }';
    expect(await problems(dataset('path: /a/b') + other)).toEqual([
      'pushbroom.yaml: line 5, column 7: datasets[1].name: is that of another dataset of the type S2',
    ]);
  });

  test('may share its name with one of another type', async () => {
    const other = '\n  - { name: scenes, productType: S3, path: /c }';
    expect((await load(dataset('path: /a/b') + other)).datasets).toHaveLength(2);
  });
});

test('a description hides secrets', () => {
  const text = describeConfig({
    a: 1,
    s3: { secretKey: 'x1', accessToken: 'x2', list: [{ password: 'x3' }] },
  });
  expect(text).toContain('a: 1');
  expect(text).toContain('secretKey: (hidden)');
  expect(text).not.toMatch(/x[123]/);
});

describe('docs/configuration.md', () => {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');
  const rows = new Map(
    Array.from(
      page.matchAll(/^\| `([\w.[\]]+)` \| (.*?) \| (.*?) ?\| (.*)\|$/gm),
      ([, key = '', , fallback]) => [key, fallback],
    ),
  );

  test('describes every key of the schema with its default, and no other', () => {
    const keys = leaves(CONFIG_SCHEMA).filter(([key]) => !key.includes('.groups[].groups[]'));
    expect([...rows.keys()].toSorted()).toEqual(keys.map(([key]) => key).toSorted());
    for (const [key, fallback] of keys) {
      if (key === 'engines.local.cpus' || key === 'engines.local.memoryMb') continue;
      expect(`${key}: ${rows.get(key)}`).toBe(`${key}: ${fallback}`);
    }
  });

  test('has examples that load', async () => {
    const examples = Array.from(page.matchAll(/```yaml\n(.*?)```/gs), ([, yaml = '']) => yaml);
    const loaded: Config[] = [];
    for (const each of examples) loaded.push(await load(each));
    const [example, centre, twice, archive] = loaded as [Config, Config, Config, Config];
    expect(example).toMatchObject({ datasets: [{}, {}], jobs: { failurePercent: 5 } });
    expect(jobGroups(centre.scheduling)).toContain('project/tep');
    expect(twice.datasets[0]!.roots).toHaveLength(2);
    expect(archive.datasets[1]!.location).toHaveProperty('pattern');
  });
});

/** Keys of a schema with the text of their defaults. */
function leaves(schema: object, key = ''): [key: string, fallback: string][] {
  const {
    properties,
    items,
    required,
    default: fallback,
  } = schema as {
    properties?: Record<string, object>;
    items?: object;
    required?: string[];
    default?: unknown;
  };
  const inside = Object.entries(properties ?? {}).flatMap(([name, child]) =>
    leaves(child, key === '' ? name : `${key}.${name}`).map(([path, text]): [string, string] => [
      path,
      text === '' && path === `${key}.${name}` && required?.includes(name) ? 'required' : text,
    ]),
  );
  if (properties) return inside;
  const text =
    fallback === undefined
      ? ''
      : typeof fallback === 'string' && fallback !== ''
        ? fallback
        : JSON.stringify(fallback);
  return [
    [key, text],
    ...(items && isTree((items as { properties?: unknown }).properties)
      ? leaves(items, `${key}[]`)
      : []),
  ];
}
