import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../src/core/model.ts';
import { child, children, childText, parseXml } from '../../src/xml.ts';
import type { XmlElement } from '../../src/xml.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const SUBSET = 'urbantep-subsetting~1.0~Subset';
const STATUS = 'status="true" storeExecuteResponse="true"';

const executeXml = (process: string, inputs: string, response?: string) => `
<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1">
  <ows:Identifier>${process}</ows:Identifier>
  <wps:DataInputs>${inputs}</wps:DataInputs>
  ${response === undefined ? '' : `<wps:ResponseForm><wps:ResponseDocument ${response}><wps:Output><ows:Identifier>productionResults</ows:Identifier></wps:Output></wps:ResponseDocument></wps:ResponseForm>`}
</wps:Execute>`;

const NAME =
  '<wps:Input><ows:Identifier>productionName</ows:Identifier><wps:Data><wps:LiteralData>Größe</wps:LiteralData></wps:Data></wps:Input>';

const RESULTS: readonly JobResult[] = [
  { path: 'A-metadata', type: 'application/atom+xml', size: 1, sha256: '', role: 'metadata' },
  { path: 'sub/b c.tif', type: 'image/tiff', size: 1, sha256: '', role: 'product' },
  { path: 'b.png', type: 'image/png', size: 1, sha256: '', role: 'quicklook' },
];

const post = (server: TestServer, payload: string, url = '/wps', type = 'application/xml') =>
  server.app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });

const get = async (server: TestServer, query: string, url = '/wps'): Promise<XmlElement> => {
  const response = await server.app.inject(`${url}?${query}`);
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/xml; charset=utf-8');
  return parseXml(response.body);
};

/** `<Status>`'s only child. */
const statusOf = (root: XmlElement): XmlElement => child(root, 'Status')!.children[0]!;

const exceptionOf = (root: XmlElement) => {
  const exception = child(root, 'Exception')!;
  const { exceptionCode: code, locator } = exception.attributes;
  return { code, locator, text: childText(exception, 'ExceptionText') };
};

async function accept(server: TestServer, url = '/wps'): Promise<{ id: string; root: XmlElement }> {
  const response = await post(server, executeXml(SUBSET, NAME, STATUS), url);
  const root = parseXml(response.body);
  const location = new URL(root.attributes['statusLocation']!);
  return { id: location.searchParams.get('JobId')!, root };
}

