import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { buildBundles } from '../../scripts/build-bundles.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';

const SCENES = join(import.meta.dirname, '../../demo/scenes');

const INPUTS = {
  productionName: 'Recovery',
  inputDataSetName: 'scenes',
  minDate: '2018-01-01',
  maxDate: '2018-12-31',
  spatioTemporalAggregationParameters: 'true',
};

describe('a server that is killed in the middle of a job', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let config: Record<string, unknown>;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    await buildBundles(join(directory.path, 'bundles'));
    config = {
      bundles: ['./bundles/timescan-1.0'],
      datasets: [
        {
          name: 'scenes',
          productType: 'S2_L2A',
          path: `${SCENES}/\${yyyy}/\${MM}/\${dd}/.*[.]tif`,
          minDate: '2015-08-01',
          maxDate: '2021-01-01',
        },
      ],
    };
  });
  afterAll(() => directory[Symbol.asyncDispose]());

  async function checksums(url: string, id: string): Promise<Record<string, string>> {
    const results = await operator(url).results(id);
    const products = results.filter(({ path }) => !path.endsWith('-metadata'));
    return Object.fromEntries(products.map(({ path, sha256 }) => [path, sha256]));
  }

  test('finishes the job after the next start with the same result, and repeats nothing that was done', async () => {
    const undisturbed = await startPushbroom(directory.path, {
      ...config,
      dataDir: './undisturbed',
    });
    const first = operator(undisturbed.internalUrl);
    const reference = await first.ended(await first.submit('timescan~1.0~Indices', INPUTS));
    const expected = await checksums(undisturbed.internalUrl, reference.id);
    await undisturbed.stop();
    expect(reference).toMatchObject({ state: 'successful' });
    expect(Object.keys(expected)).toHaveLength(2);

    let server = await startPushbroom(directory.path, config);
    const id = await operator(server.internalUrl).submit('timescan~1.0~Indices', INPUTS);
    let finished = 0;
    for (const enough of [3, 10]) {
      const seen = await until(
        () => operator(server.internalUrl).job(id),
        (job) => job.steps['process']!.finished >= enough,
      );
      finished = seen.steps['process']!.finished;
      await server.kill();
      server = await startPushbroom(directory.path, config);
    }
    const again = operator(server.internalUrl);
    expect((await again.job(id)).steps['process']!.finished).toBeGreaterThanOrEqual(finished);
    const job = await again.ended(id);
    expect(job).toMatchObject({ state: 'successful', steps: { process: { failed: 0 } } });
    // Only what ran at the two deaths was begun again: at most one attempt a processor.
    const lost = job.attempts - reference.attempts;
    const cores = (await again.get<{ items: { resources: { cpus: number } }[] }>('/api/nodes'))
      .items[0]!;
    expect(lost).toBeLessThanOrEqual(2 * cores.resources.cpus);
    expect(await checksums(server.internalUrl, id)).toEqual(expected);
    expect(await server.stop()).toBe(0);
  }, 120_000);
});

const DESCRIPTOR = `<bundleDescriptor><bundleName>patient</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors><processorDescriptor><executableName>Wait</executableName><processorName>Wait</processorName>
<formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

describe.each(['killed', 'stopped'] as const)('a server that is %s while attempts run', (how) => {
  test('adopts them at its next start: each runs once, to its end', async () => {
    await using directory = await temporaryDirectory();
    const file = (...path: string[]) => join(directory.path, ...path);
    await mkdir(file('patient'));
    await mkdir(file('archive'));
    await writeFile(file('patient/bundle-descriptor.xml'), DESCRIPTOR);
    const script = `#!/bin/sh
      echo "$1" >> ${file('begun')}
      until [ -e ${file('go')} ]; do sleep 0.05; done
      cp "$1" "$1.out"; echo "OUTPUT_PRODUCT $1.out"`;
    await writeFile(file('patient/Wait-process'), script, { mode: 0o755 });
    for (const name of ['a', 'b']) await writeFile(file('archive', name), name);
    const config = {
      bundles: ['./patient'],
      datasets: [{ name: 'letters', productType: 'ANY', path: './archive/.*' }],
      engines: { local: { cpus: 2, memoryMb: 4000, isolation: 'none' } },
    };
    const begun = () => readFile(file('begun'), 'utf8').then((text) => text.trim().split('\n'));

    const first = await startPushbroom(directory.path, config);
    const id = await operator(first.internalUrl).submit('patient~1.0~Wait', {
      inputDataSetName: 'letters',
    });
    await until(
      () => begun().catch(() => []),
      (lines) => lines.length === 2,
    );
    await (how === 'killed' ? first.kill() : first.stop());
    const second = await startPushbroom(directory.path, config);
    await writeFile(file('go'), '');
    const job = await operator(second.internalUrl).ended(id);
    expect(job).toMatchObject({ state: 'successful', attempts: 2 });
    expect((await begun()).toSorted()).toEqual(['a', 'b']);
    await second.stop();
  }, 60_000);
});
