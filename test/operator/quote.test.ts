import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { createManualClock } from '../scheduler/world.ts';
import { QUOTED, startCentre } from './centre.ts';
import type { Centre } from './centre.ts';
import { run } from './command-line.ts';

const REQUEST = { process: 'test~1.0~Copy', inputs: { inputDataSetName: 'scenes' } };

let centre: Centre;
let files: string;
const time = createManualClock();
beforeEach(async () => {
  files = await mkdtemp(join(tmpdir(), 'quote-'));
  centre = await startCentre({ n1: { cpus: 4, memoryMb: 4096 } }, time.clock);
  centre.products.set(QUOTED, ['a', 'b', 'c']);
});
afterEach(async () => {
  await centre[Symbol.asyncDispose]();
  await rm(files, { recursive: true });
});

const quote = (body: object = REQUEST) => centre.call('POST', '/api/quotes', body);

async function cli(...flags: readonly string[]) {
  const file = join(files, 'request.json');
  await writeFile(file, JSON.stringify(REQUEST));
  return run(['quote', file, ...flags], { env: { PUSHBROOM_URL: centre.url } });
}

test('a request is quoted with what is assumed, and nothing is accepted', async () => {
  const { status, body } = await quote({ ...REQUEST, user: 'utep' });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    process: 'test~1.0~Copy',
    user: 'utep',
    group: 'project/tep',
    products: 3,
    lowerBound: false,
    tasks: 3,
    cpuMs: 180_000,
    reservedCpuMs: 180_000,
    history: { jobs: 0, process: 'test~1.0~Copy' },
    steps: [{ step: 'process', tasks: 3, basis: 'default' }],
  });
  expect(body).not.toHaveProperty('maxCpuHours');
  expect((await centre.call('GET', '/api/jobs')).body.items).toEqual([]);
});

test('what would be refused is refused, and who asks for a price gets no job', async () => {
  const bad = { ...REQUEST, inputs: { inputDataSetName: 'nope' } };
  const [quoted, submitted] = [await quote(bad), await centre.call('POST', '/api/jobs', bad)];
  expect(quoted).toEqual(submitted);
  expect(quoted.status).toBe(400);
  const priced = { ...REQUEST, inputs: { ...REQUEST.inputs, quotation: true } };
  expect((await quote(priced)).status).toBe(200);
  const { status, body } = await centre.call('POST', '/api/jobs', priced);
  expect([status, body.message]).toEqual([
    400,
    "The input 'quotation': what would be quoted is not run; leave it out to run it.",
  ]);
  centre.products.set(QUOTED, []);
  expect((await quote()).body.message).toBe('No products were found for the request.');
});

test('the ceiling at which it would be paused is told', async () => {
  const inputs = { ...REQUEST.inputs, 'pushbroom.maxCpuHours': 0.01 };
  expect((await quote({ ...REQUEST, inputs })).body.maxCpuHours).toBe(0.01);
});

test('the command line shows a table, or JSON', async () => {
  const { code, stdout } = await cli();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Products +3$/m);
  expect(stdout).toMatch(/^Reserved +0\.05 CPU hours$/m);
  expect(stdout).toMatch(/^Basis +assumed: it has not run here yet$/m);
  expect(stdout).toMatch(/^process +3 +0\.05 +0\.05 +537 MB +0 B +default$/m);
  expect(JSON.parse((await cli('--json')).stdout)).toMatchObject({ products: 3, tasks: 3 });
  const none = await run(['quote', join(files, 'nope.xml')], { env: {} });
  expect([none.code, none.stderr]).toEqual([
    1,
    expect.stringMatching(/^pushbroom: cannot read the request/),
  ]);
});