describe('WPS 1.0.0', () => {
  it('offers the processes with their titles and the operations with their addresses', async () => {
    await using server = await startServer({ baseUrl: 'https://centre.example/pb/' });
    const root = await get(server, 'service=WPS&request=GetCapabilities', '/bc-wps/wps/calvalus');
    const offerings = children(child(root, 'ProcessOfferings')!, 'Process');
    expect(offerings.map((process) => childText(process, 'Title'))).toEqual([
      'Urban TEP subsetting',
      'Indices & <TimeScan>',
    ]);
    const operations = children(child(root, 'OperationsMetadata')!, 'Operation');
    const hrefs = operations.map(({ attributes, children: [dcp] }) => [
      attributes['name'],
      dcp?.children[0]?.children[0]?.attributes['href'],
    ]);
    const url = 'https://centre.example/pb/bc-wps/wps/calvalus';
    expect(hrefs).toEqual([
      ['GetCapabilities', `${url}?`],
      ['DescribeProcess', `${url}?`],
      ['Execute', url],
      ['GetStatus', `${url}?`],
    ]);
  });

  it('describes inputs in their order, with types, allowed values, ranges and defaults', async () => {
    await using server = await startServer();
    const root = await get(
      server,
      'service=WPS&request=DescribeProcess&version=1.0.0&identifier=timescan~1.0~Indices',
    );
    const inputs = children(child(child(root, 'ProcessDescription')!, 'DataInputs')!, 'Input');
    const described = inputs.map((input) => {
      const data = child(input, 'LiteralData')!;
      const [type, allowed] = data.children;
      const values = allowed!.children.map(({ text }) => text);
      return [childText(input, 'Identifier'), type!.text, values, childText(data, 'DefaultValue')];
    });
    expect(described).toEqual([
      ['inputDataSetName', 'string', [], undefined],
      ['regionWKT', 'string', [], undefined],
      ['maxCloudCover', 'float', ['0100'], '25'],
      ['partitions', 'int', ['1', '2', '4'], undefined],
      ['quicklooks', 'boolean', [], 'true'],
    ]);
  });

  it('says an allowed value once', async () => {
    await using server = await startServer();
    const response = await server.app.inject(
      `/wps?service=WPS&request=DescribeProcess&version=1.0.0&identifier=${SUBSET}`,
    );
    expect(response.body.match(/GUF 75m/g)).toHaveLength(1);
  });

  it('accepts a job and says where its status is', async () => {
    await using server = await startServer({ baseUrl: 'https://centre.example' });
    const { id, root } = await accept(server);
    const url = 'https://centre.example/wps';
    expect(root.attributes).toMatchObject({
      serviceInstance: `${url}?`,
      statusLocation: `${url}?Service=WPS&Request=GetStatus&JobId=${id}`,
    });
    expect(statusOf(root).name).toBe('ProcessAccepted');
    expect(statusOf(root).text).toBe(
      `The request has been accepted. In order to check the status, use GetStatus with JobId '${id}'.`,
    );
    expect(child(root, 'Status')!.attributes['creationTime']).toBe('2017-04-20T20:54:29.676Z');
    const { job } = await server.jobs.status(id);
    expect(job).toMatchObject({ user: 'anonymous', inputs: { productionName: 'Größe' } });
  });

  it('runs a job for the user whom the portal names', async () => {
    await using server = await startServer();
    const headers = { Remote_user: 'alice', remote_ref: 'ref-1', 'content-type': 'text/xml' };
    const payload = executeXml(SUBSET, NAME, STATUS);
    await server.app.inject({ method: 'POST', url: '/wps', payload, headers });
    const [status] = (await server.jobs.list({ limit: 1 })).items;
    expect(status?.job).toMatchObject({ user: 'tep_alice', reference: 'ref-1' });
  });

  it.each([
    ['accepted', 0, '0', 'SCHEDULED'],
    ['running', 44.6, '45', 'RUNNING'],
    ['running', 98.7, '98', 'RUNNING'],
    ['running', 100, '98', 'RUNNING'],
  ] as const)('tells a job that is %s at %d%% as %s%% %s', async (state, percent, told, text) => {
    await using server = await startServer();
    const { id } = await accept(server);
    server.jobs.move(id, { state, percent });
    const root = await get(server, `service=WPS&request=GetStatus&JobId=${id}`);
    expect(statusOf(root)).toMatchObject({ name: 'ProcessStarted', text });
    expect(statusOf(root).attributes['percentCompleted']).toBe(told);
    expect(root.attributes).not.toHaveProperty('statusLocation');
  });

  it('tells a successful job with its results, the metadata last', async () => {
    await using server = await startServer({ baseUrl: 'https://centre.example' });
    const { id } = await accept(server);
    const endedAt = Date.UTC(2017, 3, 20, 21, 2, 20, 158);
    server.jobs.move(id, { state: 'successful', percent: 100, endedAt, results: RESULTS });
    const root = await get(server, `service=WPS&request=GetStatus&JobId=${id}`);
    expect(child(root, 'Status')!.attributes['creationTime']).toBe('2017-04-20T21:02:20.158Z');
    expect(statusOf(root).text).toBe('The request has been processed successfully.');
    const outputs = children(child(root, 'ProcessOutputs')!, 'Output').map((output) => {
      const { href, mimeType } = child(output, 'Reference')!.attributes;
      return [childText(output, 'Identifier'), href, mimeType];
    });
    const staged = `https://centre.example/staging/anonymous/${id}`;
    expect(outputs).toEqual([
      ['production_result', `${staged}/sub/b%20c.tif`, 'application/octet-stream'],
      ['production_result', `${staged}/b.png`, 'application/octet-stream'],
      ['result_metadata', `${staged}/A-metadata`, 'application/atom+xml'],
    ]);
  });

  it.each([
    ['failed', 'Fmask8-process failed\u0000 with exit code 1.', /exit code 1/],
    ['failed', undefined, /has failed/],
    ['dismissed', undefined, /dismissed/],
  ] as const)('tells a job that is %s by an exception: %s', async (state, message, text) => {
    await using server = await startServer();
    const { id } = await accept(server);
    server.jobs.move(id, { state, ...(message !== undefined && { message }) });
    const root = await get(server, `service=WPS&request=GetStatus&JobId=${id}`);
    const failed = statusOf(root);
    expect(failed.name).toBe('ProcessFailed');
    const exception = exceptionOf(child(failed, 'ExceptionReport')!);
    expect(exception.code).toBe('NoApplicableCode');
    expect(exception.text).toMatch(text);
  });

  it('answers with the final document where the request does not ask for status', async () => {
    await using server = await startServer();
    const accepted = server.jobs.nextAccepted();
    const response = post(server, executeXml(SUBSET, NAME));
    const id = await accepted;
    server.jobs.move(id, { state: 'successful', percent: 100, results: RESULTS });
    const root = parseXml((await response).body);
    expect(statusOf(root).name).toBe('ProcessSucceeded');
    expect(root.attributes).not.toHaveProperty('statusLocation');
  });

  it('says where a stored synchronous answer can be had again', async () => {
    await using server = await startServer();
    const accepted = server.jobs.nextAccepted();
    const response = post(server, executeXml(SUBSET, NAME, 'storeExecuteResponse="true"'));
    server.jobs.move(await accepted, { state: 'failed', message: 'no' });
    const root = parseXml((await response).body);
    expect(statusOf(root).name).toBe('ProcessFailed');
    expect(root.attributes['statusLocation']).toContain('Request=GetStatus');
  });

  it('repeats inputs and outputs of the request for lineage', async () => {
    await using server = await startServer();
    const response = await post(server, executeXml(SUBSET, NAME, `${STATUS} lineage="true"`));
    const root = parseXml(response.body);
    expect(root.children.map(({ name }) => name)).toEqual([
      'Process',
      'Status',
      'DataInputs',
      'OutputDefinitions',
    ]);
    expect(child(root, 'DataInputs')!.text).toContain('Größe');
    expect(statusOf(root).text).toBe(
      'The request has been accepted. The status of the process can be found in the URL.',
    );
  });
});

