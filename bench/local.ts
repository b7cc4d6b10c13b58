import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { serve } from '../src/serve.ts';
import { operator } from '../test/servers/pushbroom.ts';
import { median } from './report.ts';
import type { Bench } from './report.ts';

const TASKS = 10_000;
const ROUNDS = 3;

const DESCRIPTOR = `<bundleDescriptor><bundleName>bench</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors><processorDescriptor><executableName>True</executableName><processorName>True</processorName>
<formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** A service with a dataset of empty products and a processor that is `/bin/true` itself. */
async function prepare(directory: string): Promise<string> {
  await mkdir(join(directory, 'bench'));
  await mkdir(join(directory, 'archive'));
  await writeFile(join(directory, 'bench/bundle-descriptor.xml'), DESCRIPTOR);
  await copyFile('/bin/true', join(directory, 'bench/True-process'));
  for (let index = 0; index < TASKS; index += 1) {
    await writeFile(join(directory, 'archive', `${index}.dat`), '');
  }
  const listen = { host: '127.0.0.1', port: 0 };
  const config = {
    dataDir: './data',
    public: listen,
    internal: listen,
    bundles: ['./bench'],
    datasets: [{ name: 'empty', productType: 'ANY', path: './archive/.*[.]dat' }],
    engines: { local: { cpus: availableParallelism(), isolation: 'none' } },
    log: { level: 'warn' },
  };
  const file = join(directory, 'pushbroom.yaml');
  await writeFile(file, stringify(config));
  return file;
}

/** Tasks per second of one job from its Execute to its end, everything recorded. */
async function ours(internalUrl: string): Promise<number> {
  const api = operator(internalUrl);
  const begun = performance.now();
  const job = await api.ended(await api.submit('bench~1.0~True', { inputDataSetName: 'empty' }));
  const seconds = (performance.now() - begun) / 1000;
  const { finished } = job.steps['process']!;
  if (job.state !== 'successful' || finished !== TASKS) {
    throw new Error(
      `${finished} of ${TASKS} tasks finished, the job is ${job.state}: ${job.message}`,
    );
  }
  return TASKS / seconds;
}

function xargs(): number {
  const begun = performance.now();
  const parallel = String(availableParallelism());
  const input = Array.from({ length: TASKS }, (_, index) => `${index}\n`).join('');
  execFileSync('xargs', ['-P', parallel, '-n', '1', '/bin/true'], { input });
  return TASKS / ((performance.now() - begun) / 1000);
}

export const local: Bench = {
  title: `local: ${TASKS} tasks of /bin/true through the whole service, beside xargs -P`,
  async run(say) {
    const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
    const server = await serve({ config: await prepare(directory), overrides: {} });
    try {
      const rates: { ours: number; xargs: number }[] = [];
      for (let round = 1; round <= ROUNDS; round += 1) {
        const rate = { ours: await ours(server.internalUrl), xargs: xargs() };
        rates.push(rate);
        say(`round ${round}: ${rate.ours.toFixed(0)}/s, xargs ${rate.xargs.toFixed(0)}/s`);
      }
      const value = median(rates.map((rate) => rate.ours));
      const peerValue = median(rates.map((rate) => rate.xargs));
      const ratio = median(rates.map((rate) => rate.ours / rate.xargs));
      const target = 0.6;
      const peer = 'xargs -P';
      return [
        {
          what: '/bin/true',
          value,
          unit: 'tasks/s',
          peer,
          peerValue,
          ratio,
          target,
          ok: ratio >= target,
        },
      ];
    } finally {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};
