import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createConfigFile } from '../test/fixtures/config.ts';
import { archiveOf, sightsOf } from './config-places.ts';
import { loadConfig } from './config.ts';

const { directory, load, problems } = createConfigFile();

const HDFS = 'storage: { hdfs: [{ name: calvalus, urls: ["http://nn:9870"] }] }\n';
const YARN = (...more: string[]) => `engines:
  yarn:
    resourceManagers: ["http://rm:8088"]
    hadoopConfiguration: hadoop
${more.map((line) => `    ${line}\n`).join('')}`;
const dataset = (...lines: string[]) =>
  `datasets:\n  - name: scenes\n    productType: S2\n${lines.map((line) => `    ${line}\n`).join('')}`;

describe('a storage', () => {
  test('has its files beside the configuration', async () => {
    const { storage } = await load(`storage:
  hdfs:
    - name: a
      urls: ["https://nn1:9871", "http://nn2:9870/"]
      authentication: token
      tokenFile: secrets/token
      caFile: ca.pem
    - { name: b, urls: ["http://x"], authentication: kerberos, principal: eo@X, keytab: eo.keytab }
`);
    expect(storage.hdfs).toMatchObject([
      { tokenFile: join(directory, 'secrets/token'), caFile: join(directory, 'ca.pem') },
      { keytab: join(directory, 'eo.keytab') },
    ]);
  });

  test.each([
    [['urls: [ftp://nn]'], 'storage.hdfs[0].urls[0]: must be an http or https URL'],
    [['urls: ["http://me:secret@nn"]'], 'fragment, is "http://…@nn"'],
    [['urls: []'], 'storage.hdfs[0].urls: must NOT have fewer than 1 items'],
    [['authentication: token'], 'storage.hdfs[0].authentication: token needs tokenFile, too'],
    [['tokenFile: t'], 'storage.hdfs[0].tokenFile: needs authentication: token, too'],
    [['keytab: k', 'principal: p'], 'storage.hdfs[0].principal: needs authentication: kerberos'],
    [['keytab: k', 'authentication: kerberos'], 'storage.hdfs[0].keytab: needs principal, too'],
    [['principal: p', 'authentication: kerberos'], undefined],
    [['name: "a/b"'], 'storage.hdfs[0].name: must match pattern'],
  ])('with %j: %s', async (lines, expected) => {
    const given = Object.fromEntries(lines.map((line) => [line.split(':')[0], line]));
    const settings = { name: 'name: a', urls: 'urls: ["http://nn"]', ...given };
    const yaml = `storage:\n  hdfs:\n    - ${Object.values(settings).join('\n      ')}\n`;
    const found = (await problems(yaml)).join('\n');
    if (expected === undefined) expect(found).toBe('');
    else expect(found).toContain(expected);
  });

  test('has a name of its own', async () => {
    const twice =
      'storage: { hdfs: [{ name: a, urls: ["http://a"] }, { name: a, urls: ["http://b"] }] }';
    const found = await problems(twice);
    expect(found).toEqual([
      'pushbroom.yaml: line 1, column 54: storage.hdfs[1].name: is that of another storage',
    ]);
  });
});

describe('working files', () => {
  test('may lie on a storage', async () => {
    expect((await load(`${HDFS}workDir: hdfs://calvalus//pushbroom/work/`)).workDir).toBe(
      'hdfs://calvalus/pushbroom/work',
    );
    expect((await load('workDir: shared/work')).workDir).toBe(join(directory, 'shared/work'));
  });

  test.each([
    [
      'workDir: hdfs://other/work',
      'workDir: "hdfs://other/work" is a URL of no configured storage',
    ],
    ['workDir: s3://calvalus/work', 'there is hdfs://calvalus'],
    ['dataDir: hdfs://calvalus/data', 'dataDir: cannot be a URL; name a directory'],
    ['staging: { directory: "hdfs://calvalus/s" }', 'staging.directory: cannot be a URL'],
  ])('%s is refused', async (line, expected) => {
    expect((await problems(HDFS + line)).join('\n')).toContain(expected);
  });
});

