import { EventEmitter } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { run } from '../../test/operator/command-line.ts';
import { createTestServer, DESCRIPTOR } from '../../test/operator/operator-server.ts';
import type { TestServer } from '../../test/operator/operator-server.ts';
import { createTestGate } from '../../test/fixtures/gate.ts';
import { createFrontDoor } from '../gateways/front-door.ts';
import { wps1 } from '../gateways/wps/v1.ts';
import { createHttp } from '../http.ts';
import type { CliDeps, RunningServer, ServeOptions } from './deps.ts';

let files: string;
beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), 'pushbroom-serve-'));
});
afterAll(() => rm(files, { recursive: true }));

interface Started {
  options?: ServeOptions;
  server?: TestServer;
  closed: boolean;
}

/** Both listeners for real, over jobs in memory. */
function start(started: Started): CliDeps['serve'] {
  return async (options): Promise<RunningServer> => {
    const server = await createTestServer({ publicUrl: () => publicUrl });
    const http = createHttp({ logger: pino({ level: 'silent' }), bodyLimit: 1_000_000 });
    const service = { title: 'Test', abstract: '', provider: { name: 'Test' } };
    const door = createFrontDoor(http, {
      service,
      gate: createTestGate(server.jobs),
      stagingDir: files,
      references: { allow: [], maxBytes: 1, seconds: 1, maxRedirects: 0 },
    });
    await http.register(wps1, { prefix: '/wps', door, service, exceptionStatus: 'proper' });
    const publicUrl = await http.listen({ port: 0, host: '127.0.0.1' });
    const internalUrl = await server.app.listen({ port: 0, host: '127.0.0.1' });
    Object.assign(started, { options, server });
    return {
      publicUrl,
      internalUrl,
      async close() {
        await http.close();
        await server[Symbol.asyncDispose]();
        started.closed = true;
      },
    };
  };
}

const STEPS = {
  process: { total: 140, finished: 139, failed: 1 },
  aggregate: { total: 4, finished: 4, failed: 0 },
  format: { total: 1, finished: 1, failed: 0 },
};
const RESULT = {
  path: 'mean.tif',
  type: 'image/tiff',
  size: 5,
  sha256: 'ab',
  role: 'product',
} as const;

const buildBundles = async (outDir: string): Promise<readonly string[]> => {
  const bundle = join(outDir, 'timescan-1.0');
  await mkdir(bundle, { recursive: true });
  const descriptor = DESCRIPTOR.replaceAll('echo', 'timescan').replaceAll('Echo', 'Indices');
  await writeFile(join(bundle, 'bundle-descriptor.xml'), descriptor);
  await writeFile(join(bundle, 'Indices-process'), '#!/bin/sh\n', { mode: 0o755 });
  return ['timescan-1.0'];
};

/** The demo, whose only job ends as told at the second look. */
async function demo(
  argv: readonly string[],
  end: 'successful' | 'failed',
  change: Partial<CliDeps> = {},
) {
  const started: Started = { closed: false };
  const pause = async () => {
    const { jobs } = started.server!;
    const { items } = await jobs.list({ limit: 1 });
    const results = end === 'successful' ? [RESULT] : [];
    const message = { message: end === 'failed' ? 'no clear pixel' : 'done' };
    jobs.move(items[0]!.job.id, {
      state: end,
      percent: 100,
      steps: STEPS,
      attempts: 150,
      results,
      ...message,
    });
  };
  const dataDir = join(files, 'demo');
  const ended = await run(['demo', '--data-dir', dataDir, ...argv], {
    serve: start(started),
    buildBundles,
    pause,
    ...change,
  });
  return { ...ended, started, dataDir };
}

test('serve prints its URLs, ends cleanly at the first signal and at once at the second', async () => {
  const signals = new EventEmitter();
  const exits: number[] = [];
  const started: Started = { closed: false };
  const ended = run(['serve', '--data-dir', 'd', '--port', '0', '--internal-host', '::1'], {
    signals,
    exit: (code) => exits.push(code),
    async serve(options) {
      const server = await start(started)(options);
      setImmediate(() => signals.emit('SIGTERM'));
      return {
        ...server,
        async close() {
          signals.emit('SIGINT');
          await server.close();
        },
      };
    },
  });
  const { code, stdout } = await ended;
  expect(stdout).toMatch(
    /^public +http:\/\/127\.0\.0\.1:\d+ .*\ninternal +http:\/\/127\.0\.0\.1:\d+ .*\n$/,
  );
  expect([code, started.closed, exits]).toEqual([0, true, [130]]);
  expect(started.options).toEqual({ overrides: { dataDir: 'd', port: 0, internalHost: '::1' } });
  expect(signals.listenerCount('SIGINT') + signals.listenerCount('SIGTERM')).toBe(0);
});

