import { EventEmitter } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../test/operator/command-line.ts';
import type { Run } from '../../test/operator/command-line.ts';
import { failedTask, PROCESS } from '../../test/operator/memory-jobs.ts';
import { createTestServer, DESCRIPTOR } from '../../test/operator/operator-server.ts';
import type { TestServer } from '../../test/operator/operator-server.ts';
import type { CliDeps } from './deps.ts';

let server: TestServer;
let url: string;
let files: string;
beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), 'pushbroom-cli-'));
});
afterAll(() => rm(files, { recursive: true }));
beforeEach(async () => {
  server = await createTestServer();
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(() => server[Symbol.asyncDispose]());

const cli = (argv: readonly string[], change: Partial<CliDeps> = {}): Promise<Run> =>
  run(argv, { env: { PUSHBROOM_URL: url }, ...change });

const submit = async (title = 'A job'): Promise<string> => {
  const inputs = { productionName: title };
  const request = {
    process: PROCESS.id,
    inputs,
    caller: { user: 'utep', role: 'operator' as const, groups: [] },
  };
  return (await server.jobs.submit(request)).job.id;
};

const fileOf = async (name: string, text: string): Promise<string> => {
  const path = join(files, name);
  await writeFile(path, text);
  return path;
};

describe('looking', () => {
  test('jobs are listed in aligned columns', async () => {
    const id = await submit('First');
    server.jobs.move(id, {
      state: 'running',
      percent: 24.9,
      steps: {
        process: { total: 140, finished: 34, failed: 1 },
        aggregate: { total: 4, finished: 0, failed: 0 },
        format: { total: 0, finished: 0, failed: 0 },
      },
    });
    const { code, stdout } = await cli(['jobs']);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'JOB                     STATE    DONE  TASKS   ACCEPTED (UTC)       USER  PROCESS               TITLE',
      '20260131102030_L3_0001  running  24 %  34/144  2026-01-31 10:20:30  utep  timescan~1.0~Indices  First',
      '',
    ]);
  });

  test('jobs are filtered and paged', async () => {
    const first = await submit();
    const second = await submit();
    server.jobs.move(first, { state: 'failed' });
    const failed = await cli(['jobs', '--state', 'failed,dismissed', '--json']);
    expect(JSON.parse(failed.stdout)).toMatchObject({ items: [{ id: first, state: 'failed' }] });
    const page = await cli(['jobs', '--limit', '1']);
    expect(page.stdout).toContain(`more: --after ${second}\n`);
    expect((await cli(['jobs', '--after', second])).stdout).toContain(first);
  });

  test('a job shows its steps and why tasks failed', async () => {
    const id = await submit();
    server.jobs.put(...failedTask(id, 7));
    const [task] = failedTask(id, 8);
    server.jobs.put({ ...task, state: 'running' }, []);
    server.jobs.move(id, {
      state: 'failed',
      message: '1 of 140 products failed',
      steps: {
        process: { total: 140, finished: 139, failed: 1 },
        aggregate: { total: 0, finished: 0, failed: 0 },
        format: { total: 0, finished: 0, failed: 0 },
      },
    });
    const { code, stdout } = await cli(['job', id]);
    expect(code).toBe(0);
    expect(stdout).toContain('failed: 1 of 140 products failed\n');
    expect(stdout).toMatch(/process +140 +139 +1\n/);
    expect(stdout).toMatch(/\.7 +1 +\/scenes\/7\.tif +the scene is truncated\n/);
    const json = JSON.parse((await cli(['job', id, '--json'])).stdout);
    expect(json).toMatchObject({ id, failures: [{ number: 7 }], results: [] });
    expect(json.failures).toHaveLength(1);
  });

  test('a successful job shows where its results are', async () => {
    const id = await submit();
    const result = {
      path: 'a.tif',
      type: 'image/tiff',
      size: 2_345_678,
      sha256: 'ab',
      role: 'product',
    } as const;
    server.jobs.move(id, { state: 'successful', percent: 100, results: [result] });
    const { stdout } = await cli(['job', id]);
    expect(stdout).toMatch(
      /product +2\.3 MB +http:\/\/public\.example\/staging\/utep\/.*\/a\.tif\n/,
    );
  });

  test('a title cannot write to the terminal as it likes', async () => {
    await submit('\u001b[2Jgone\nnext');
    expect((await cli(['jobs'])).stdout).toContain('?[2Jgone next\n');
  });

  test('datasets are listed', async () => {
    expect((await cli(['datasets'])).stdout).toMatch(
      /Romania 20 m +S2_L2A +2015-08-01 +2021-01-01/,
    );
  });
});

