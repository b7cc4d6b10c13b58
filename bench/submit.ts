import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { buildBundles } from '../scripts/build-bundles.ts';
import { inputTexts } from '../src/gateways/inputs.ts';
import { readExecute } from '../src/gateways/wps/read.ts';
import { startPushbroom, temporaryDirectory } from '../test/servers/pushbroom.ts';
import { load, percentile } from './measure.ts';
import type { Answer, Load, Request } from './measure.ts';
import { PEERS, startWsgi, venv } from './peers.ts';
import { median } from './report.ts';
import type { Bench, Row } from './report.ts';

const ROUNDS = 3;
const SECONDS = 10;
const WARM_UP = 2;
const CLIENTS = 8;
const TARGETS = { ratio: 50, p99: 50 };

/** A service that takes the same request in its own language, with an empty job store. */
interface Service {
  readonly request: Request;
  isAccepted(answer: Answer): boolean;
  stop(): Promise<unknown>;
}
type Start = (directory: string) => Promise<Service>;

const run = promisify(execFile);
const peerFile = (name: string) => readFile(join(PEERS, name), 'utf8');

const isAcceptedExecute = ({ status, text }: Answer): boolean =>
  status === 200 && text.includes('ProcessAccepted');

async function execute(url: string): Promise<Request> {
  const body = await peerFile('execute.xml');
  const headers = { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) };
  return { url, method: 'POST', headers, body };
}

/** There is no engine: jobs are accepted and split, but do not run. */
const pushbroom: Start = async (directory) => {
  await buildBundles(join(directory, 'bundles'));
  await mkdir(join(directory, 'archive'));
  await writeFile(join(directory, 'archive/scene.tif'), '');
  const dataset = { productType: 'S2_L2A', path: './archive/.*[.]tif' };
  const server = await startPushbroom(directory, {
    bundles: ['./bundles/timescan-1.0'],
    datasets: [{ name: 'Sentinel-2 L2A Banat', ...dataset }],
    engines: { local: { enabled: false } },
  });
  const request = await execute(`${server.publicUrl}/wps`);
  return { request, isAccepted: isAcceptedExecute, stop: () => server.stop() };
};

/** One thread: with more, requests wait for one another's locks on the SQLite file. */
const pywps: Start = async (directory) => {
  const bin = await venv('pywps', await peerFile('pywps.txt'));
  const peer = await startWsgi({
    bin,
    application: 'pywps_application:application',
    workers: 1,
    threads: 1,
    prepare: async (url) => {
      await mkdir(join(directory, 'outputs'));
      await mkdir(join(directory, 'work'));
      return { PYWPS_CFG: await configure('pywps.cfg', directory, url) };
    },
  });
  const request = await execute(`${peer.url}/wps`);
  return { request, isAccepted: isAcceptedExecute, stop: () => peer.stop() };
};

/** Four processes, as in its container, were its fastest. It has no queue: what it accepts runs, so that is an echo. */
const pygeoapi: Start = async (directory) => {
  const bin = await venv('pygeoapi', await peerFile('pygeoapi.txt'));
  const peer = await startWsgi({
    bin,
    application: 'pygeoapi.flask_app:APP',
    workers: 4,
    threads: 2,
    prepare: async (url) => {
      const config = await configure('pygeoapi.yaml', directory, url);
      const openapi = join(directory, 'openapi.yaml');
      await run(join(bin, 'pygeoapi'), ['openapi', 'generate', config, '--output-file', openapi]);
      return { PYGEOAPI_CONFIG: config, PYGEOAPI_OPENAPI: openapi };
    },
  });
  const { inputs } = await readExecute(await peerFile('execute.xml'));
  const nothing = { id: '', title: '', description: '', version: '', inputs: [], outputs: [] };
  const texts = await inputTexts({ ...nothing, isOpen: true }, inputs, () => {
    throw new Error('there is no reference');
  });
  const body = JSON.stringify({ inputs: { ...texts, name: 'echo' } });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    prefer: 'respond-async',
  };
  const url = `${peer.url}/processes/hello-world/execution`;
  const isAccepted = ({ status }: Answer) => status === 201;
  return { request: { url, method: 'POST', headers, body }, isAccepted, stop: () => peer.stop() };
};

