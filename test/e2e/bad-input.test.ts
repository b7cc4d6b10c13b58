import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { buildBundles } from '../../scripts/build-bundles.ts';
import { operator, startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

/** Processors that behave as badly as processors do. */
const SCRIPTS: Readonly<Record<string, string>> = {
  Copy: 'cp "$1" out.txt; echo "OUTPUT_PRODUCT out.txt"',
  Crash: 'echo "cannot make sense of $1" >&2; exit 3',
  Segfault: 'kill -SEGV $$',
  Hang: 'sleep 1000',
  Flood:
    'while :; do echo "all work and no play makes Jack a dull boy, all work and no play"; done',
  Liar: 'echo "OUTPUT_PRODUCT nothing.txt"',
  Escape: 'echo "OUTPUT_PRODUCT /etc/hostname"',
  Climb: 'echo x > ../climbed.txt; echo "OUTPUT_PRODUCT ../climbed.txt"',
  Background: '(sleep 1000 & echo $! > pid); cp pid out.txt; echo "OUTPUT_PRODUCT out.txt"',
  // Takes the products of even number only.
  Picky:
    'case "$1" in *[02468].txt) cp "$1" "copy-$1"; echo "OUTPUT_PRODUCT copy-$1";; *) echo "odd number" >&2; exit 1;; esac',
};

async function writeBundle(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const processors = Object.keys(SCRIPTS).map(
    (name) => `<processorDescriptor>
      <executableName>${name}</executableName><processorName>${name}</processorName>
      <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
      <jobConfig>
        <jobParameter><name>calvalus.hadoop.mapreduce.map.maxattempts</name><value>1</value></jobParameter>
        <jobParameter><name>calvalus.hadoop.mapreduce.task.timeout</name><value>1000</value></jobParameter>
      </jobConfig>
    </processorDescriptor>`,
  );
  const descriptor = `<bundleDescriptor><bundleName>bad</bundleName><bundleVersion>1.0</bundleVersion>
    <processorDescriptors>${processors.join('')}</processorDescriptors></bundleDescriptor>`;
  await writeFile(join(directory, 'bundle-descriptor.xml'), descriptor);
  for (const [name, script] of Object.entries(SCRIPTS)) {
    const file = join(directory, `${name}-process`);
    await writeFile(file, `#!/bin/sh\n${script}\n`);
    await chmod(file, 0o755);
  }
}

describe('a server that is given', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let config: Record<string, unknown>;
  let server: Pushbroom;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    const archive = join(directory.path, 'archive');
    await mkdir(join(archive, 'text'), { recursive: true });
    await mkdir(join(archive, 'one'));
    await mkdir(join(archive, 'tif'));
    for (let number = 0; number < 10; number += 1) {
      await writeFile(join(archive, 'text', `${number}.txt`), `product ${number}\n`);
    }
    await writeFile(join(archive, 'one', '1.txt'), 'the only one\n');
    const scene = await readFile(
      join(import.meta.dirname, '../../demo/scenes/2018/04/02/S2_L2A_romania_20180402.tif'),
    );
    await writeFile(join(archive, 'tif', 'truncated.tif'), scene.subarray(0, scene.length / 2));
    await writeBundle(join(directory.path, 'bad'));
    await buildBundles(join(directory.path, 'bundles'));
    const dataset = (name: string, productType: string, path: string) => ({
      name,
      productType,
      path,
    });
    config = {
      bundles: ['./bad', './bundles/timescan-1.0'],
      jobs: { retryDelay: 0 },
      engines: { local: { cpus: 2, outputLimit: 100_000 } },
      datasets: [
        dataset('ten', 'TEXT', './archive/text/.*[.]txt'),
        dataset('one', 'TEXT', './archive/one/.*[.]txt'),
        dataset('none', 'TEXT', './archive/text/nothing.*'),
        dataset('missing', 'TEXT', './archive/nowhere/.*'),
        dataset('truncated', 'S2_L2A', './archive/tif/.*[.]tif'),
      ],
    };
    server = await startPushbroom(directory.path, config);
  });
  afterAll(async () => {
    await server.stop();
    await directory[Symbol.asyncDispose]();
  });

  const run = async (process: string, dataset: string, inputs = {}) => {
    const api = operator(server.internalUrl);
    return api.ended(await api.submit(process, { inputDataSetName: dataset, ...inputs }));
  };

  test.for([
    ['Crash', 'Crash-process failed with exit code 3: cannot make sense of 1.txt (process of '],
    ['Segfault', 'Segfault-process was ended by SIGSEGV'],
    ['Hang', 'Hang-process said nothing for 1 s and was taken to hang'],
    ['Flood', 'Flood-process wrote more than 100000 bytes to stdout and stderr'],
    ['Liar', "Liar-process announced the output 'nothing.txt', which is not there"],
    [
      'Escape',
      "Escape-process announced the output '/etc/hostname', which lies outside its working directory",
    ],
  ] as const)(
    'a processor that does what %s does fails its job in words',
    async ([name, message]) => {
      const job = await run(`bad~1.0~${name}`, 'one');
      expect(job.state).toBe('failed');
      expect(job.message).toContain(message);
      expect(job.message).toContain('one/1.txt');
    },
  );

  test('a processor that writes outside its directory and calls it a result fails its job', async () => {
    const job = await run('bad~1.0~Climb', 'one');
    expect(job).toMatchObject({ state: 'failed' });
    // With isolation the writing fails, without it the announcement is refused.
    expect(job.message).toMatch(/climbed\.txt/);
  });

  test('a processor that leaves something running has it ended', async () => {
    const job = await run('bad~1.0~Background', 'one');
    expect(job.state).toBe('successful');
    const [result] = await operator(server.internalUrl).results(job.id);
    const pid = Number(await (await fetch(result!.href)).text());
    expect(pid).toBeGreaterThan(0);
    const { engines } = config as { engines: { local: { isolation?: string } } };
    // In a process namespace of its own the number means something else here.
    if (engines.local.isolation === 'none') expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  test('a truncated scene fails with the name of the file', async () => {
    const job = await run('timescan~1.0~Indices', 'truncated', {
      spatioTemporalAggregationParameters: 'false',
      'calvalus.hadoop.mapreduce.map.maxattempts': '1',
    });
    expect(job).toMatchObject({ state: 'failed', attempts: 1 });
    expect(job.message).toMatch(/truncated\.tif.*truncated/);
  });

  test('products that fail within the tolerance are named in the message of success', async () => {
    const job = await run('bad~1.0~Picky', 'ten', {
      'calvalus.hadoop.mapreduce.map.failures.maxpercent': '50',
    });
    expect(job).toMatchObject({
      state: 'successful',
      steps: { process: { finished: 5, failed: 5 } },
    });
    expect(job.message).toContain('5 of 10 products were lost');
    expect(job.message).toMatch(/3\.txt \(Picky-process failed with exit code 1: odd number\)/);
  });

  test('products that fail beyond the tolerance end the job', async () => {
    const job = await run('bad~1.0~Picky', 'ten', {
      'calvalus.hadoop.mapreduce.map.failures.maxpercent': '40',
    });
    expect(job).toMatchObject({ state: 'failed' });
    expect(job.message).toContain('more than the tolerated 40 %');
  });

  test('a request without products, or for an archive that is not there, fails with what was looked for', async () => {
    expect(await run('bad~1.0~Copy', 'none')).toMatchObject({
      state: 'failed',
      message: 'No products were found for the request.',
    });
    const job = await run('bad~1.0~Copy', 'missing');
    expect(job.state).toBe('failed');
    expect(job.message).toContain('archive/nowhere');
  });

  test('requests that name what there is not are refused before they become jobs', async () => {
    const api = operator(server.internalUrl);
    const refused = async (process: string, inputs: Record<string, string>) =>
      api.submit(process, inputs).then(
        () => 'accepted',
        (error: Error) => error.message,
      );
    expect(await refused('bad~1.0~Nobody', {})).toContain('Nobody');
    expect(await refused('bad~1.0~Copy', { inputDataSetName: 'elsewhere' })).toContain('elsewhere');
    expect(await refused('bad~1.0~Copy', { inputDataSetName: 'ten', colour: 'red' })).toContain(
      'colour',
    );
    const empty = { inputDataSetName: 'ten', minDate: '2020-02-01', maxDate: '2020-01-01' };
    expect(await refused('bad~1.0~Copy', empty)).toContain('empty');
  });

  test('its data directory a second time is refused with the name of the holder', async () => {
    await expect(startPushbroom(directory.path, config)).rejects.toThrow(
      new RegExp(`data directory is in use by process ${server.pid}`),
    );
  });

  test('any of that still serves the next good job', async () => {
    const job = await run('bad~1.0~Copy', 'one');
    expect(job).toMatchObject({
      state: 'successful',
      message: 'The request has been processed successfully.',
    });
    const [result] = await operator(server.internalUrl).results(job.id);
    expect(await (await fetch(result!.href)).text()).toBe('the only one\n');
  });
});
