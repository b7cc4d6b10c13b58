import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createWebHdfs } from '../../src/storage/webhdfs/webhdfs.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';
import type { JobSeen, Pushbroom } from '../servers/pushbroom.ts';

/** Waits for its gate, if it is the first, and gives its product back. */
const SCRIPT = `#!/bin/sh
case "$1" in 1.txt) while [ ! -e "$GATE" ]; do sleep 0.1; done;; esac
cp "$1" "out-$1" && echo "OUTPUT_PRODUCT out-$1"
`;

const DESCRIPTOR = `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>1.0</bundleVersion>
  <processorDescriptors><processorDescriptor>
    <executableName>Copy</executableName><processorName>Copy</processorName>
    <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
  </processorDescriptor></processorDescriptors></bundleDescriptor>`;

interface TaskSeen {
  readonly key: string;
  readonly state: string;
  readonly attempts: number;
  readonly failure?: { readonly kind: string; readonly message: string };
}

describe.skipIf(lacksHadoop())('products and results on HDFS', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let hadoop: HadoopCluster;
  /** As its superuser. */
  let hdfs: Storage;
  let count = 0;
  /** Of one test, here and there. */
  let home: string;
  let place: string;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    hadoop = await startHadoop({ nodes: 1 });
    hdfs = createWebHdfs({ type: 'webhdfs', name: 'eo', urls: [hadoop.webhdfsUrl], user: 'root' });
  }, 300_000);
  afterAll(async () => {
    await hadoop?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    count += 1;
    home = join(directory.path, String(count));
    place = `/test-${count}`;
    await mkdir(join(home, 'copy'), { recursive: true });
    await writeFile(join(home, 'copy/bundle-descriptor.xml'), DESCRIPTOR);
    const script = SCRIPT.replace('$GATE', join(home, 'gate'));
    await writeFile(join(home, 'copy/Copy-process'), script, { mode: 0o755 });
    for (const name of ['1.txt', '2.txt']) {
      await hdfs.write(`hdfs://eo${place}/in/${name}`, Buffer.from(`product ${name}\n`));
    }
    await hdfs.makeDirectory(`hdfs://eo${place}/work`);
    await permit('/work', '777');
  });

  /** What of WebHDFS is no storage's affair. */
  async function permit(path: string, permission: string): Promise<void> {
    const query = `op=SETPERMISSION&permission=${permission}&user.name=root`;
    const url = `${hadoop.webhdfsUrl}/webhdfs/v1${place}${path}?${query}`;
    expect((await fetch(url, { method: 'PUT' })).status).toBe(200);
  }

  const openGate = () => writeFile(join(home, 'gate'), '');

  async function serving<T>(
    work: (api: ReturnType<typeof operator>, server: Pushbroom) => Promise<T>,
  ) {
    const server = await startPushbroom(home, {
      bundles: ['./copy'],
      workDir: `hdfs://eo${place}/work`,
      storage: { hdfs: [{ name: 'eo', urls: [hadoop.webhdfsUrl], user: 'guest' }] },
      datasets: [{ name: 'texts', productType: 'TEXT', path: `hdfs://eo${place}/in/.*[.]txt` }],
      engines: { local: { cpus: 1, keepRunning: false } },
      jobs: { maxAttempts: 2, retryDelay: 0.1, maxRetryDelay: 0.2, failurePercent: 50 },
    });
    try {
      return await work(operator(server.internalUrl), server);
    } finally {
      await server.stop();
    }
  }

  const submit = (api: ReturnType<typeof operator>) =>
    api.submit('copy~1.0~Copy', { inputDataSetName: 'texts' });

  const tasksOf = async (api: ReturnType<typeof operator>, { id }: JobSeen) =>
    (await api.get<{ items: TaskSeen[] }>(`/api/jobs/${id}/tasks`)).items;

  test('a product that disappears fails alone, and is named', async () => {
    await serving(async (api) => {
      const id = await submit(api);
      await until(
        () => api.job(id),
        ({ attempts }) => attempts > 0,
      );
      await hdfs.remove(`hdfs://eo${place}/in/2.txt`);
      await openGate();
      const job = await api.ended(id);
      expect(job.state).toBe('successful');
      const [first, second] = await tasksOf(api, job);
      expect(first).toMatchObject({ key: `hdfs://eo${place}/in/1.txt`, state: 'finished' });
      expect(second).toMatchObject({ state: 'failed', failure: { kind: 'input' } });
      expect(second!.failure!.message).toContain(`hdfs://eo${place}/in/2.txt`);
    });
  });

  test('a product that we may not read fails alone, with the reason', async () => {
    await permit('/in/2.txt', '600');
    await openGate();
    await serving(async (api) => {
      const job = await api.ended(await submit(api));
      expect(job.state).toBe('successful');
      const [, second] = await tasksOf(api, job);
      expect(second).toMatchObject({ state: 'failed', failure: { kind: 'input' } });
      expect(second!.failure!.message).toMatch(/2[.]txt.*Permission denied/is);
    });
  });

  test('an archive that we may not list fails the job, with the reason', async () => {
    await permit('/in', '700');
    await serving(async (api) => {
      const job = await api.ended(await submit(api));
      expect(job).toMatchObject({ state: 'failed', attempts: 0 });
      expect(job.message).toMatch(/dataset "texts".*Permission denied/is);
    });
  });

  test('results that we may not write fail the job, with the reason', async () => {
    await permit('/work', '755');
    await openGate();
    await serving(async (api) => {
      const job = await api.ended(await submit(api));
      expect(job.state).toBe('failed');
      expect(job.message).toMatch(/Permission denied/i);
    });
  });

  test('a file system that is away for a moment delays the job', async () => {
    await serving(async (api) => {
      const id = await submit(api);
      await until(
        () => api.job(id),
        ({ attempts }) => attempts > 0,
      );
      await hadoop.stopDaemon('nn');
      await openGate();
      await hadoop.startDaemon('nn');
      const job = await api.ended(id);
      expect(job).toMatchObject({ state: 'successful', steps: { process: { failed: 0 } } });
      const results = await api.results(id);
      const texts = results
        .filter(({ path }) => path.endsWith('.txt'))
        .map(({ href }) => fetch(href));
      const contents = await Promise.all((await Promise.all(texts)).map((each) => each.text()));
      expect(contents.toSorted()).toEqual(['product 1.txt\n', 'product 2.txt\n']);
    });
  });
});