describe('logs', () => {
  test('of a job: failed tasks first, each headed by its reason', async () => {
    const id = await submit();
    const [task, attempts] = failedTask(id, 1);
    server.jobs.put(
      { ...task, state: 'finished' },
      attempts.map((attempt) => ({ ...attempt, state: 'finished', result: {} })),
    );
    server.jobs.put(...failedTask(id, 2));
    server.logs.set(`${id}.1.1.out`, Buffer.from('fine\n'));
    server.logs.set(`${id}.2.1.err`, Buffer.from('cannot read strip 3'));
    const { stdout } = await cli(['logs', id]);
    expect(stdout).toBe(
      `== ${id}.2.1 failed on here: the scene is truncated\ncannot read strip 3\n` +
        `== ${id}.1.1 finished on here\nfine\n`,
    );
  });

  test('of a task or an attempt: the text alone, longer than one part', async () => {
    const id = await submit();
    server.jobs.put(...failedTask(id, 2));
    const long = 'line\n'.repeat(50_000);
    server.logs.set(`${id}.2.1.out`, Buffer.from(long));
    expect((await cli(['logs', `${id}.2`])).stdout).toBe(long);
    expect((await cli(['logs', `${id}.2.1`])).stdout).toBe(long);
    const json = JSON.parse((await cli(['logs', `${id}.2.1`, '--json'])).stdout);
    expect(json.items).toMatchObject([{ id: `${id}.2.1`, out: long, err: '' }]);
  });

  test('are followed to their end', async () => {
    const id = await submit();
    const [task, [attempt]] = failedTask(id, 2);
    server.jobs.put({ ...task, state: 'running' }, [{ ...attempt!, state: 'running' }]);
    server.logs.set(`${id}.2.1.out`, Buffer.from('one\n'));
    const pause = async () => {
      server.logs.set(`${id}.2.1.out`, Buffer.from('one\ntwo\n'));
      server.jobs.put(task, [attempt!]);
    };
    expect(await cli(['logs', '-f', `${id}.2`], { pause })).toEqual({
      code: 0,
      stdout: 'one\ntwo\n',
      stderr: '',
    });
  });

  test.each([
    ['a.b', 'pushbroom: "a.b" is not the id of a job, a task or an attempt\n'],
    ['a.1.1.1', 'pushbroom: "a.1.1.1" is not the id of a job, a task or an attempt\n'],
  ])('of what is no id (%s) are refused', async (id, stderr) => {
    expect(await cli(['logs', id])).toEqual({ code: 1, stdout: '', stderr });
  });
});

describe('submitting', () => {
  const request = JSON.stringify({
    process: PROCESS.id,
    inputs: { productionName: 'From a file' },
  });

  test('a JSON request becomes a job', async () => {
    const { code, stdout } = await cli(['submit', await fileOf('request.json', request)]);
    expect([code, stdout]).toEqual([0, 'accepted 20260131102030_L3_0001\n']);
  });

  test('waiting shows a line for each change until the end, then the results', async () => {
    const id = '20260131102030_L3_0001';
    const result = {
      path: 'a.tif',
      type: 'image/tiff',
      size: 1,
      sha256: 'ab',
      role: 'product',
    } as const;
    const steps = [
      () => server.jobs.move(id, { state: 'running', percent: 50 }),
      () => {},
      () => server.jobs.move(id, { state: 'successful', percent: 100, results: [result] }),
    ];
    const pause = async () => steps.shift()?.();
    const { code, stdout } = await cli(['submit', await fileOf('r.json', request), '--wait'], {
      pause,
    });
    expect(code).toBe(0);
    expect(stdout).toBe(
      `accepted ${id}\n  0 %  accepted\n 50 %  running\n100 %  successful\n` +
        `http://public.example/staging/operator/${id}/a.tif\n`,
    );
  });

  test('a job that fails fails the command, which says why', async () => {
    const id = '20260131102030_L3_0001';
    const pause = async () => server.jobs.move(id, { state: 'failed', message: 'no products' });
    const file = await fileOf('r.json', request);
    const { code, stdout, stderr } = await cli(['submit', file, '--wait', '--json'], { pause });
    expect([code, JSON.parse(stdout).state]).toEqual([1, 'failed']);
    expect(stderr).toContain(`pushbroom: job ${id} failed: no products\n`);
  });

  test('waiting ends at the first signal, and the job goes on', async () => {
    const signals = new EventEmitter();
    const pause = async () => void signals.emit('SIGINT');
    const file = await fileOf('r.json', request);
    const { code, stderr } = await cli(['submit', file, '--wait'], { pause, signals });
    const id = '20260131102030_L3_0001';
    expect([code, stderr]).toEqual([1, `pushbroom: interrupted: job ${id} has not ended yet\n`]);
    expect((await server.jobs.status(id)).state).toBe('accepted');
  });

  test('a file that is not there, not JSON or not accepted is told in one line', async () => {
    const missing = await cli(['submit', join(files, 'nope.json')]);
    expect(missing.stderr).toMatch(/^pushbroom: cannot read the request: ENOENT.*\n$/);
    const broken = await cli(['submit', await fileOf('broken.json', '{')]);
    expect(broken.stderr).toMatch(/^pushbroom: .*broken\.json is not JSON: .*\n$/);
    const unknown = await cli([
      'submit',
      await fileOf('u.json', '{"process":"a~1~b","inputs":{}}'),
    ]);
    expect(unknown.stderr).toBe("pushbroom: There is no process 'a~1~b'\n");
    expect([missing.code, broken.code, unknown.code]).toEqual([1, 1, 1]);
  });
});

