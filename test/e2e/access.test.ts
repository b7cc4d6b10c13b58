import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { basic, cheapHash } from '../fixtures/passwords.ts';
import { startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

const PROCESS = 'copy~1.0~Copy';
const passwordHash = cheapHash('secret');
const BOB = { name: 'bob', passwordHash };

const DESCRIPTOR = `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>1.0</bundleVersion>
  <processorDescriptors><processorDescriptor>
    <executableName>Copy</executableName><processorName>Copy</processorName>
    <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
  </processorDescriptor></processorDescriptors></bundleDescriptor>`;
const SCRIPT = '#!/bin/sh\ncat "$1" > "out-$1"; echo "OUTPUT_PRODUCT out-$1"\n';

type Headers = Readonly<Record<string, string>>;
/** The portal for one of its users, in one of the spellings of the header. */
const portal = (user: string): Headers => ({ ...basic('utepportal'), Remote_user: user });
const ALICE: Headers = basic('alice');
const ANNA = portal('anna');

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let service: Pushbroom;
const usersFile = () => join(directory.path, 'users.yaml');

beforeAll(async () => {
  directory = await temporaryDirectory();
  const archive = join(directory.path, 'archive');
  const bundle = join(directory.path, 'copy-1.0');
  await mkdir(archive);
  await mkdir(bundle);
  await writeFile(join(archive, 'a.txt'), 'a product\n');
  await writeFile(join(bundle, 'bundle-descriptor.xml'), DESCRIPTOR);
  await writeFile(join(bundle, 'Copy-process'), SCRIPT, { mode: 0o755 });
  await writeFile(usersFile(), stringify([BOB]));
  const path = `${archive}/.*[.]txt`;
  service = await startPushbroom(directory.path, {
    bundles: ['./copy-1.0'],
    datasets: [
      { name: 'texts', productType: 'TEXT', path },
      { name: 'letters', productType: 'TEXT', path, visibleTo: { groups: ['letters'] } },
    ],
    internal: { host: '127.0.0.1', port: 0, authentication: true },
    staging: { userPrefix: 'tep_' },
    access: {
      users: [
        { name: 'alice', passwordHash, groups: ['letters'] },
        { name: 'olga', passwordHash, role: 'operator' },
        { name: 'root', passwordHash, role: 'administrator' },
        { name: 'utepportal', passwordHash, actsForOthers: true },
      ],
      usersFile: './users.yaml',
    },
  });
});
afterAll(async () => {
  await service.stop();
  await directory[Symbol.asyncDispose]();
});

const ask = (path: string, headers: Headers, init: RequestInit = {}) =>
  fetch(path.startsWith('http') ? path : service.publicUrl + path, { ...init, headers });

const execute = (headers: Headers, dataset = 'texts') =>
  ask(
    `/ogcapi/processes/${PROCESS}/execution`,
    {
      'content-type': 'application/json',
      prefer: 'respond-async',
      ...headers,
    },
    {
      method: 'POST',
      body: JSON.stringify({ inputs: { inputDataSetName: dataset } }),
    },
  );

interface Seen {
  readonly jobID: string;
  readonly status: string;
}
const json = async <T>(response: Promise<Response>): Promise<T> =>
  (await (await response).json()) as T;

async function run(headers: Headers): Promise<string> {
  const { jobID } = await json<Seen>(execute(headers));
  const look = () => json<Seen>(ask(`/ogcapi/jobs/${jobID}`, headers));
  const { status } = await until(look, ({ status: now }) => !/accepted|running/.test(now));
  expect(status).toBe('successful');
  return jobID;
}

const listed = async (headers: Headers) =>
  (await json<{ jobs: Seen[] }>(ask('/ogcapi/jobs', headers))).jobs.map(({ jobID }) => jobID);

test('two users and a portal that acts for others do not see of each other', async () => {
  const owners = [
    { headers: ALICE, user: 'alice' },
    { headers: basic('bob'), user: 'bob' },
    { headers: ANNA, user: 'tep_anna' },
    { headers: portal('bert'), user: 'tep_bert' },
  ];
  const jobs = await Promise.all(
    owners.map(async (owner) => ({ ...owner, id: await run(owner.headers) })),
  );
  for (const { headers, id, user } of jobs) {
    expect(await listed(headers)).toEqual([id]);
    for (const other of jobs) {
      const isOwn = other.id === id;
      const code = isOwn ? 200 : 404;
      const file = `/staging/${other.user}/${other.id}/out-a.txt`;
      for (const path of [
        `/ogcapi/jobs/${other.id}`,
        `/ogcapi/jobs/${other.id}/results`,
        file,
        `/bc-wps${file}`,
      ]) {
        expect([user, path, (await ask(path, headers)).status]).toEqual([user, path, code]);
      }
      const status = `/wps?service=WPS&request=GetStatus&JobId=${other.id}`;
      const document = await (await ask(status, headers)).text();
      expect(document.includes('ProcessSucceeded')).toBe(isOwn);
    }
    const mine = `/staging/${user}/${id}/out-a.txt`;
    expect((await ask(mine, {})).status).toBe(401);
    expect((await ask(mine, basic('olga'))).status).toBe(200);
  }
  expect(await listed(basic('olga'))).toHaveLength(4);
});

test('a dataset is there for those who may see it only', async () => {
  const description = async (headers: Headers) =>
    (
      await ask(`/wps?service=WPS&version=1.0.0&request=DescribeProcess&identifier=all`, headers)
    ).text();
  expect(await description(ALICE)).toContain('letters');
  expect(await description(ANNA)).not.toContain('letters');
  expect((await execute(ALICE, 'letters')).status).toBe(201);
  const [refused, unknown] = [await execute(ANNA, 'letters'), await execute(ANNA, 'numbers')];
  expect(refused.status).toBe(400);
  expect((await refused.text()).replaceAll('letters', 'numbers')).toBe(await unknown.text());
});

test('operators see who did what, share results, and administrators change who may', async () => {
  const id = await run(ANNA);
  const api = (path: string, headers: Headers, init?: RequestInit) =>
    ask(service.internalUrl + path, headers, init);
  expect((await api('/api/jobs', ALICE)).status).toBe(403);
  const audit = await json<{ items: unknown[] }>(api('/api/audit?user=tep_anna', basic('olga')));
  expect(audit.items[0]).toMatchObject({
    what: 'execute',
    by: 'utepportal',
    user: 'tep_anna',
    jobId: id,
    outcome: 'done',
  });

  const share = api(`/api/jobs/${id}/share`, basic('olga'), { method: 'POST' });
  const { url } = await json<{ url: string }>(share);
  expect((await fetch(url)).status).toBe(200);
  expect((await fetch(url.replace(id, `${id}x`))).status).toBe(401);

  await writeFile(usersFile(), stringify([{ ...BOB, name: 'carol' }]));
  const reload = (name: string) => api('/api/scheduling/reload', basic(name), { method: 'POST' });
  expect((await reload('olga')).status).toBe(403);
  expect((await ask('/ogcapi', basic('bob'))).status).toBe(200);
  expect((await reload('root')).status).toBe(200);
  expect((await ask('/ogcapi', basic('bob'))).status).toBe(401);
  expect((await ask('/ogcapi', basic('carol'))).status).toBe(200);
  await writeFile(usersFile(), stringify([{ name: 'dora', passwordHash: 'plain' }]));
  const wrong = await reload('root');
  expect(wrong.status).toBe(400);
  expect(await wrong.text()).toMatch(
    /users.yaml: line 2, column 3: \[0\].passwordHash: must be as/,
  );
  expect((await ask('/ogcapi', basic('carol'))).status).toBe(200);
});
