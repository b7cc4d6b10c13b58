import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { handMadeZip } from '../../src/processes/hand-made-zip.ts';
import { basic, cheapHash } from '../fixtures/passwords.ts';
import { startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

const PROCESS = 'hers~1.0~Copy';
const passwordHash = cheapHash('secret');

const DESCRIPTOR = `<bundleDescriptor><bundleName>hers</bundleName><bundleVersion>1.0</bundleVersion>
  <processorDescriptors><processorDescriptor>
    <executableName>Copy</executableName><processorName>Copy</processorName>
    <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
  </processorDescriptor></processorDescriptors></bundleDescriptor>`;

type Headers = Readonly<Record<string, string>>;
const ANNA = basic('anna');
const BERT = basic('bert');
const OLGA = basic('olga');

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let service: Pushbroom;
/** While it is there, programs wait. */
const gate = () => join(directory.path, 'archive', 'gate');

const start = async () =>
  startPushbroom(directory.path, {
    datasets: [
      { name: 'texts', productType: 'TEXT', path: join(directory.path, 'archive', '.*[.]txt') },
    ],
    internal: { host: '127.0.0.1', port: 0, authentication: true },
    uploads: { check: [join(directory.path, 'scan.sh')] },
    access: {
      users: [
        { name: 'anna', passwordHash },
        { name: 'bert', passwordHash },
        { name: 'olga', passwordHash, role: 'operator' },
      ],
    },
  });

beforeAll(async () => {
  directory = await temporaryDirectory();
  await mkdir(join(directory.path, 'archive'));
  await writeFile(join(directory.path, 'archive', 'a.txt'), 'a product\n');
  const scan = '#!/bin/sh\nif grep -q EICAR "$1"; then echo "$1: EICAR found"; exit 1; fi\n';
  await writeFile(join(directory.path, 'scan.sh'), scan, { mode: 0o755 });
  service = await start();
});
afterAll(async () => {
  await service.stop();
  await directory[Symbol.asyncDispose]();
});

const ask = (path: string, headers: Headers, init: RequestInit = {}) =>
  fetch(service.publicUrl + path, { ...init, headers: { ...headers, ...init.headers } });

function upload(
  headers: Headers,
  query: string,
  content: Uint8Array<ArrayBuffer> | string,
  name: string,
) {
  const body = new FormData();
  body.set('file', new Blob([content]), name);
  return ask(`/upload?${query}`, headers, { method: 'POST', body });
}

const change = async (state: string, headers: Headers = OLGA) => {
  const response = await fetch(`${service.internalUrl}/api/processors/hers~1.0`, {
    method: 'PATCH',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ state }),
  });
  return response.status;
};

const execute = (headers: Headers) =>
  ask(`/ogcapi/processes/${PROCESS}/execution`, headers, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({ inputs: { inputDataSetName: 'texts' } }),
  });

async function started(headers: Headers): Promise<string> {
  const response = await execute(headers);
  expect(response.status).toBe(201);
  return ((await response.json()) as { jobID: string }).jobID;
}

const ended = async (headers: Headers, id: string): Promise<string> => {
  const look = async () => {
    const response = await ask(`/ogcapi/jobs/${id}`, headers);
    return ((await response.json()) as { status: string }).status;
  };
  return until(look, (status) => !/accepted|running/.test(status));
};

/** Whether a user is offered the process, by each door. */
async function offered(headers: Headers): Promise<readonly boolean[]> {
  const wps = '/wps?Service=WPS&Version=1.0.0&Request=';
  const answers = await Promise.all([
    ask('/ogcapi/processes', { ...headers, accept: 'application/json' }),
    ask(`${wps}GetCapabilities`, headers),
    ask(`${wps}DescribeProcess&Identifier=all`, headers),
    ask('/wps?Service=WPS&Version=2.0.0&Request=GetCapabilities', headers),
  ]);
  const texts = await Promise.all(answers.map((answer) => answer.text()));
  const described = await ask(`/ogcapi/processes/${PROCESS}`, headers);
  return [...texts.map((text) => text.includes(PROCESS)), described.ok];
}
const EVERYWHERE = [true, true, true, true, true];
const NOWHERE = [false, false, false, false, false];

