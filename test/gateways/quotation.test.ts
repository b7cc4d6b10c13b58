import { describe, expect, it } from 'vitest';

import type { Process } from '../../src/jobs/jobs.ts';
import { child, childText, parseXml } from '../../src/xml.ts';
import { lacksSchemas, openSchemas } from '../servers/ogc-schemas/schemas.ts';
import { PROCESSES, startServer } from './server.ts';
import type { TestServer } from './server.ts';
import * as wps2 from './wps2-requests.ts';

const [SUBSET] = PROCESSES as [Process];
const QUOTABLE: Process = {
  ...SUBSET,
  inputs: [
    {
      id: 'quotation',
      title: 'Job Quotation',
      description: '',
      type: 'string',
      allowed: ['true', 'false'],
      required: false,
    },
    ...SUBSET.inputs,
  ],
};

const start = () => startServer({}, [QUOTABLE]);

const literal = (id: string, value: string) =>
  `<wps:Input><ows:Identifier>${id}</ows:Identifier><wps:Data><wps:LiteralData>${value}</wps:LiteralData></wps:Data></wps:Input>`;

const executeXml = (inputs: string, response = '') => `
<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1">
  <ows:Identifier>${QUOTABLE.id}</ows:Identifier>
  <wps:DataInputs>${inputs}</wps:DataInputs>${response}
</wps:Execute>`;

const post = (server: TestServer, payload: string) =>
  server.app.inject({
    method: 'POST',
    url: '/wps',
    payload,
    headers: { 'content-type': 'application/xml', host: 'centre.example:8080' },
  });

const accepted = async (server: TestServer): Promise<number> =>
  (await server.jobs.list({ limit: 10 })).items.length;

/** What the default of a minute for each of 11 products comes to. */
const QUANTITY = [
  { id: 'CPU_MILLISECONDS', value: 660_000 },
  { id: 'PHYSICAL_MEMORY_BYTES', value: 512 * 1024 * 1024 },
  { id: 'PROC_VOLUME_BYTES', value: 0 },
  { id: 'PROC_INSTANCE', value: 11 },
];

describe.skipIf(lacksSchemas())('by the schemas of the OGC', () => {
  it('quotations of both versions of WPS are valid', { timeout: 300_000 }, async () => {
    const faultOf = await openSchemas();
    await using server = await start();
    const first = (await post(server, executeXml(literal('quotation', 'true')))).body;
    expect(first).toContain('QUOTATION');
    expect(faultOf('1.0.0', first)).toBeUndefined();
    const described = `service=WPS&version=1.0.0&request=DescribeProcess&identifier=${QUOTABLE.id}`;
    expect(faultOf('1.0.0', (await server.app.inject(`/wps?${described}`)).body)).toBeUndefined();
    const inputs = wps2.literal('quotation', 'true');
    const request = wps2.executeXml({ process: QUOTABLE.id, inputs });
    const second = (await wps2.post(server, request)).body;
    expect(second).toContain('QUOTATION');
    expect(faultOf('2.0', second)).toBeUndefined();
  });
});

describe('a quotation by WPS 1.0.0', () => {
  const ASYNC =
    '<wps:ResponseForm><wps:ResponseDocument status="true" storeExecuteResponse="true"/></wps:ResponseForm>';

  it.each([
    ['true', ''],
    ['True', ASYNC],
    [' Yes ', ASYNC],
  ])('is what quotation=%s gives at once, and nothing runs', async (value, response) => {
    await using server = await start();
    const inputs = literal('quotation', value) + literal('productionName', 'My job');
    const root = parseXml((await post(server, executeXml(inputs, response))).body);
    const status = child(root, 'Status')!.children[0]!;
    expect([status.name, status.text]).toEqual([
      'ProcessSucceeded',
      'The request has been quoted successfully.',
    ]);
    expect(childText(child(root, 'Process')!, 'Identifier')).toBe(QUOTABLE.id);
    const output = child(child(root, 'ProcessOutputs')!, 'Output')!;
    expect(childText(output, 'Identifier')).toBe('QUOTATION');
    expect(childText(output, 'Title')).toBe('Job Quotation');
    const data = child(child(output, 'Data')!, 'ComplexData')!;
    expect(data.attributes['mimeType']).toBe('application/json');
    const records = JSON.parse(data.text) as Record<string, unknown>[];
    const id = records[0]!['id'];
    expect(records).toEqual([
      {
        id: expect.stringMatching(/^[\da-f-]{36}$/),
        account: { platform: 'A centre', userName: expect.any(String), ref: id },
        compound: { id, name: 'My job', type: 'Subset' },
        quantity: QUANTITY,
        hostName: 'centre.example',
        timeStamp: '2017-04-20T20:54:29.676Z',
        status: 'QUOTATION',
      },
    ]);
    expect(await accepted(server)).toBe(0);
  });

  it('is JSON alone where raw output is asked for', async () => {
    await using server = await start();
    const raw =
      '<wps:ResponseForm><wps:RawDataOutput><ows:Identifier>QUOTATION</ows:Identifier></wps:RawDataOutput></wps:ResponseForm>';
    const answer = await post(server, executeXml(literal('quotation', 'true'), raw));
    expect(answer.headers['content-type']).toContain('application/json');
    expect(answer.json()).toMatchObject([{ quantity: QUANTITY }]);
  });

  it('can be asked for by KVP', async () => {
    await using server = await start();
    const id = encodeURIComponent(QUOTABLE.id);
    const query = `service=WPS&version=1.0.0&request=Execute&identifier=${id}&dataInputs=quotation=true`;
    expect((await server.app.inject(`/wps?${query}`)).body).toContain('QUOTATION');
    expect(await accepted(server)).toBe(0);
  });

  it.each(['false', 'No'])('is not what quotation=%s asks for', async (value) => {
    await using server = await start();
    const { body } = await post(server, executeXml(literal('quotation', value), ASYNC));
    expect(body).toContain('ProcessAccepted');
    expect(await accepted(server)).toBe(1);
  });

  it.each([
    [literal('quotation', 'perhaps'), 'quotation'],
    [literal('quotation', 'true') + literal('quotation', 'true'), 'quotation'],
    [literal('quotation', 'true') + literal('colour', 'red'), 'colour'],
  ])('is refused as the job would be (%#)', async (inputs, locator) => {
    await using server = await start();
    const root = parseXml((await post(server, executeXml(inputs))).body);
    const { attributes } = child(root, 'Exception')!;
    expect(attributes).toMatchObject({ exceptionCode: 'InvalidParameterValue', locator });
    expect(await accepted(server)).toBe(0);
  });

  it('is no input of a process that does not offer it', async () => {
    await using server = await startServer({}, [SUBSET]);
    const { body } = await post(server, executeXml(literal('quotation', 'true')));
    expect(body).toContain('locator="quotation"');
    expect(await accepted(server)).toBe(0);
  });
});
