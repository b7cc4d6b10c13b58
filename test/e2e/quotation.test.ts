import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { child, childText, children, parseXml } from '../../src/xml.ts';
import { operator, startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';

const PRODUCTS = 6;
const INPUTS = { inputDataSetName: 'texts' };

async function writeBundle(directory: string, version: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(
    join(directory, 'bundle-descriptor.xml'),
    `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>${version}</bundleVersion>
    <processorDescriptors><processorDescriptor>
      <executableName>Copy</executableName><processorName>Copy</processorName>
      <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
    </processorDescriptor></processorDescriptors></bundleDescriptor>`,
  );
  // It takes its time, so that a small ceiling is reached before all are done.
  const script = `#!/bin/sh\nsleep 0.3; cp "$1" "out-$1"; echo "OUTPUT_PRODUCT out-$1"\n`;
  await writeFile(join(directory, 'Copy-process'), script, { mode: 0o755 });
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let config: Record<string, unknown>;
beforeAll(async () => {
  directory = await temporaryDirectory();
  const archive = join(directory.path, 'archive');
  await mkdir(archive);
  for (let number = 0; number < PRODUCTS; number += 1) {
    await writeFile(join(archive, `${number}.txt`), `product ${number}\n`);
  }
  for (const version of ['1.0', '1.1']) {
    await writeBundle(join(directory.path, `copy-${version}`), version);
  }
  config = {
    bundles: ['./copy-1.0', './copy-1.1'],
    datasets: [{ name: 'texts', productType: 'TEXT', path: `${archive}/.*[.]txt` }],
    engines: { local: { cpus: 1 } },
  };
});
afterAll(() => directory[Symbol.asyncDispose]());

async function post(url: string, body: object) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('a price is assumed, then learnt from the jobs of any version, and nothing runs for it', async () => {
  const server = await startPushbroom(directory.path, config);
  const api = operator(server.internalUrl);
  const wps = async (query: string) =>
    parseXml(
      await (await fetch(`${server.publicUrl}/wps?service=WPS&version=1.0.0&${query}`)).text(),
    );
  const quoteOf = async (process: string) =>
    (await post(`${server.internalUrl}/api/quotes`, { process, inputs: INPUTS })).body;

  const described = await wps('request=DescribeProcess&identifier=copy~1.0~Copy');
  const [first] = children(child(child(described, 'ProcessDescription')!, 'DataInputs')!, 'Input');
  expect(childText(first!, 'Identifier')).toBe('quotation');

  const dataInputs = encodeURIComponent('quotation=true;inputDataSetName=texts');
  const quoted = await wps(
    `request=Execute&identifier=copy~1.0~Copy&dataInputs=${dataInputs}&status=true&storeExecuteResponse=true`,
  );
  const output = child(child(quoted, 'ProcessOutputs')!, 'Output')!;
  const [record] = JSON.parse(child(child(output, 'Data')!, 'ComplexData')!.text) as [
    { quantity: { id: string; value: number }[]; account: object },
  ];
  expect(record.quantity).toEqual([
    { id: 'CPU_MILLISECONDS', value: PRODUCTS * 60_000 },
    { id: 'PHYSICAL_MEMORY_BYTES', value: 1024 * 1024 * 1024 },
    { id: 'PROC_VOLUME_BYTES', value: 0 },
    { id: 'PROC_INSTANCE', value: PRODUCTS },
  ]);
  expect(record.account).toMatchObject({ userName: 'anonymous' });
  const { items } = (await (await fetch(`${server.internalUrl}/api/jobs`)).json()) as {
    items: unknown[];
  };
  expect(items).toEqual([]);

  const id = await api.submit('copy~1.0~Copy', { ...INPUTS, quotation: 'false' });
  expect(await api.ended(id)).toMatchObject({ state: 'successful' });
  const learnt = await quoteOf('copy~1.0~Copy');
  expect(learnt).toMatchObject({
    tasks: PRODUCTS,
    history: { jobs: 1, process: 'copy~1.0~Copy' },
    steps: [{ step: 'process', basis: 'history' }],
  });
  // Each takes a third of a second, most of it asleep.
  expect(learnt['wallMs']).toBeGreaterThan(PRODUCTS * 300);
  expect(learnt['cpuMs']).toBeLessThan(learnt['wallMs'] as number);
  expect(await quoteOf('copy~1.1~Copy')).toMatchObject({
    process: 'copy~1.1~Copy',
    history: { jobs: 1, process: 'copy~1.0~Copy' },
  });
  expect(await server.stop()).toBe(0);
}, 60_000);

test('a job stops at its ceiling, also for a server that was killed, and goes on with a higher one', async () => {
  // Two of its tasks take more.
  const limited = { ...config, jobs: { maxCpuHours: 0.4 / 3600 } };
  let server = await startPushbroom(directory.path, limited);
  const job = async (id: string) =>
    (await (await fetch(`${server.internalUrl}/api/jobs/${id}`)).json()) as Record<string, unknown>;
  const id = await operator(server.internalUrl).submit('copy~1.0~Copy', INPUTS);
  await expect.poll(() => job(id), { timeout: 20_000 }).toMatchObject({ paused: true });
  await server.kill();
  server = await startPushbroom(directory.path, limited);
  expect(await job(id)).toMatchObject({
    state: 'running',
    paused: true,
    message: expect.stringMatching(/^paused: it has used 0\.00\d+ of its 0\.000\d+ CPU hours$/),
  });
  const resume = `${server.internalUrl}/api/jobs/${id}/resume`;
  expect(await post(resume, {})).toMatchObject({
    status: 409,
    body: { message: expect.stringContaining('--max-cpu-hours') },
  });
  expect((await post(resume, { maxCpuHours: 5 })).status).toBe(200);
  expect(await operator(server.internalUrl).ended(id)).toMatchObject({
    state: 'successful',
    steps: { process: { finished: PRODUCTS } },
  });
  expect(await server.stop()).toBe(0);
}, 60_000);
