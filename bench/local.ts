import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { stringify } from 'yaml';

import { messageOf } from '../src/errors.ts';
import { serve } from '../src/serve.ts';
import { operator } from '../test/servers/pushbroom.ts';
import { venv } from './peers.ts';
import { median } from './report.ts';
import type { Bench, Row } from './report.ts';

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
    engines: { local: { cpus: availableParallelism(), isolation: 'none', keepRunning: false } },
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

/** Another way to run programs on this machine; tells tasks per second, or throws why it cannot be run here. */
interface Peer {
  readonly name: string;
  /** Our rate to the peer's. */
  readonly target: number;
  measure(): Promise<number>;
}

const CORES = String(availableParallelism());

/** One argument a task, as both take them. */
async function fromList(program: string, args: readonly string[], tasks: number): Promise<number> {
  const input = Array.from({ length: tasks }, (_, index) => `${index}\n`).join('');
  const begun = performance.now();
  execFileSync(program, args, { input, stdio: ['pipe', 'ignore', 'pipe'] });
  return tasks / ((performance.now() - begun) / 1000);
}

async function parallel(): Promise<number> {
  const version = spawnSync('parallel', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  if (!version.startsWith('GNU parallel'))
    throw new Error('not installed: apt-get install parallel');
  // It takes its time, and the same for each.
  return fromList('parallel', ['-j', CORES, '/bin/true'], TASKS / 5);
}

async function hyperqueue(): Promise<number> {
  const requirements = await readFile(join(PEERS, 'hyperqueue.txt'), 'utf8');
  const python = join(await venv('hyperqueue', requirements), 'python');
  const { stdout } = await promisify(execFile)(
    python,
    [join(PEERS, 'hyperqueue_true.py'), String(TASKS), CORES],
    { maxBuffer: 64 * 1024 ** 2 },
  );
  return TASKS / Number(/^seconds (.+)$/m.exec(stdout)![1]);
}

const PEERS = join(import.meta.dirname, 'peers');
const ALL: readonly Peer[] = [
  {
    name: 'xargs -P',
    target: 0.6,
    measure: () => fromList('xargs', ['-P', CORES, '-n', '1', '/bin/true'], TASKS),
  },
  { name: 'HyperQueue', target: 1.5, measure: hyperqueue },
  { name: 'GNU parallel', target: 1.5, measure: parallel },
];

/** The ratio of each round is of figures that were taken one right after the other. */
async function compare(
  { name, target, measure }: Peer,
  internalUrl: string,
  say: (line: string) => void,
): Promise<Row> {
  const rounds: { ours: number; peer: number }[] = [];
  const what = '/bin/true';
  const unit = 'tasks/s';
  for (let round = 1; round <= ROUNDS; round += 1) {
    const mine = await ours(internalUrl);
    try {
      rounds.push({ ours: mine, peer: await measure() });
    } catch (error) {
      const peer = `${name}, not run: ${messageOf(error)}`;
      say(peer);
      return { what, value: mine, unit, peer, target, ok: false };
    }
    say(`round ${round}: ${mine.toFixed(0)}/s, ${name} ${rounds.at(-1)!.peer.toFixed(0)}/s`);
  }
  const ratio = median(rounds.map((round) => round.ours / round.peer));
  return {
    what,
    value: median(rounds.map((round) => round.ours)),
    unit,
    peer: name,
    peerValue: median(rounds.map(({ peer }) => peer)),
    ratio,
    target,
    ok: ratio >= target,
  };
}

export const local: Bench = {
  title: `local: ${TASKS} tasks of /bin/true through the whole service, beside others that run programs`,
  async run(say) {
    const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
    const server = await serve({ config: await prepare(directory), overrides: {} });
    try {
      const rows: Row[] = [];
      for (const peer of ALL) rows.push(await compare(peer, server.internalUrl, say));
      return rows;
    } finally {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};