async function configure(template: string, directory: string, url: string): Promise<string> {
  const path = join(directory, template);
  const text = await peerFile(template);
  await writeFile(path, text.replaceAll('${DIRECTORY}', directory).replaceAll('${URL}', url));
  return path;
}

async function measure(start: Start): Promise<Load> {
  await using directory = await temporaryDirectory();
  const service = await start(directory.path);
  try {
    const { request, isAccepted: isGood } = service;
    await load({ request, isGood, clients: CLIENTS, seconds: WARM_UP });
    return await load({ request, isGood, clients: CLIENTS, seconds: SECONDS });
  } finally {
    await service.stop();
  }
}

const p99 = ({ times }: Load): number => percentile(times, 0.99);

/** One service's rounds; what went wrong instead, if it could not be measured. */
type Measured = { readonly loads: Load[]; problem?: string };

async function measureRound(
  name: string,
  start: Start,
  measured: Measured,
  say: (line: string) => void,
): Promise<void> {
  try {
    const result = await measure(start);
    const { rate, times, failures } = result;
    if (times.length === 0) throw new Error(`nothing was accepted: ${failures[0]}`);
    const refused = failures.length > 0 ? `, ${failures.length} refused: ${failures[0]}` : '';
    say(`${name}: ${rate.toFixed(1)}/s, p99 ${p99(result).toFixed(1)} ms${refused}`);
    measured.loads.push(result);
  } catch (error) {
    measured.problem = String(error).split('\n')[0]!;
    say(`${name}: ${measured.problem}`);
  }
}

function ratioRow(name: string, ours: Measured, peer: Measured): Row {
  const what = 'durable Execute';
  const value = median(ours.loads.map(({ rate }) => rate));
  const common = { what, value, unit: 'jobs/s', target: TARGETS.ratio };
  if (peer.problem !== undefined) {
    return { ...common, peer: `${name}, not measured: ${peer.problem}`, ok: false };
  }
  const ratio = median(ours.loads.map(({ rate }, round) => rate / peer.loads[round]!.rate));
  const peerValue = median(peer.loads.map(({ rate }) => rate));
  return { ...common, peer: name, peerValue, ratio, ok: ratio >= TARGETS.ratio };
}

export const submit: Bench = {
  title: `submit: a 6.7 kB Execute stored before it is answered, ${CLIENTS} clients, beside pywps and pygeoapi`,
  async run(say) {
    const services = { pushbroom, 'pywps 4.8.1': pywps, 'pygeoapi 0.21.0': pygeoapi };
    const measured: Record<string, Measured> = {};
    for (let round = 1; round <= ROUNDS; round += 1) {
      say(`round ${round}`);
      for (const [name, start] of Object.entries(services)) {
        measured[name] ??= { loads: [] };
        if (measured[name].problem !== undefined) continue;
        await measureRound(name, start, measured[name], say);
      }
    }
    const { pushbroom: ours, ...peers } = measured as Record<keyof typeof services, Measured>;
    if (ours.problem !== undefined) throw new Error(ours.problem);
    const slowest = median(ours.loads.map(p99));
    const refused = ours.loads.reduce((sum, { failures }) => sum + failures.length, 0);
    return [
      ...Object.entries(peers).map(([name, peer]) => ratioRow(name, ours, peer)),
      { what: 'p99', value: slowest, unit: 'ms', target: TARGETS.p99, ok: slowest < TARGETS.p99 },
      { what: 'refused', value: refused, unit: 'requests', target: 0, ok: refused === 0 },
    ];
  },
};
