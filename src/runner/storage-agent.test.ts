import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { createTestContainer, pack } from '../../test/fixtures/container.ts';
import type { TestContainer } from '../../test/fixtures/container.ts';
import { accessTo, createHdfsFiles } from '../../test/fixtures/hdfs.ts';
import type { HdfsFiles } from '../../test/fixtures/hdfs.ts';
import { startHadoop } from '../../test/servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../../test/servers/hadoop/cluster.ts';
import { lacksHadoop } from '../../test/servers/hadoop/installation.ts';
import { buildRunner } from './program-file.ts';

const MB = 1024 ** 2;
const COPY = 'cat "$1" > a; echo OUTPUT_PRODUCT a';

describe.skipIf(lacksHadoop())('the runner of a cluster, with a storage', () => {
  let hadoop: HadoopCluster;
  let programs: string;
  let runner: string;
  beforeAll(async () => {
    programs = await mkdtemp(join(tmpdir(), 'runner-'));
    runner = join(programs, 'agent.cjs');
    await buildRunner(runner);
    hadoop = await startHadoop({ nodes: 1 });
  }, 300_000);
  afterAll(async () => {
    await hadoop[Symbol.asyncDispose]();
    await rm(programs, { recursive: true });
  });

  let files: HdfsFiles;
  let proxy: HdfsFiles['proxy'];
  let node: TestNode;
  beforeEach(async () => {
    files = await createHdfsFiles(hadoop);
    ({ proxy } = files);
    node = await createTestNode();
  });
  afterEach(async () => {
    await node[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  /** What is of the storage in an assignment of the one task. */
  const stored = async () => ({
    task: 1,
    storages: [accessTo(proxy.url)],
    input: await files.put('a.tif', 'a scene\n'),
    directories: { result: `${files.place}/results/1` },
  });
  const results = () => files.list(`${files.place}/results`);
  /** What is unfinished begins with a dot, and goes with the job. */
  const committed = () => results().then((all) => all.filter((name) => !name.startsWith('.')));

  describe('in a container', () => {
    let container: TestContainer;
    beforeEach(async () => {
      container = await createTestContainer(node, runner);
    });
    afterEach(() => container[Symbol.asyncDispose]());

    test('needs no file system that others see', async () => {
      const assignment = await container.assign(COPY, await stored());
      expect(await container.run(assignment)).toEqual({ code: 0, words: '' });
      expect(await container.end()).toMatchObject({
        to: 'finished',
        result: {
          outputs: [{ path: 'a', size: 8 }],
          usage: { storageReadBytes: 8, storageWrittenBytes: 8 },
        },
      });
      expect(await files.contentOf(`${files.place}/results/1/a`)).toBe('a scene\n');
      expect(await container.list('work')).toEqual(['bundle']);
    });

    test('has said that it is killed before it tidies up', async () => {
      const committing = proxy.fail({
        operation: 'RENAME',
        path: /results\/\.1\.[^/]*$/,
        does: 'hold',
      });
      const tidying = proxy.fail({ operation: 'DELETE', after: 1, does: 'hold' });
      const assignment = await container.assign(COPY, await stored());
      const { pid, ended } = container.start(pack(assignment));
      await committing;
      process.kill(pid, 'SIGTERM');
      await tidying;
      const { attemptId } = assignment;
      const first = { attemptId, to: 'killed', result: {}, isKept: false };
      expect(await container.end()).toEqual(first);
      expect(await ended).toMatchObject({ code: 1 });
      expect(await container.end()).toMatchObject({ to: 'killed', result: { usage: {} } });
    });

    test.each([
      ['of an output', { operation: 'CREATE', isData: true }],
      ['of the manifest', { operation: 'CREATE', isData: true, after: 1 }],
      ['of all that was written', { operation: 'RENAME', path: /results\/\.1\.[^/]*$/ }],
    ] as const)('killed in the middle of the commit leaves no result: %s', async (_, fault) => {
      const held = proxy.fail({ ...fault, does: 'hold' });
      const { pid, ended } = container.start(pack(await container.assign(COPY, await stored())));
      await held;
      process.kill(pid, 'SIGKILL');
      await ended;
      expect(await committed()).toEqual([]);
      const next = await container.assign(COPY, await stored());
      expect(await container.run(next)).toEqual({ code: 0, words: '' });
      expect(await committed()).toEqual(['1']);
      expect(await files.list(`${files.place}/results/1`)).toEqual(['.manifest.json', 'a']);
    });

    test('killed in the middle of fetching leaves nothing to anybody else', async () => {
      const held = proxy.fail({ operation: 'OPEN', isData: true, after: 0, does: 'hold' });
      const input = await files.put('large.tif', randomBytes(MB));
      const assignment = await container.assign(COPY, { ...(await stored()), input });
      const { pid, ended } = container.start(pack(assignment));
      await held;
      process.kill(pid, 'SIGTERM');
      expect(await ended).toMatchObject({ code: 1 });
      expect(await container.end()).toMatchObject({ to: 'killed' });
      expect(await container.list('work')).toEqual(['bundle']);
      expect(await results()).toEqual([]);
    });

    test('waits for a storage that is away, and lives meanwhile', async () => {
      void proxy.fail({ operation: 'GETFILESTATUS', path: /a\.tif/, does: 'refuse', times: 8 });
      const assignment = await container.assign(COPY, await stored());
      expect(await container.run(assignment)).toEqual({ code: 0, words: '' });
      expect(await container.end()).toMatchObject({ to: 'finished' });
    });

    test('tells nobody how the storage is reached', async () => {
      const token = 'IAAEcm9vdARyb290AIoBnQ';
      const storages = [{ ...accessTo(proxy.url), token }];
      const input = `${files.place}/gone.tif`;
      const what = { prepare: 'env', process: 'exit 1' };
      const assignment = await container.assign(what, { ...(await stored()), storages, input });
      const { code, words } = await container.run(assignment);
      expect(code).toBe(1);
      const end = await container.end();
      expect(end.result.failure).toMatchObject({ kind: 'input' });
      const said = words + JSON.stringify(end) + (await container.log('out'));
      expect(said).toContain('gone.tif');
      expect(said).not.toContain(token);
    });
  });

  describe('on an agent', () => {
    let sandbox: string;
    beforeEach(async () => {
      sandbox = await realpath(await mkdtemp(join(tmpdir(), 'sandbox-')));
    });
    afterEach(() => rm(sandbox, { recursive: true }));

    async function onAgent() {
      const { directories, ...rest } = await node.assign(COPY, await stored());
      const assignment = { ...rest, directories: { ...directories, scratch: './scratch' } };
      const child = spawn(process.execPath, [runner], {
        cwd: sandbox,
        env: { PUSHBROOM_ASSIGNMENT: JSON.stringify(assignment) },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let words = '';
      child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
      const code = await new Promise((resolve) => child.once('close', resolve));
      return { code, words, log: directories.log };
    }

    test('leaves its result on the storage, its logs and its end where the service sees them', async () => {
      await mkdir(join(node.directory, 'logs'));
      const { code, words, log } = await onAgent();
      expect({ code, words }).toEqual({ code: 0, words: '' });
      expect(await files.list(`${files.place}/results/1`)).toEqual(['.manifest.json', 'a']);
      expect(JSON.parse(await readFile(`${log}.end.json`, 'utf8'))).toMatchObject({
        to: 'finished',
      });
    });

    test('does nothing where the service would not see its end', async () => {
      const { code, words } = await onAgent();
      expect(code).toBe(120);
      expect(words).toBe(
        `pushbroom: the shared file system is not mounted on this agent: there is no ${node.directory}/logs\n`,
      );
      expect(await results()).toEqual([]);
    });
  });

  test('finds what another engine has done', async () => {
    const first = await run(await node.assign(COPY, await stored()));
    await using container = await createTestContainer(node, runner);
    const assignment = await container.assign('echo ran; exit 1', await stored());
    expect(await container.run(assignment)).toEqual({ code: 0, words: '' });
    expect((await container.end()).result.outputs).toEqual(first.result.outputs);
  });
});