describe('a dataset', () => {
  test('may lie on a storage', async () => {
    const { datasets } = await load(HDFS + dataset('path: "hdfs://calvalus/eo/${yyyy}/.*,./b/.*"'));
    expect(datasets[0]!.patterns).toEqual(['hdfs://calvalus/eo/${yyyy}/.*', `${directory}/b/.*`]);
  });

  test('may lie in several places', async () => {
    const { datasets } = await load(
      HDFS +
        dataset(
          'path: [2020/.*, "${yyyy}/x.*"]',
          'roots:',
          '  - { path: hdfs://calvalus/eo/, pool: calvalus, engines: [yarn] }',
          '  - { path: mnt }',
        ),
    );
    expect(datasets[0]).toEqual({
      name: 'scenes',
      productType: 'S2',
      patterns: ['2020/.*', '${yyyy}/x.*'],
      roots: [
        { location: 'hdfs://calvalus/eo', pool: 'calvalus', engines: ['yarn'] },
        { location: join(directory, 'mnt') },
      ],
    });
  });

  const ROOTS = (path: string) => `roots: [{ path: ${path} }]`;
  test.each([
    [
      ['path: hdfs://other/.*'],
      'line 5, column 5: datasets[0].path: "hdfs://other/.*" is a URL of no configured storage',
    ],
    [
      ['path: /a/.*', ROOTS('/b')],
      'datasets[0].path: "/a/.*" is absolute; of a dataset with roots, it is relative to each',
    ],
    [['path: hdfs://calvalus/.*', ROOTS('/b')], 'datasets[0].path: "hdfs://calvalus/.*" is abso'],
    [['path: ../a/.*', ROOTS('/b')], 'datasets[0].path: "/../a/.*" has the part ".."'],
    [['path: ","', ROOTS('/b')], 'datasets[0].path: names no file'],
    [
      ['path: a', ROOTS('hdfs://other/b')],
      'datasets[0].roots[0].path: "hdfs://other/b" is a URL of no configured storage; there is hdfs://calvalus',
    ],
    [
      ['path: a', 'roots: [{ path: /b, engines: [local, jarn] }]'],
      'datasets[0].roots[0].engines[1]: there is no engine "jarn", there are local, mesos, yarn',
    ],
    [['path: a', 'roots: []'], 'datasets[0].roots: must NOT have fewer than 1 items'],
    [
      ['path: a', 'roots: [{ path: /b, engines: [yarn] }]'],
      'datasets[0].roots: no engine has nodes that can read /b',
    ],
  ])('with %j is refused', async (lines, expected) => {
    expect((await problems(HDFS + dataset(...lines))).join('\n')).toContain(expected);
  });

  test('that no engine can read is refused', async () => {
    const only = `${HDFS}workDir: hdfs://calvalus/w\n${YARN('sharedDirectories: [/shared]')}  local: { enabled: false }\n`;
    expect((await problems(only + dataset('path: /archive/a/.*'))).join('\n')).toContain(
      'datasets[0].path: no engine has nodes that can read /archive/a',
    );
    expect(await problems(only + dataset('path: /shared/a/.*'))).toEqual([]);
    expect(await problems(only + dataset('path: hdfs://calvalus/a/.*'))).toEqual([]);
  });
});

