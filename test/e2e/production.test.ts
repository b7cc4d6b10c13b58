import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { operator, startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

/** Version 1.0 stumbles over one product. */
const copyOf = (version: string) => `#!/bin/sh
[ ${version} = 1.0 ] && case "$1" in *0103*) echo "odd band" >&2; exit 3;; esac
echo "$(cat "$1") by ${version}" > "out-$1"; echo "OUTPUT_PRODUCT out-$1"
`;
async function writeBundle(directory: string, version: string): Promise<void> {
  const bundle = join(directory, `copy-${version}`);
  await mkdir(bundle);
  await writeFile(
    join(bundle, 'bundle-descriptor.xml'),
    `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>${version}</bundleVersion>
    <processorDescriptors><processorDescriptor>
      <executableName>Copy</executableName><formatting>IMPLICIT</formatting>
    </processorDescriptor></processorDescriptors></bundleDescriptor>`,
  );
  await writeFile(join(bundle, 'Copy-process'), copyOf(version), { mode: 0o755 });
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: Pushbroom;
beforeAll(async () => {
  directory = await temporaryDirectory();
  for (const day of ['01', '02', '03', '04']) {
    const place = join(directory.path, 'archive/texts/2020/01', day);
    await mkdir(place, { recursive: true });
    await writeFile(join(place, `T_202001${day}.txt`), `of 2020-01-${day}`);
  }
  for (const version of ['1.0', '1.1']) await writeBundle(directory.path, version);
  server = await startPushbroom(directory.path, {
    bundles: ['./copy-1.0', './copy-1.1'],
    archive: { root: './archive', allowed: ['./archive/texts'] },
  });
});
afterAll(async () => {
  await server.stop();
  await directory[Symbol.asyncDispose]();
});

const PRODUCTION = `
productionType: L2
productionName: Texts of single days
inputPath: texts/\${yyyy}/\${MM}/\${dd}/T_\${yyyy}\${MM}\${dd}[.]txt
dateList: 2020-01-03 2020-01-01
processorBundles: copy-1.0
processorName: Copy
attempts: 1
failurePercent: 60
`;

interface Answer {
  readonly id: string;
  readonly newJobId: string;
}

async function post(path: string, type: string, body: string) {
  const response = await fetch(`${server.internalUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
  return { status: response.status, ...((await response.json()) as Answer) };
}

test('a production over path patterns runs, is explained, and retried with another version', async () => {
  const api = operator(server.internalUrl);
  const { id } = await post('/api/jobs', 'application/yaml', PRODUCTION);
  const lossy = await api.ended(id);
  expect(lossy).toMatchObject({
    productionType: 'L2',
    state: 'successful',
    steps: { process: { total: 2, finished: 1, failed: 1 } },
  });
  const explained = await api.get(`/api/explain/${id}`);
  expect(JSON.stringify(explained)).toContain('odd band');

  const retry = JSON.stringify({ version: '1.1' });
  const { newJobId } = await post(`/api/jobs/${id}/retry`, 'application/json', retry);
  expect(await api.ended(newJobId)).toMatchObject({
    state: 'successful',
    steps: { process: { total: 2, finished: 2, failed: 0 } },
  });
  const results = await api.results(newJobId);
  const texts = await Promise.all(
    results
      .filter(({ path }) => path.startsWith('out-'))
      .map(async ({ href }) => (await (await fetch(href)).text()).trim()),
  );
  expect(texts.toSorted()).toEqual(['of 2020-01-01 by 1.0', 'of 2020-01-03 by 1.1']);
}, 60_000);

test('the public door takes productions of operators, with inputs given several times', async () => {
  const input = (name: string, value: string) =>
    `<wps:Input><ows:Identifier>${name}</ows:Identifier><wps:Data><wps:LiteralData>${value}</wps:LiteralData></wps:Data></wps:Input>`;
  const inputs = [
    input('inputPath', 'texts/2020/01/01/.*txt'),
    input('inputPath', 'texts/2020/01/02/.*txt'),
    input('processorBundleName', 'copy'),
    input('processorBundleVersion', '1.0'),
    input('processorName', 'Copy'),
  ];
  const body = `<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>L2</ows:Identifier>
    <wps:DataInputs>${inputs.join('')}</wps:DataInputs><wps:ResponseForm>
    <wps:ResponseDocument status="true" storeExecuteResponse="true"/></wps:ResponseForm></wps:Execute>`;
  const execute = async (headers: Record<string, string>) => {
    const url = `${server.publicUrl}/wps`;
    const type = { 'content-type': 'application/xml' };
    return (await fetch(url, { method: 'POST', headers: { ...type, ...headers }, body })).text();
  };
  expect(await execute({ remote_user: 'anna' })).toContain('Only operators may');
  const accepted = await execute({});
  const id = /JobId=(\w+)/.exec(accepted)?.[1];
  expect([accepted, id]).toEqual([expect.stringContaining('ProcessAccepted'), expect.anything()]);
  expect(await operator(server.internalUrl).ended(id!)).toMatchObject({
    state: 'successful',
    steps: { process: { total: 2, finished: 2 } },
  });
}, 60_000);

test('patterns lead nowhere else', async () => {
  for (const inputPath of ['../data/.*', '/etc/.*', 'other/.*']) {
    const production = PRODUCTION.replace(/inputPath: .*/, `inputPath: ${inputPath}`);
    expect(await post('/api/jobs', 'application/yaml', production)).toMatchObject({
      status: 400,
      code: 'INVALID_PARAMETER',
      locator: 'inputPath',
    });
  }
});
