import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../test/operator/command-line.ts';
import { PROCESS } from '../../test/operator/memory-jobs.ts';
import { createTestServer } from '../../test/operator/operator-server.ts';
import type { TestServer } from '../../test/operator/operator-server.ts';

let server: TestServer;
let url: string;
let files: string;
beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), 'pushbroom-submit-'));
  server = await createTestServer();
  server.jobs.process = async () => ({ ...PROCESS, isOpen: true });
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(files, { recursive: true });
});

/** The public listener is nowhere: what is sent there fails. */
const NOWHERE = 'http://127.0.0.1:1';

async function submit(name: string, text: string) {
  const file = join(files, name);
  await writeFile(file, text);
  return run(['submit', file, '--json'], {
    env: { PUSHBROOM_URL: url, PUSHBROOM_PUBLIC_URL: NOWHERE },
  });
}

const executeXml = (process: string) => `
  <wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>${process}</ows:Identifier>
    <wps:DataInputs><wps:Input><ows:Identifier>inputPath</ows:Identifier>
      <wps:Data><wps:LiteralData>a/.*</wps:LiteralData></wps:Data></wps:Input></wps:DataInputs></wps:Execute>`;

test.each([
  ['production.xml', executeXml('L2Plus')],
  ['production.yaml', 'productionType: L2Plus\ninputPath: [a/.*]\n'],
  ['production.YML', 'productionType: L2Plus\ninputPath: a/.*\n'],
  ['production.json', '{"productionType": "L2Plus", "inputPath": "a/.*"}'],
  ['request.json', '{"process": "L2Plus", "inputs": {"inputPath": "a/.*"}}'],
])('%s goes to the operator API', async (name, text) => {
  const { code, stdout, stderr } = await submit(name, text);
  expect([code, stderr]).toEqual([0, '']);
  const { job, inputs } = await server.jobs
    .status(JSON.parse(stdout).job)
    .then((status) => status.job)
    .then((its) => ({ job: its.process, inputs: its.inputs }));
  expect([job, inputs]).toEqual(['L2Plus', { inputPath: 'a/.*' }]);
});

test.each([
  ['process.xml', executeXml('timescan~1.0~Indices')],
  ['broken.xml', '<a'],
])('%s goes to the public listener', async (name, text) => {
  const { code, stderr } = await submit(name, text);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`cannot reach ${NOWHERE}`)]);
});