describe('YARN', () => {
  const work = `${HDFS}workDir: hdfs://calvalus/w\n`;

  test('has its files beside the configuration, and a command for Java or a path', async () => {
    const { engines } = await load(`${work}${YARN('principal: p', 'keytab: eo.keytab')}`);
    expect(engines.yarn).toMatchObject({
      hadoopConfiguration: join(directory, 'hadoop'),
      keytab: join(directory, 'eo.keytab'),
      java: 'java',
    });
    expect((await load(`${work}${YARN('java: jdk/bin/java')}`)).engines.yarn.java).toBe(
      join(directory, 'jdk/bin/java'),
    );
  });

  test.each([
    ['storage: other', 'engines.yarn.storage: is none of storage.hdfs, which has calvalus'],
    ['keytab: k', 'engines.yarn.keytab: needs principal, too'],
    ['storage: calvalus', undefined],
  ])('with %s: %s', async (line, expected) => {
    const found = (await problems(`${work}${YARN(line)}`)).join('\n');
    if (expected === undefined) expect(found).toBe('');
    else expect(found).toContain(expected);
  });

  const FILES = 'certFile: c.pem, keyFile: k.pem';
  test.each([
    ['', 'engines.yarn.managed: has no certFile: masters call by HTTPS alone'],
    ['certFile: c', 'engines.yarn.managed: has no keyFile'],
    [`${FILES}, java: 'java; rm'`, 'engines.yarn.managed.java: must match pattern'],
    [`${FILES}, baseUrl: me`, 'engines.yarn.managed.baseUrl: must be an http or https URL'],
    [`${FILES}, port: 8081`, 'engines.yarn.managed.port: is the port of the internal listener'],
    [FILES, undefined],
  ])('with managed masters and { %s }: %s', async (managed, expected) => {
    const yarn = YARN('applicationMaster: managed', `managed: { ${managed} }`);
    const found = (await problems(`${work}${yarn}`)).join('\n');
    if (expected === undefined) expect(found).toBe('');
    else expect(found).toContain(expected);
  });

  test('has unmanaged masters where there is Kerberos', async () => {
    const managed = YARN('applicationMaster: managed', `managed: { ${FILES} }`, 'principal: p');
    expect((await problems(`${work}${managed}`)).join('\n')).toContain(
      'engines.yarn.applicationMaster: can only be unmanaged where there is a principal',
    );
  });

  test('needs its file system, its configuration and addresses', async () => {
    const bare = 'engines: { yarn: { resourceManagers: [rm1] } }';
    expect((await problems(bare)).map((line) => line.replace(/^.*column \d+: /, ''))).toEqual([
      'engines.yarn.resourceManagers[0]: must be an http or https URL without user, query and fragment, is "rm1"',
      'engines.yarn: has no hadoopConfiguration',
      'engines.yarn: needs the file system of its cluster in storage.hdfs',
    ]);
  });

  test('needs working files that its nodes see', async () => {
    const shared = YARN('sharedDirectories: [/shared]');
    expect((await problems(HDFS + shared)).join('\n')).toMatch(
      /engines\.yarn: nodes of the engine yarn do not see data\/work\/jobs: let workDir be/,
    );
    expect((await problems(`${HDFS}workDir: /elsewhere\n${shared}`)).join('\n')).toContain(
      'workDir: nodes of the engine yarn do not see /elsewhere',
    );
    expect(await problems(`${HDFS}workDir: /shared/work\n${shared}`)).toEqual([]);
    expect(await problems(`${HDFS}dataDir: /shared/data\n${shared}`)).toEqual([]);
  });

  test('is the only engine that sees no more than what is said', async () => {
    const config = await load(
      `${work}${YARN('sharedDirectories: [/shared]')}  mesos: { masters: ["http://m:5050"] }\n`,
    );
    expect(sightsOf(config)).toEqual([
      { id: 'local' },
      { id: 'mesos' },
      { id: 'yarn', directories: ['/shared'] },
    ]);
    expect(sightsOf(await loadConfig({}))).toEqual([{ id: 'local' }]);
  });
});

describe('the archive', () => {
  const SCENES = dataset("path: ['eodata/S2/${yyyy}/.*', /other/.*/x]");

  test('is by default where the datasets are', async () => {
    expect(archiveOf(await load(SCENES))).toEqual({
      allowed: [join(directory, 'eodata/S2'), '/other'],
      storages: [],
    });
  });

  test('has its root, and every root of a dataset', async () => {
    const roots = dataset(
      'path: S2/${yyyy}/.*',
      'roots: [{ path: /near }, { path: "hdfs://calvalus/far" }]',
    );
    expect(archiveOf(await load(`${HDFS}archive: { root: eodata/ }\n${roots}`))).toEqual({
      root: join(directory, 'eodata'),
      allowed: [join(directory, 'eodata'), '/near/S2', 'hdfs://calvalus/far/S2'],
      storages: ['hdfs://calvalus'],
    });
  });

  test('is where it is said to be, and nowhere else', async () => {
    const archive =
      'archive: { root: /calvalus, allowed: [/calvalus/eodata/, "hdfs://calvalus/x"] }\n';
    expect(archiveOf(await load(HDFS + archive + SCENES))).toMatchObject({
      root: '/calvalus',
      allowed: ['/calvalus/eodata', 'hdfs://calvalus/x'],
    });
    expect(archiveOf(await load(`archive: { allowed: [] }\n${SCENES}`)).allowed).toEqual([]);
  });

  test('is on storages that there are', async () => {
    const archive = 'archive: { root: "hdfs://a/x", allowed: [/y, "hdfs://b/z"] }';
    expect(await problems(archive)).toEqual([
      expect.stringContaining('archive.root: "hdfs://a/x" is a URL of no configured storage'),
      expect.stringContaining('archive.allowed[1]: "hdfs://b/z" is a URL of no configured storage'),
    ]);
  });
});
