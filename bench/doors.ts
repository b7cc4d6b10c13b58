import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { createLayout } from '../src/layout.ts';
import { startPushbroom, temporaryDirectory } from '../test/servers/pushbroom.ts';
import type { Pushbroom } from '../test/servers/pushbroom.ts';
import { JOBS, fillHistory, historicJob } from './history-store.ts';
import { createClient, load, percentile } from './measure.ts';
import type { Request } from './measure.ts';
import type { Bench, Row } from './report.ts';

const BUNDLES = 50;
const PROCESSORS = 10;
const DATASETS = 50;
const SECONDS = 10;
const CLIENTS = 8;
const REPEATS = 20;
const TARGETS = { polls: 5000, describe: 50, blocked: 50 };

const processor = (bundle: number, number: number) => `<processorDescriptor>
  <executableName>P${number}</executableName><processorName>Processor ${bundle}.${number}</processorName>
  <inputProductTypes>S2_L1C</inputProductTypes><outputFormats>GeoTIFF,NetCDF4</outputFormats>
  <parameterDescriptors>
    <parameterDescriptor><name>cloudCover</name><type>float</type><defaultValue>25</defaultValue></parameterDescriptor>
    <parameterDescriptor><name>method</name><type>string</type><defaultValue>a</defaultValue><valueSet>a,b,c</valueSet></parameterDescriptor>
  </parameterDescriptors></processorDescriptor>`;

async function makeBundles(directory: string): Promise<string[]> {
  const paths: string[] = [];
  for (let bundle = 0; bundle < BUNDLES; bundle += 1) {
    const path = join(directory, `bundle-${bundle}`);
    await mkdir(path);
    const processors = Array.from({ length: PROCESSORS }, (_, number) => processor(bundle, number));
    const descriptor = `<bundleDescriptor><bundleName>b${bundle}</bundleName><bundleVersion>1.0</bundleVersion>
      <processorDescriptors>${processors.join('')}</processorDescriptors></bundleDescriptor>`;
    await writeFile(join(path, 'bundle-descriptor.xml'), descriptor);
    for (let number = 0; number < PROCESSORS; number += 1) {
      await writeFile(join(path, `P${number}-process`), '#!/bin/sh\n', { mode: 0o755 });
    }
    paths.push(path);
  }
  return paths;
}

async function start(directory: string, say: (line: string) => void): Promise<Pushbroom> {
  const data = join(directory, 'data');
  await mkdir(data);
  await fillHistory(createLayout(data).database, say);
  return startPushbroom(directory, {
    bundles: await makeBundles(directory),
    datasets: Array.from({ length: DATASETS }, (_, number) => ({
      name: `Sentinel-2 L1C tiles of year ${number}`,
      productType: 'S2_L1C',
      path: `/archive/${number}/.*[.]zip`,
    })),
    engines: { local: { enabled: false } },
  });
}

/** Seconds of CPU that a process has used. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const [utime, stime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(utime) + Number(stime)) / 100;
}

async function measurePolls(server: Pushbroom, say: (line: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  const { id } = historicJob(JOBS / 2);
  const polls = {
    'GetStatus, WPS 1.0.0': `/wps?Service=WPS&Request=GetStatus&JobId=${id}`,
    'GetStatus, WPS 2.0': `/wps?service=WPS&request=GetStatus&version=2.0.0&jobId=${id}`,
    'job status, OGC API': `/ogcapi/jobs/${id}`,
  };
  for (const [what, path] of Object.entries(polls)) {
    const request: Request = { url: server.publicUrl + path };
    const options = {
      request,
      clients: CLIENTS,
      isGood: ({ status }: { status: number }) => status === 200,
    };
    await load({ ...options, seconds: 2 });
    const before = await cpuSeconds(server.pid);
    const { rate, times, failures } = await load({ ...options, seconds: SECONDS });
    if (failures.length > 0) throw new Error(`${what}: ${failures[0]}`);
    const perCore = times.length / ((await cpuSeconds(server.pid)) - before);
    say(`${what}: ${rate.toFixed(0)}/s, p99 ${percentile(times, 0.99).toFixed(1)} ms`);
    const target = TARGETS.polls;
    rows.push({ what, value: perCore, unit: 'per CPU second', target, ok: perCore >= target });
  }
  return rows;
}

/** What takes a server long. */
async function heavyRequests(server: Pushbroom): Promise<Readonly<Record<string, Request>>> {
  const get = (path: string): Request => ({ url: server.publicUrl + path });
  const post = (path: string, type: string, body: string): Request => ({
    url: server.publicUrl + path,
    method: 'POST',
    headers: { 'content-type': type, 'content-length': Buffer.byteLength(body) },
    body,
  });
  const large = 'x'.repeat(3_900_000);
  const inputs = Array.from({ length: 30_000 }, (_, index) => `<i>${index}</i>`).join('');
  return {
    'GetCapabilities of 500 processes': get('/wps?service=WPS&request=GetCapabilities'),
    'DescribeProcess of 500 processes x 50 datasets': get(
      '/wps?service=WPS&request=DescribeProcess&version=1.0.0&identifier=all',
    ),
    'DescribeProcess of all, WPS 2.0': get(
      '/wps?service=WPS&request=DescribeProcess&version=2.0.0&identifier=ALL',
    ),
    'processes, OGC API': get('/ogcapi/processes?limit=1000'),
    'jobs, OGC API': get('/ogcapi/jobs?limit=1000'),
    'XML of 3.9 MB': post('/wps', 'text/xml', `<Execute>${large}</Execute>`),
    'XML of 30,000 elements': post('/wps', 'text/xml', `<Execute>${inputs}</Execute>`),
    'JSON of 3.9 MB': post(
      '/ogcapi/processes/b0~1.0~P0/execution',
      'application/json',
      JSON.stringify({ inputs: { method: large } }),
    ),
  };
}

/** Milliseconds for which nobody else is answered while a request is: what the slowest of others had to wait. */
async function measureHeavy(server: Pushbroom, say: (line: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  const ask = createClient(1);
  const askBeside = createClient(1);
  const probe = { url: `${server.internalUrl}/health` };
  for (const [what, request] of Object.entries(await heavyRequests(server))) {
    const took: number[] = [];
    const waits: number[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      const running = new AbortController();
      const asked = ask(request).finally(() => running.abort());
      while (!running.signal.aborted) waits.push((await askBeside(probe)).milliseconds);
      took.push((await asked).milliseconds);
    }
    const value = percentile(took, 0.5);
    const blocked = percentile(waits, 1);
    say(`${what}: ${value.toFixed(1)} ms, others waited ${blocked.toFixed(1)} ms at most`);
    if (what.startsWith('DescribeProcess')) {
      const target = TARGETS.describe;
      rows.push({ what, value, unit: 'ms', target, ok: value < target });
    }
    const target = TARGETS.blocked;
    rows.push({
      what: `others wait: ${what}`,
      value: blocked,
      unit: 'ms',
      target,
      ok: blocked < target,
    });
  }
  return rows;
}

export const doors: Bench = {
  title:
    'doors: polls with a million tasks in the store, descriptions of 500 processes, and who waits for whom',
  async run(say) {
    await using directory = await temporaryDirectory();
    const server = await start(directory.path, say);
    try {
      return [...(await measurePolls(server, say)), ...(await measureHeavy(server, say))];
    } finally {
      await server.stop();
    }
  },
};