test('the demo runs its request and ends with one line of JSON', async () => {
  const { code, stdout, stderr, started, dataDir } = await demo(['--json'], 'successful');
  expect(stderr).toContain(
    '100 %  successful; process 139/140, 1 failed; aggregate 4/4; format 1/1\n',
  );
  expect(code).toBe(0);
  expect(stdout.trimEnd()).not.toContain('\n');
  const id = '20260131102030_L3_0001';
  expect(JSON.parse(stdout)).toEqual({
    job: id,
    state: 'successful',
    products: 140,
    tasks: 145,
    attempts: 150,
    failed: 1,
    seconds: expect.any(Number),
    results: [
      {
        path: join(dataDir, 'staging', 'anonymous', id, 'mean.tif'),
        href: expect.stringMatching(
          /^http:\/\/127\.0\.0\.1:\d+\/staging\/anonymous\/.*\/mean\.tif$/,
        ),
        type: 'image/tiff',
      },
    ],
  });
  expect(started.closed).toBe(true);
  const { config = '', overrides } = started.options!;
  expect(overrides).toMatchObject({ dataDir, port: 0, internalPort: 0 });
  const { datasets } = parse(await readFile(config, 'utf8'));
  expect(datasets).toMatchObject([
    { name: 'Sentinel-2 L2A Romania 20 m', minDate: '2015-08-01', maxDate: '2021-01-01' },
  ]);
  const { pathname } = new URL(import.meta.url);
  const scene = join(pathname, '../../../demo/scenes/2015/08/01/S2_L2A_romania_20150801.tif');
  const pattern = datasets[0].path
    .replace('${yyyy}', '2015')
    .replace('${MM}', '08')
    .replace('${dd}', '01');
  expect(scene).toMatch(new RegExp(`^${pattern}$`));
});

test('the demo posts the inputs of demo/request.xml and tells people how to go on', async () => {
  const signals = new EventEmitter();
  const output: string[] = [];
  const { code, started } = await demo(['--keep'], 'successful', {
    signals,
    stdout: {
      write(text) {
        output.push(text);
        if (text.includes('until Ctrl-C')) setImmediate(() => signals.emit('SIGINT'));
      },
    },
  });
  const { job } = await started.server!.jobs.status('20260131102030_L3_0001');
  expect(code).toBe(0);
  const text = output.join('');
  expect(text).toContain('140 products, 145 tasks');
  expect(text).toContain('bin/pushbroom logs');
  expect(job.process).toBe('timescan~1.0~Indices');
  expect(job.inputs).toEqual({
    productionName: 'TimeScan Romania',
    inputDataSetName: 'Sentinel-2 L2A Romania 20 m',
    minDate: '2015-08-01',
    maxDate: '2021-01-01',
    regionWKT: expect.stringMatching(/^POLYGON\(\(/),
    spatioTemporalAggregationParameters: 'true',
    outputFormat: 'GeoTIFF',
  });
});

test('a demo whose job fails fails and says why', async () => {
  const { code, stdout, stderr, started } = await demo(['--json'], 'failed');
  expect([code, JSON.parse(stdout).state, started.closed]).toEqual([1, 'failed', true]);
  expect(stderr).toMatch(/pushbroom: job \S+ failed: no clear pixel\n$/);
});

test('an interrupted demo closes its server', async () => {
  const signals = new EventEmitter();
  const { code, stderr, started } = await demo([], 'successful', {
    signals,
    pause: async () => void signals.emit('SIGINT'),
  });
  expect([code, started.closed]).toEqual([1, true]);
  expect(stderr).toMatch(/^pushbroom: interrupted: job \S+ has not ended yet\n$/);
});

test('a refused request is told with what WPS says, and the server closes', async () => {
  const request = join(files, 'wrong.xml');
  const right = await readFile(join(import.meta.dirname, '../../demo/request.xml'), 'utf8');
  await writeFile(request, right.replace('timescan~1.0~Indices', 'timescan~9~Indices'));
  const { code, stderr, started } = await demo(['--request', request], 'successful');
  expect([code, started.closed]).toEqual([1, true]);
  expect(stderr).toContain('timescan~9~Indices');
});

test('the demo empties only what is its own', async () => {
  const precious = join(files, 'precious.txt');
  await writeFile(precious, 'mine');
  const { code, stderr } = await demo(['--data-dir', files], 'successful');
  expect([code, await readFile(precious, 'utf8')]).toEqual([1, 'mine']);
  expect(stderr).toContain('give another --data-dir');
});

test('a directory that a running demo holds is left alone', async () => {
  const held = await mkdtemp(join(files, 'held-'));
  // The parent of this process runs for sure.
  await writeFile(join(held, 'demo.pid'), `${process.ppid}\n`);
  const { code, stderr } = await demo(['--data-dir', held], 'successful');
  expect([code, stderr]).toEqual([1, expect.stringContaining(`process ${process.ppid}`)]);
});

test('submit posts an Execute document to the public listener and waits as a portal does', async () => {
  const started: Started = { closed: false };
  const server = await start(started)({ overrides: {} });
  const request = join(import.meta.dirname, '../../demo/request.xml');
  const id = '20260131102030_L3_0001';
  const argv = ['submit', request, '--wait', '--public', server.publicUrl];
  const { code, stdout } = await run(argv, {
    pause: async () =>
      started.server!.jobs.move(id, { state: 'successful', percent: 100, results: [RESULT] }),
  });
  await server.close();
  expect(code).toBe(0);
  expect(stdout).toBe(
    `accepted ${id}\n  0 %  running\n100 %  successful\n${server.publicUrl}/staging/anonymous/${id}/mean.tif\n`,
  );
});