describe('processors', () => {
  test('a directory is packed, deployed and listed; again changes nothing', async () => {
    const bundle = join(files, 'echo-1.0');
    await mkdir(bundle);
    await writeFile(join(bundle, 'bundle-descriptor.xml'), DESCRIPTOR);
    await writeFile(join(bundle, 'Echo-process'), '#!/bin/sh\n', { mode: 0o755 });
    const { code, stdout } = await cli(['processors', 'deploy', bundle]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^deployed echo~1\.0\n/)]);
    expect((await cli(['processors', 'deploy', bundle])).code).toBe(0);
    const { stdout: list } = await cli(['processors', 'list']);
    expect(list).toMatch(/echo~1\.0~Echo +[0-9a-f]{12} +Says it again\n/);
    await writeFile(join(bundle, 'Echo-process'), '#!/bin/sh\n# changed\n');
    const changed = await cli(['processors', 'deploy', bundle]);
    expect([changed.code, changed.stderr]).toEqual([
      1,
      expect.stringContaining('raise the version'),
    ]);
  });

  test('a directory with a link that leads out is refused before anything is sent', async () => {
    const bundle = join(files, 'linked-1.0');
    await mkdir(bundle);
    await symlink('/etc/passwd', join(bundle, 'secret'));
    const { code, stderr } = await cli(['processors', 'deploy', bundle]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^pushbroom: .*leads out.*\n$/)]);
  });

  test('what is no bundle is refused with the server’s words', async () => {
    const file = await fileOf('no.zip', 'no zip');
    const { code, stderr } = await cli(['processors', 'deploy', file]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^pushbroom: The bundle .*\n$/)]);
    const missing = await cli(['processors', 'deploy', join(files, 'nope')]);
    expect(missing.stderr).toMatch(/^pushbroom: cannot read the bundle: ENOENT.*\n$/);
  });
});

describe('what cannot be', () => {
  test('a server that is not there is named with the remedy', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => gone.once('listening', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const { code, stdout, stderr } = await cli(['jobs', '--server', `http://127.0.0.1:${port}`]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      `pushbroom: cannot reach http://127.0.0.1:${port}: is 'pushbroom serve' running?\n`,
    );
  });

  test('a server that is another program is told', async () => {
    const other = createServer((_, response) => response.writeHead(404).end('<html>')).listen(
      0,
      '127.0.0.1',
    );
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await cli(['jobs', '--server', `http://127.0.0.1:${port}`]);
    other.close();
    expect([code, stderr]).toEqual([1, expect.stringContaining('answered 404')]);
  });

  test.each([
    [['jobs', '--server', 'ftp://x'], 'pushbroom: "ftp://x" is not an http or https URL\n'],
    [['jobs', '--limit', '0'], 'It must be a whole number from 1 to 1000.'],
    [['serve', '--port', '70000'], 'It must be a whole number from 0 to 65535.'],
    [['job'], "pushbroom: missing required argument 'id'\n"],
    [['jobs', '--nonsense'], "pushbroom: unknown option '--nonsense'\n"],
    [['fly'], "pushbroom: unknown command 'fly'\n"],
    [['job', 'nope'], "pushbroom: There is no job 'nope'\n"],
  ])('%j fails with one line', async (argv, line) => {
    const { code, stdout, stderr } = await cli(argv);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(line);
    expect(stderr.trimEnd()).not.toContain('\n');
  });
});

describe('help', () => {
  const verbs =
    'serve,demo,submit,jobs,job,logs,explain,failures,pause,resume,prioritise,retry,cancel,processors,' +
    'processors list,processors deploy,bundles,bundle,bundle vet,bundle deploy,bundle withdraw,bundle publish,bundle hide,bundle remove,upload,datasets,inputs,nodes,nodes drain,nodes undrain,engines,teardown,groups,reload,simulate';
  test.each(['', ...verbs.split(',')])('pushbroom %s has help with examples', async (verb) => {
    const { code, stdout } = await cli([...verb.split(' ').filter(Boolean), '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Examples:\n  $ pushbroom ');
  });

  test('the version is told', async () => {
    expect(await cli(['--version'])).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' });
  });
});
