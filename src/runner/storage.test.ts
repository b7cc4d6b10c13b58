import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { accessTo, createHdfsFiles } from '../../test/fixtures/hdfs.ts';
import type { HdfsFiles } from '../../test/fixtures/hdfs.ts';
import { lacks } from '../../test/fixtures/requires.ts';
import { startHadoop } from '../../test/servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../../test/servers/hadoop/cluster.ts';
import { lacksHadoop } from '../../test/servers/hadoop/installation.ts';
import type { Assignment } from './assignment.ts';

const MB = 1024 ** 2;

describe.skipIf(lacksHadoop())('with a storage', () => {
  let hadoop: HadoopCluster;
  beforeAll(async () => {
    hadoop = await startHadoop({ nodes: 1 });
  }, 300_000);
  afterAll(() => hadoop[Symbol.asyncDispose]());

  let files: HdfsFiles;
  let place: string;
  let proxy: HdfsFiles['proxy'];
  let node: TestNode;
  beforeEach(async () => {
    files = await createHdfsFiles(hadoop);
    ({ place, proxy } = files);
    node = await createTestNode();
  });
  afterEach(async () => {
    await node[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  const assign = async (...[what, over = {}]: Parameters<TestNode['assign']>) =>
    node.assign(what, { storages: [accessTo(proxy.url)], ...over });

  describe('an input', () => {
    test('is brought there, under its own name, and goes with the attempt', async () => {
      const input = await files.put('scène 1+%41.txt');
      const assignment = await assign('echo "$1" $(ls | wc -l); cat "$1"', { input });
      const end = await run(assignment);
      const usage = { storageReadBytes: 8, sources: { storage: 'runner' } };
      expect(end).toMatchObject({ to: 'finished', result: { usage } });
      expect(await node.log(assignment, 'out')).toBe('scène 1+%41.txt 2\na scene\n');
      expect(await node.list('scratch')).toEqual([]);
    });

    test('that is a directory comes with everything in it', async () => {
      for (const path of ['s.SAFE/manifest', 's.SAFE/a/b/1', 's.SAFE/a/2', 's.SAFE/.hidden']) {
        await files.put(path, `${path}\n`);
      }
      await files.hdfs.makeDirectory(`${place}/s.SAFE/empty`);
      const input = `${place}/s.SAFE`;
      const script = 'echo $(find "$1" | sort); cat "$1/a/b/1" "$1/.hidden"';
      const assignment = await assign(script, { input });
      expect(await run(assignment)).toMatchObject({ to: 'finished' });
      const all = ['', '/.hidden', '/a', '/a/2', '/a/b', '/a/b/1', '/empty', '/manifest'];
      const names = all.map((name) => `s.SAFE${name}`).join(' ');
      expect(await node.log(assignment, 'out')).toBe(`${names}\ns.SAFE/a/b/1\ns.SAFE/.hidden\n`);
    });

    test('that is not there is the reason', async () => {
      const input = `${place}/gone.tif`;
      const end = await run(await assign('exit 0', { input }));
      expect(end.result.failure).toEqual({
        kind: 'input',
        message: `the input ${input} cannot be used: ${input} is not there.`,
      });
    });

    test('that goes while it is brought is the reason', async () => {
      await files.put('s/a');
      await files.put('s/b');
      const input = `${place}/s`;
      const held = proxy.fail({ operation: 'OPEN', path: /\/s\/a$/, does: 'refuse', times: 1 });
      const ended = run(await assign('exit 0', { input }));
      await held;
      await files.hdfs.remove(`${input}/a`);
      expect((await ended).result.failure).toMatchObject({
        kind: 'input',
        message: expect.stringContaining(`${input}/a is not there`),
      });
    });

    test('that its user may not read is the reason, in words', async () => {
      const input = await files.put('secret.tif');
      await files.administer(input, 'op=SETPERMISSION&permission=600');
      const storages = [accessTo(proxy.url, 'guest')];
      const end = await run(await assign('exit 0', { input, storages }));
      expect(end.result.failure).toMatchObject({
        kind: 'input',
        message: expect.stringMatching(/the input .*secret\.tif cannot be used: .*guest/),
      });
    });

    test('in a storage of which nobody says how it is reached is said to be so', async () => {
      const end = await run(await assign('exit 0', { input: 'hdfs://other/a.tif' }));
      expect(end.result.failure).toMatchObject({
        kind: 'input',
        message: expect.stringContaining('hdfs://other/a.tif cannot be used'),
      });
    });

    test('is whole, though it broke off', async () => {
      const content = randomBytes(5 * MB);
      const input = await files.put('a.tif', content);
      const hash = createHash('sha256').update(content).digest('hex');
      const broken = proxy.fail({ operation: 'OPEN', isData: true, does: 'break', times: 2 });
      const assignment = await assign('sha256sum < "$1"', { input });
      const end = await run(assignment);
      await broken;
      expect(end).toMatchObject({ to: 'finished' });
      expect(await node.log(assignment, 'out')).toContain(hash);
      expect(end.result.usage!.storageReadBytes).toBeGreaterThanOrEqual(5 * MB);
    });

    test('is given to prepare by its URL, and brought unless that fetches it', async () => {
      const input = await files.put('a.tif');
      const fetched = await assign(
        {
          prepare: 'echo "$1" > local; echo CALVALUS_INPUT_PRODUCT local',
          process: 'cat "$1"',
        },
        { input },
      );
      expect(await run(fetched)).toMatchObject({ to: 'finished' });
      expect(await node.log(fetched, 'out')).toContain(`${input}\n`);
      expect(proxy.seen.filter((each) => each.startsWith('OPEN'))).toEqual([]);
      const left = await assign({ prepare: 'echo "$1"', process: 'cat "$1"' }, { input });
      expect(await run(left)).toMatchObject({ to: 'finished' });
      expect(await node.log(left, 'out')).toBe(`${input}\na scene\n`);
    });

    test('is not brought for longer than the attempt may take', async () => {
      const input = await files.put('a.tif', randomBytes(MB));
      void proxy.fail({ operation: 'OPEN', isData: true, does: 'hold' });
      const end = await run(await assign('exit 0', { input, limits: { wallTime: 1 } }));
      expect(end.result.failure).toEqual({
        kind: 'time',
        message: 'the bringing of the input took longer than its limit of 1 s',
      });
      expect(await node.list('scratch')).toEqual([]);
    });

    test('that does not come on is the fault of the network', async () => {
      const input = await files.put('a.tif', randomBytes(MB));
      void proxy.fail({ operation: 'OPEN', isData: true, does: 'hold' });
      const end = await run(await assign('exit 0', { input, limits: { silence: 1 } }));
      expect(end.result.failure).toEqual({
        kind: 'network',
        message: 'the bringing of the input stood still for 1 s',
      });
    });

    test('leaves nothing where the attempt is ended in the middle of it', async () => {
      const input = await files.put('a.tif', randomBytes(MB));
      const held = proxy.fail({ operation: 'OPEN', isData: true, does: 'hold' });
      const stop = new AbortController();
      const ended = run(await assign('exit 0', { input }), { signal: stop.signal });
      await held;
      stop.abort();
      expect(await ended).toMatchObject({ to: 'killed' });
      expect(await node.list('scratch')).toEqual([]);
    });

    test('never goes where a link of prepare leads to', async () => {
      const input = await files.put('a.tif');
      const secret = join(node.directory, 'secret');
      await writeFile(secret, 'mine');
      const prepare = `ln -s ${secret} a.tif`;
      const end = await run(await assign({ prepare, process: 'exit 0' }, { input }));
      expect(end).toMatchObject({ to: 'failed' });
      expect(await node.read('secret')).toBe('mine');
    });

    test.skipIf(lacks('mounting as root'))('fails for a full disk of the node', async () => {
      const small = await mkdtemp(join(tmpdir(), 'small-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'pushbroom-test', small]);
      try {
        const input = await files.put('a.tif', randomBytes(4 * MB));
        const directories = { scratch: join(small, 'scratch') };
        const end = await run(await assign('exit 0', { input, directories }));
        expect(end.result.failure).toMatchObject({
          kind: 'disk',
          message: expect.stringContaining("no space is left on the node's disk"),
        });
      } finally {
        execFileSync('umount', ['--lazy', small]);
        await rm(small, { recursive: true });
      }
    });
  });

  describe('a list of inputs', () => {
    const SHOW = 'while read -r line; do echo "$line: $(cat "$line")"; done < "$1"';
    const listed = async (lines: readonly string[]): Promise<string> => {
      const file = join(node.directory, '7.txt');
      await writeFile(file, lines.map((line) => `${line}\n`).join(''));
      return file;
    };

    test('names what was brought; what the node has stays where it is', async () => {
      const lines = [
        await files.put('1/part.tif', 'first\n'),
        node.input,
        await files.put('2/part.tif', 'second\n'),
        await files.put('2/other.tif', 'third\n'),
      ];
      const input = await listed([...lines, lines[0]!]);
      const assignment = await assign(`${SHOW}; echo $(ls)`, { input, isList: true });
      expect(await run(assignment)).toMatchObject({ to: 'finished' });
      const at = (path: string) => join(assignment.directories.scratch, '.inputs', path);
      expect(await node.log(assignment, 'out')).toBe(
        `${at('1/part.tif')}: first\n${node.input}: a scene\n${at('2/part.tif')}: second
${at('1/other.tif')}: third\n${at('1/part.tif')}: first\n7.txt parameters\n`,
      );
      expect(proxy.seen.filter((each) => each.startsWith('OPEN data'))).toHaveLength(3);
    });

    test('may lie on the storage itself, and is given to prepare when all is there', async () => {
      const input = await files.put('7.txt', `${await files.put('a.tif')}\n${node.input}\n`);
      const prepare = 'cat $(cat "$1")';
      const assignment = await assign({ prepare, process: SHOW }, { input, isList: true });
      expect(await run(assignment)).toMatchObject({ to: 'finished' });
      expect(await node.log(assignment, 'out')).toMatch(/^(a scene\n){2}.+a\.tif: a scene\n/);
    });

    test('of which one is missing names that one', async () => {
      const input = await listed([await files.put('a.tif'), `${place}/gone.tif`]);
      const end = await run(await assign('exit 0', { input, isList: true }));
      expect(end.result.failure).toMatchObject({
        kind: 'input',
        message: expect.stringContaining(`the input ${place}/gone.tif cannot be used`),
      });
    });

    test('is left as it is where no storage has any of it', async () => {
      const input = await listed([node.input, 'https://archive.example/a.tif']);
      const assignment = await assign('readlink "$1"; cat "$1"', { input, isList: true });
      expect(await run(assignment)).toMatchObject({ to: 'finished' });
      expect(await node.log(assignment, 'out')).toBe(
        `${input}\n${node.input}\nhttps://archive.example/a.tif\n`,
      );
    });

    test('is a file like any other where nobody says that it is a list', async () => {
      const input = await listed([await files.put('a.tif')]);
      const assignment = await assign('cat "$1"', { input });
      expect(await run(assignment)).toMatchObject({ to: 'finished' });
      expect(await node.log(assignment, 'out')).toBe(`${place}/a.tif\n`);
    });
  });

  describe('a result', () => {
    const OUTPUTS =
      'printf abc > a.tif; echo b > b; echo OUTPUT_PRODUCT a.tif; echo OUTPUT_PRODUCT b';
    const assignTo = (
      task: number,
      what: Parameters<TestNode['assign']>[0],
      over: Parameters<TestNode['assign']>[1] = {},
    ): Promise<Assignment> =>
      assign(what, { task, ...over, directories: { result: resultOf(task), ...over.directories } });
    const UNFINISHED = /results\/\.1\.[^/]*$/;
    const RESULT = /results\/1$/;
    const resultOf = (task: number) => `${place}/results/${task}`;

    test('is there with its manifest, and nothing beside it', async () => {
      const end = await run(await assignTo(1, OUTPUTS, { checksum: true }));
      const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
      expect(end).toMatchObject({
        to: 'finished',
        result: {
          outputs: [
            { path: 'a.tif', size: 3, sha256 },
            { path: 'b', size: 2 },
          ],
          usage: { storageWrittenBytes: 5 },
        },
      });
      expect(await files.list(`${place}/results`)).toEqual(['1']);
      expect(await files.list(resultOf(1))).toEqual(['.manifest.json', 'a.tif', 'b']);
      expect(await files.contentOf(`${resultOf(1)}/a.tif`)).toBe('abc');
      expect(JSON.parse(await files.contentOf(`${resultOf(1)}/.manifest.json`))).toEqual(
        end.result.outputs,
      );
      expect(await node.list('scratch')).toEqual([]);
    });

    test('that is there already is told, and nothing runs', async () => {
      const first = await run(await assignTo(1, OUTPUTS));
      const again = await assignTo(1, 'echo ran; exit 1');
      expect(await run(again)).toMatchObject({
        to: 'finished',
        result: { outputs: first.result.outputs },
      });
      expect(await node.log(again, 'out')).toBe('');
    });

    test('is made by nobody where there are no outputs', async () => {
      expect(await run(await assignTo(1, 'exit 0'))).toMatchObject({ to: 'finished' });
      expect(await files.list(`${place}/results`)).toEqual([]);
    });

    test('is that of one attempt, whole, where several come at once', async () => {
      const names = ['1', '2', '3', '4', '5', '6'];
      // All wait for each other, so that nobody finds what another has committed.
      const script = (name: string) => `echo ${name} > out; echo ${name} > ${name}
        touch ${node.directory}/${name}; for each in ${names.join(' ')}; do
          until [ -e ${node.directory}/$each ]; do sleep 0.05; done; done
        echo OUTPUT_PRODUCT out; echo OUTPUT_PRODUCT ${name}`;
      const ends = await Promise.all(
        names.map(async (name) => run(await assignTo(1, script(name), { checksum: true }))),
      );
      expect(ends.map(({ to }) => to)).toEqual(names.map(() => 'finished'));
      const [winner] = await files
        .list(resultOf(1))
        .then((all) => all.filter((name) => /^\d$/.test(name)));
      expect(await files.list(resultOf(1))).toEqual(['.manifest.json', winner, 'out']);
      expect(await files.contentOf(`${resultOf(1)}/out`)).toBe(`${winner}\n`);
      const manifest: unknown = JSON.parse(await files.contentOf(`${resultOf(1)}/.manifest.json`));
      for (const { result } of ends) expect(result.outputs).toEqual(manifest);
      expect(await files.list(`${place}/results`)).toEqual(['1']);
    });

    test.each(['RENAME', 'CREATE', 'DELETE'])(
      'is there once, though the answer to a %s was lost',
      async (operation) => {
        const broken = proxy.fail({ operation, does: 'break' });
        const end = await run(await assignTo(1, OUTPUTS));
        await broken;
        expect(end).toMatchObject({ to: 'finished', result: { outputs: [{ path: 'a.tif' }, {}] } });
        expect(await files.list(resultOf(1))).toEqual(['.manifest.json', 'a.tif', 'b']);
        expect(await files.list(`${place}/results`)).toEqual(['1']);
      },
    );

    test('is there once, though the storage was away just when it was moved', async () => {
      const moved = proxy.fail({ operation: 'RENAME', path: UNFINISHED, does: 'break' });
      // Longer than it is asked for whether that was done.
      void proxy.fail({ operation: 'GETFILESTATUS', path: RESULT, does: 'refuse', times: 5 });
      const end = await run(await assignTo(1, OUTPUTS));
      await moved;
      expect(end).toMatchObject({ to: 'finished', result: { outputs: [{ path: 'a.tif' }, {}] } });
      expect(await files.list(`${place}/results`)).toEqual(['1']);
    });

    test('is there, though a data node did not take an output at first', async () => {
      const refused = proxy.fail({ operation: 'CREATE', isData: true, does: 'refuse' });
      expect(await run(await assignTo(1, OUTPUTS))).toMatchObject({ to: 'finished' });
      await refused;
      expect(await files.contentOf(`${resultOf(1)}/a.tif`)).toBe('abc');
    });

    test.each([
      ['of an output', { operation: 'CREATE', isData: true, after: 1 }],
      ['of the manifest', { operation: 'CREATE', isData: true, after: 2 }],
      ['of all that was written', { operation: 'RENAME', path: UNFINISHED }],
    ] as const)(
      'is not there, nor half of it, where the attempt is ended in the middle of the commit: %s',
      async (_, fault) => {
        const held = proxy.fail({ ...fault, does: 'hold' });
        const stop = new AbortController();
        const ended = run(await assignTo(1, OUTPUTS), { signal: stop.signal });
        await held;
        stop.abort();
        expect(await ended).toMatchObject({ to: 'killed' });
        expect(await files.list(`${place}/results`)).toEqual([]);
        expect(await run(await assignTo(1, OUTPUTS))).toMatchObject({ to: 'finished' });
        expect(await files.list(`${place}/results`)).toEqual(['1']);
      },
    );

    test('beyond a quota fails for that, and leaves nothing', async () => {
      await files.hdfs.makeDirectory(`${place}/results`);
      await files.administer(
        `${place}/results`,
        'op=SETQUOTA&namespacequota=-1&storagespacequota=1000',
      );
      const end = await run(await assignTo(1, OUTPUTS));
      expect(end.result.failure).toMatchObject({
        kind: 'disk',
        message: expect.stringMatching(/^the outputs cannot be brought to hdfs:.* quota/),
      });
      expect(await files.list(`${place}/results`)).toEqual([]);
    });

    test('where its user may not write is not the fault of the attempt', async () => {
      const storages = [accessTo(proxy.url, 'guest')];
      const end = await run(await assignTo(1, OUTPUTS, { storages }));
      expect(end.result.failure).toMatchObject({
        kind: 'engine',
        message: expect.stringMatching(/^the outputs cannot be brought to hdfs:.*guest/),
      });
    });

    test('that somebody else has put there is not taken for one', async () => {
      await files.hdfs.write(`${resultOf(1)}/foreign`, Buffer.from('x'));
      const end = await run(await assignTo(1, OUTPUTS));
      expect(end.result.failure).toMatchObject({
        kind: 'engine',
        message: expect.stringContaining(`${resultOf(1)} is there and has no .manifest.json`),
      });
      expect(await files.list(resultOf(1))).toEqual(['foreign']);
      expect(await files.list(`${place}/results`)).toEqual(['1']);
    });

    test('whose manifest is none is said to be so', async () => {
      await files.hdfs.write(`${resultOf(1)}/.manifest.json`, Buffer.from('[{'));
      const end = await run(await assignTo(1, OUTPUTS));
      expect(end.result.failure).toMatchObject({
        kind: 'engine',
        message: expect.stringContaining('.manifest.json is not JSON'),
      });
    });

    test('with a name that the storage does not take is the fault of the processor', async () => {
      const end = await run(await assignTo(1, 'touch a:b; echo OUTPUT_PRODUCT a:b'));
      expect(end.result.failure).toMatchObject({
        kind: 'processor',
        message: expect.stringContaining('a:b'),
      });
    });

    test('in a storage of which nobody says how it is reached is refused before anything runs', async () => {
      const directories = { result: 'hdfs://other/results/1' };
      const assignment = await assign('echo ran', { directories });
      expect((await run(assignment)).result.failure).toEqual({
        kind: 'engine',
        message: expect.stringContaining("hdfs://other/results/1 is in none of the attempt's"),
      });
      expect(await node.log(assignment, 'out')).toBe('');
    });
  });
});