describe('WPS 1.0.0, refusing,', () => {
  const GET_STATUS = 'service=WPS&request=GetStatus&JobId=20170101000000_L3_0';
  const DESCRIBE = 'service=WPS&request=DescribeProcess&version=1.0.0&identifier=';

  it.each([
    ['', { code: 'MissingParameterValue', locator: 'Service' }, 400],
    [
      GET_STATUS,
      {
        code: 'InvalidParameterValue',
        locator: 'JobId 20170101000000_L3_0',
        text: "Parameter 'JobId 20170101000000_L3_0' has an invalid value.",
      },
      404,
    ],
    [
      `${DESCRIBE}a~1~b`,
      {
        code: 'NoApplicableCode',
        locator: undefined,
        text: "Unable to retrieve processor 'a~1~b'",
      },
      404,
    ],
    [
      `${DESCRIBE}nonsense`,
      {
        code: 'NoApplicableCode',
        text: "Unable to retrieve the selected process(es) due to invalid process ID 'nonsense'",
      },
      404,
    ],
  ])('answers %j with 200, or with the status that fits', async (query, exception, status) => {
    await using server = await startServer();
    const root = await get(server, query);
    expect(root.name).toBe('ExceptionReport');
    expect(exceptionOf(root)).toMatchObject(exception);
    await using proper = await startServer({ exceptionStatus: 'proper' });
    const response = await proper.app.inject(`/wps?${query}`);
    expect(response.statusCode).toBe(status);
    expect(exceptionOf(parseXml(response.body))).toMatchObject(exception);
  });

  it.each([
    [
      executeXml('a~1~b', ''),
      { code: 'NoApplicableCode', text: "Unable to retrieve processor 'a~1~b'" },
    ],
    [
      executeXml(SUBSET, NAME.replace('productionName', 'unknown')),
      { code: 'InvalidParameterValue', locator: 'unknown' },
    ],
    [
      executeXml('timescan~1.0~Indices', ''),
      { code: 'MissingParameterValue', locator: 'inputDataSetName' },
    ],
  ])('names what is wrong with an Execute (case %#)', async (document, exception) => {
    await using server = await startServer();
    const response = await post(server, document);
    expect(response.statusCode).toBe(200);
    expect(exceptionOf(parseXml(response.body))).toMatchObject(exception);
  });

  const bomb = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">${'bcdefgh'
    .split('')
    .map((name, i) => `<!ENTITY ${name} "${`&${'abcdefg'[i]};`.repeat(10)}">`)
    .join('')}]><x>&h;</x>`;

  it.each([
    ['an entity bomb', bomb, 'text/xml', 400],
    ['an external entity', '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', 'text/xml', 400],
    ['deep nesting', '<a>'.repeat(5000) + '</a>'.repeat(5000), 'text/xml', 400],
    ['a huge body', `<a>${'x'.repeat(60_000)}</a>`, 'text/xml', 413],
    ['JSON', '{}', 'application/json', 415],
    ['a form', 'service=WPS', 'application/x-www-form-urlencoded', 415],
    ['nothing', '', 'text/xml', 400],
    ['a document that ends early', '<wps:Execute', 'text/xml', 400],
    ['an unbound prefix', '<wps:Execute/>', 'text/xml', 400],
    ['another namespace', '<Execute xmlns="urn:a" service="WPS"/>', 'text/xml', 400],
  ])('takes %s for what it is', async (_, document, type, status) => {
    await using server = await startServer();
    const response = await post(server, document, '/wps?service=WPS&request=Execute', type);
    expect(response.statusCode).toBe(status);
    expect(response.headers['content-type']).toBe('application/xml; charset=utf-8');
    expect(parseXml(response.body).name).toBe('ExceptionReport');
    expect((await server.jobs.list({ limit: 1 })).items).toEqual([]);
  });

  it('refuses a user whose name could leave the staging directory', async () => {
    await using server = await startServer();
    const headers = { remote_user: '../etc', 'content-type': 'text/xml' };
    const payload = executeXml(SUBSET, NAME, STATUS);
    const response = await server.app.inject({ method: 'POST', url: '/wps', payload, headers });
    expect(exceptionOf(parseXml(response.body))).toMatchObject({ locator: 'Remote_user' });
  });

  it('does not tell what went wrong inside', async () => {
    await using server = await startServer();
    server.jobs.processes = () => Promise.reject(new Error('the secret is 42'));
    const response = await server.app.inject('/wps?service=WPS&request=GetCapabilities');
    expect(response.statusCode).toBe(500);
    expect(exceptionOf(parseXml(response.body)).text).toMatch(/^internal error \(request /);
    expect(server.errors.splice(0).join('')).toContain('the secret is 42');
  });
});
