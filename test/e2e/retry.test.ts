import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { operator, startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';
import type { JobSeen } from '../servers/pushbroom.ts';

/** Version 1.0 fails for every third product; what it has processed says so. */
const SCRIPTS: Readonly<Record<string, string>> = {
  '1.0':
    'case "$1" in *[036].txt) echo "odd band" >&2; exit 3;; esac; echo "by 1.0" > "out-$1"; echo "OUTPUT_PRODUCT out-$1"',
  '1.1': 'echo "by 1.1" > "out-$1"; echo "OUTPUT_PRODUCT out-$1"',
};

async function writeBundle(directory: string, version: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const parameter = (name: string, value: number) =>
    `<jobParameter><name>calvalus.hadoop.mapreduce.map.${name}</name><value>${value}</value></jobParameter>`;
  await writeFile(
    join(directory, 'bundle-descriptor.xml'),
    `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>${version}</bundleVersion>
    <processorDescriptors><processorDescriptor>
      <executableName>Copy</executableName><processorName>Copy</processorName>
      <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
      <jobConfig>${parameter('maxattempts', 1)}${parameter('failures.maxpercent', 50)}</jobConfig>
    </processorDescriptor></processorDescriptors></bundleDescriptor>`,
  );
  const script = `#!/bin/sh\n${SCRIPTS[version]}\n`;
  await writeFile(join(directory, 'Copy-process'), script, { mode: 0o755 });
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let config: Record<string, unknown>;
beforeAll(async () => {
  directory = await temporaryDirectory();
  const archive = join(directory.path, 'archive');
  await mkdir(archive);
  for (let number = 0; number < 9; number += 1) {
    await writeFile(join(archive, `${number}.txt`), `product ${number}\n`);
  }
  for (const version of ['1.0', '1.1']) {
    await writeBundle(join(directory.path, `copy-${version}`), version);
  }
  config = {
    bundles: ['./copy-1.0', './copy-1.1'],
    datasets: [{ name: 'texts', productType: 'TEXT', path: `${archive}/.*[.]txt` }],
  };
});
afterAll(() => directory[Symbol.asyncDispose]());

test('a retry with a corrected version does the failed products alone and delivers all of them', async () => {
  const server = await startPushbroom(directory.path, config);
  const api = operator(server.internalUrl);
  const id = await api.submit('copy~1.0~Copy', { inputDataSetName: 'texts' });
  const lossy = await api.ended(id);
  expect(lossy).toMatchObject({
    state: 'successful',
    steps: { process: { finished: 6, failed: 3 } },
  });

  const post = async (body: object) => {
    const response = await fetch(`${server.internalUrl}/api/jobs/${id}/retry`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (await response.json()) as { newJobId: string };
  };
  const { newJobId } = await post({ cause: 'odd band', version: '1.1' });
  const again: JobSeen = await api.ended(newJobId);
  expect(again).toMatchObject({
    state: 'successful',
    attempts: 9,
    steps: { process: { total: 9, finished: 9, failed: 0 } },
  });
  const results = await api.results(newJobId);
  const texts: Record<string, string> = {};
  for (const { path, href } of results.filter((result) => result.path.startsWith('out-'))) {
    texts[path] = (await (await fetch(href)).text()).trim();
  }
  expect(texts).toEqual(
    Object.fromEntries(
      Array.from({ length: 9 }, (_, n) => [`out-${n}.txt`, n % 3 === 0 ? 'by 1.1' : 'by 1.0']),
    ),
  );
  // The first one's results were kept for this; they go with its success.
  const left = join(directory.path, 'data/work/jobs', id);
  await expect.poll(() => readdir(left)).not.toContain('results');
  expect(await server.stop()).toBe(0);
}, 60_000);