test('a bundle of a user is his own, then offered to all, then withdrawn', async () => {
  const program = `#!/bin/sh\nwhile [ -e ${gate()} ]; do sleep 0.05; done\ncat "$1" > out.txt; echo "OUTPUT_PRODUCT out.txt"\n`;
  const zip = Buffer.from(
    handMadeZip([
      { name: 'bundle-descriptor.xml', content: DESCRIPTOR },
      { name: 'Copy-process', content: program, mode: 0o100_755 },
    ]),
  );
  const query = 'dir=software&bundle=true';
  const answer = await upload(ANNA, `${query}&visibility=public`, zip, 'hers-1.0.zip');
  expect([answer.status, await answer.text()]).toEqual([202, 'hers-1.0.zip']);

  expect(await offered(ANNA)).toEqual(EVERYWHERE);
  expect(await offered(BERT)).toEqual(NOWHERE);
  expect((await execute(BERT)).status).toBe(404);
  expect(await ended(ANNA, await started(ANNA))).toBe('successful');
  expect((await upload(BERT, query, zip, 'mine.zip')).status).toBe(409);

  expect(await change('deployed')).toBe(409);
  expect(await change('vetted', ANNA)).toBe(403);
  expect(await change('vetted')).toBe(200);
  expect(await offered(BERT)).toEqual(NOWHERE);
  expect(await change('deployed')).toBe(200);
  expect(await offered(BERT)).toEqual(EVERYWHERE);

  await writeFile(gate(), '');
  const running = await started(BERT);
  await until(
    async () =>
      ((await (await ask(`/ogcapi/jobs/${running}`, BERT)).json()) as { status: string }).status,
    (status) => status === 'running',
  );
  expect(await change('withdrawn')).toBe(200);
  for (const who of [ANNA, BERT, OLGA]) {
    expect(await offered(who)).toEqual(NOWHERE);
    const refused = await execute(who);
    expect(refused.status).toBe(404);
    expect(await refused.text()).toContain('was withdrawn');
  }
  const removal = () => ask('/upload/bundles/hers~1.0', ANNA, { method: 'DELETE' });
  expect((await removal()).status).toBe(409);
  await rm(gate());
  expect(await ended(BERT, running)).toBe('successful');
  const results = await ask(`/ogcapi/jobs/${running}/results`, BERT);
  expect(results.status).toBe(200);

  // All of it is remembered by the next service, too.
  await service.stop();
  const underWay = join(directory.path, 'data', 'work', 'uploads');
  await writeFile(join(underWay, 'left by a crash'), '');
  service = await start();
  expect(await readdir(underWay)).toEqual([]);
  expect(await offered(BERT)).toEqual(NOWHERE);
  const own = await ask('/upload/bundles/hers~1.0', ANNA);
  expect(await own.json()).toMatchObject({
    state: 'withdrawn',
    history: [
      { by: 'anna', to: 'uploaded' },
      { by: 'olga', to: 'vetted' },
      { by: 'olga', to: 'deployed' },
      { by: 'olga', to: 'withdrawn' },
    ],
  });
  expect((await removal()).status).toBe(204);
  expect(await readdir(join(directory.path, 'data', 'bundles'))).toEqual([]);

  const audit = await fetch(`${service.internalUrl}/api/audit`, { headers: OLGA });
  const { items } = (await audit.json()) as { items: Record<string, string>[] };
  const deeds = items.map(({ by, what, target, outcome }) => [by, what, target, outcome]);
  expect(deeds).toEqual(
    expect.arrayContaining([
      ['anna', 'upload', 'software', 'done'],
      ['bert', 'upload', 'software', 'BUNDLE_EXISTS'],
      ['anna', 'PATCH /api/processors/:bundle', 'hers~1.0', 'HTTP 403'],
      ['olga', 'PATCH /api/processors/:bundle', 'hers~1.0 {"state":"vetted"}', 'done'],
      ['anna', 'remove bundle', 'hers~1.0', 'CONFLICT'],
      ['anna', 'remove bundle', 'hers~1.0', 'done'],
    ]),
  );
});

test('a file is kept for its user, and what the centre’s check refuses for nobody', async () => {
  expect((await upload(ANNA, 'dir=region_data', 'lakes', 'lakes.zip')).status).toBe(201);
  const refused = await upload(ANNA, 'dir=region_data', 'EICAR', 'virus.zip');
  expect([refused.status, await refused.text()]).toEqual([
    400,
    'the file was refused: region_data/virus.zip: EICAR found',
  ]);
  expect(await (await ask('/upload/files', ANNA)).json()).toMatchObject({
    items: [{ path: 'region_data/lakes.zip' }],
  });
  expect((await ask('/upload/files/region_data/lakes.zip', BERT)).status).toBe(404);
  expect((await ask('/upload/files', {})).status).toBe(401);
});
