import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Process } from '../../src/jobs/jobs.ts';
import { child, children, childText, parseXml } from '../../src/xml.ts';
import type { XmlElement } from '../../src/xml.ts';
import { PROCESSES, startServer } from './server.ts';
import {
  about,
  accepted,
  ASYNC,
  data,
  ECHO,
  exceptionOf,
  executeXml,
  get,
  literal,
  output,
  post,
  RESULTS,
  rootOf,
  startBoth,
  SUBSET,
  TIMESCAN,
} from './wps2-requests.ts';

const TEST_SUITE_ECHO = 'org.n52.javaps.test.EchoProcess';

/** What a Result holds: by output its text or the address that it refers to. */
const outputsOf = (root: XmlElement): [string, string][] =>
  children(root, 'Output').map((each) => {
    const value = child(each, 'Reference')?.attributes['href'] ?? child(each, 'Data')!.text;
    return [each.attributes['id']!, value];
  });

describe('WPS 2.0 beside 1.0.0', () => {
  it.each([
    ['service=WPS&request=GetCapabilities', '1.0.0'],
    ['service=WPS&request=GetCapabilities&AcceptVersions=1.0.0,2.0.0', '1.0.0'],
    ['service=WPS&request=GetCapabilities&AcceptVersions=3.0.0,2.0.0,1.0.0', '2.0.0'],
    ['SERVICE=wps&REQUEST=GETCAPABILITIES&ACCEPTVERSIONS=2.0.0', '2.0.0'],
    ['service=WPS&request=GetCapabilities&version=2.0.0', '2.0.0'],
  ])('answers %s in %s', async (query, version) => {
    await using server = await startBoth();
    const root = parseXml((await server.app.inject(`/wps?${query}`)).body);
    expect(root).toMatchObject({ name: 'Capabilities', attributes: { version } });
  });

  it('answers a document by its namespace, wherever it is posted', async () => {
    await using server = await startBoth();
    const capabilities = (version: string) =>
      `<GetCapabilities service="WPS" xmlns="http://www.opengis.net/wps/${version}"/>`;
    const url = '/bc-wps/wps/calvalus?service=WPS&version=1.0.0';
    const second = parseXml((await post(server, capabilities('2.0'), url)).body);
    const first = parseXml((await post(server, capabilities('1.0.0'))).body);
    expect([first.attributes['version'], second.attributes['version']]).toEqual(['1.0.0', '2.0.0']);
  });

  it('lets a document of 1.0.0 hold one of 2.0', async () => {
    await using server = await startBoth();
    const document = `<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
      xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>echo</ows:Identifier><wps:DataInputs><wps:Input>
      <ows:Identifier>mixedInput</ows:Identifier><wps:Data><wps:ComplexData>${about('GetStatus', 'x')}</wps:ComplexData>
      </wps:Data></wps:Input></wps:DataInputs></wps:Execute>`;
    const root = parseXml((await post(server, document)).body);
    expect(root).toMatchObject({ name: 'ExecuteResponse', attributes: { version: '1.0.0' } });
  });
});

describe('WPS 2.0 describes', () => {
  it('processes and operations with their addresses', async () => {
    await using server = await startBoth({ baseUrl: 'https://centre.example/pb/' });
    const root = await rootOf(get(server, 'request=GetCapabilities'));
    const summaries = child(root, 'Contents')!.children;
    expect(summaries.map((summary) => childText(summary, 'Identifier'))).toEqual([
      SUBSET,
      TIMESCAN,
      ECHO,
      TEST_SUITE_ECHO,
    ]);
    expect(summaries[0]!.attributes).toEqual({
      processVersion: '1.0.0',
      jobControlOptions: 'sync-execute async-execute dismiss',
      outputTransmission: 'value reference',
    });
    const operations = children(child(root, 'OperationsMetadata')!, 'Operation').map((each) => [
      each.attributes['name'],
      each.children[0]!.children[0]!.children.map((verb) => [verb.name, verb.attributes['href']]),
    ]);
    const url = 'https://centre.example/pb/wps';
    const both = [
      ['Get', `${url}?`],
      ['Post', url],
    ];
    expect(operations).toEqual([
      ['GetCapabilities', both],
      ['DescribeProcess', both],
      ['GetStatus', both],
      ['GetResult', both],
      ['Dismiss', both],
      ['Execute', [['Post', url]]],
    ]);
  });

  it('every kind of input', async () => {
    await using server = await startBoth();
    const root = await rootOf(
      get(server, `request=DescribeProcess&Identifier=${TIMESCAN},${ECHO}`),
    );
    const inputs = children(root, 'ProcessOffering').flatMap((offering) =>
      children(child(offering, 'Process')!, 'Input').map((input) => {
        const { minOccurs, maxOccurs } = input.attributes;
        const described = input.children.at(-1)!;
        const domain = child(described, 'LiteralDataDomain');
        const formats = children(described, 'Format').map((each) => each.attributes['mimeType']);
        const more = domain
          ? domain.children.map(({ name, text }) => `${name} ${text}`.trim())
          : formats.concat(children(described, 'SupportedCRS').map(({ text }) => text));
        const often = `${minOccurs}-${maxOccurs}`;
        return [childText(input, 'Identifier'), often, described.name, ...more].join(' ');
      }),
    );
    expect(inputs).toEqual([
      'inputDataSetName 1-1 LiteralData AnyValue DataType string',
      'regionWKT 0-1 LiteralData AnyValue DataType string',
      'maxCloudCover 0-1 LiteralData AllowedValues 0100 DataType double DefaultValue 25',
      'partitions 0-1 LiteralData AllowedValues 124 DataType integer',
      'quicklooks 0-1 LiteralData AnyValue DataType boolean DefaultValue true',
      'stringInput 0-1 LiteralData AnyValue DataType string',
      'pause 0-1 LiteralData AllowedValues 060 DataType integer',
      'numberInput 0-1 LiteralData AllowedValues 0100 DataType double',
      'booleanInput 0-1 LiteralData AnyValue DataType boolean',
      'dateInput 0-1 LiteralData AnyValue DataType date',
      'colourInput 0-1 LiteralData AllowedValues redgreenblue DataType string DefaultValue green',
      'arrayInput 0-10 LiteralData AnyValue DataType string',
      'bboxInput 0-1 BoundingBoxData text/xml text/plain http://www.opengis.net/def/crs/OGC/1.3/CRS84 http://www.opengis.net/def/crs/EPSG/0/4326',
      'regionInput 0-1 LiteralData AnyValue DataType string',
      'mixedInput 0-1 ComplexData text/xml application/json text/plain',
      'binaryInput 0-1 ComplexData image/tiff',
    ]);
  });

  it('all of them where it is asked so', async () => {
    await using server = await startBoth();
    for (const all of ['ALL', 'all']) {
      const root = await rootOf(get(server, `request=DescribeProcess&identifier=${all}`));
      expect(root.children).toHaveLength(4);
    }
  });
});

describe('WPS 2.0 executes', () => {
  it('inputs of every kind and gives them back', async () => {
    await using server = await startBoth();
    const inputs = [
      literal('stringInput', 'Größe &amp; &lt;mehr&gt;'),
      data('numberInput', ' 42 '),
      data('arrayInput', 'one'),
      data('arrayInput', 'two', 'mimeType="text/plain"'),
      data(
        'bboxInput',
        '<ows:BoundingBox crs="http://www.opengis.net/def/crs/EPSG/0/4326"><ows:LowerCorner>47 5</ows:LowerCorner><ows:UpperCorner>55 15</ows:UpperCorner></ows:BoundingBox>',
      ),
      data(
        'mixedInput',
        '<a xmlns="urn:x">t<b c="d"/></a>'.replace('t<', '<'),
        'mimeType="text/xml"',
      ),
      data('binaryInput', 'SUkqAA==', 'mimeType="image/tiff" encoding="base64"'),
    ].join('');
    const root = await rootOf(post(server, executeXml({ inputs })));
    expect(root.name).toBe('Result');
    const outputs = children(root, 'Output');
    expect(outputs.map((each) => [each.attributes['id'], child(each, 'Data')!])).toMatchObject([
      ['stringInput', { text: 'Größe & <mehr>', children: [{ name: 'LiteralValue' }] }],
      ['numberInput', { text: '42' }],
      ['colourInput', { text: 'green' }],
      ['arrayInput', { text: 'one' }],
      ['arrayInput', { text: 'two' }],
      [
        'bboxInput',
        {
          children: [
            {
              name: 'BoundingBox',
              attributes: { crs: 'http://www.opengis.net/def/crs/EPSG/0/4326', dimensions: '2' },
              children: [{ text: '47 5' }, { text: '55 15' }],
            },
          ],
        },
      ],
      [
        'mixedInput',
        { attributes: { mimeType: 'text/xml' }, children: [{ name: 'a', namespace: 'urn:x' }] },
      ],
      [
        'binaryInput',
        { attributes: { mimeType: 'image/tiff', encoding: 'base64' }, text: 'SUkqAA==' },
      ],
    ]);
  });

  it('values and references as each output is wanted', async () => {
    await using server = await startBoth({ baseUrl: 'https://centre.example' });
    const inputs = literal('stringInput', 'a') + literal('numberInput', '1');
    const outputs =
      output('numberInput', 'transmission="value"') +
      output('stringInput', 'transmission="reference"');
    const root = await rootOf(post(server, executeXml({ inputs, outputs })));
    const id = childText(root, 'JobID');
    expect(outputsOf(root)).toEqual([
      ['stringInput', `https://centre.example/staging/anonymous/${id}/stringInput.txt`],
      ['numberInput', '1'],
    ]);
  });

  it.each([
    [
      'a literal as XML',
      literal('stringInput', 'hello'),
      'stringInput',
      '',
      'application/xml; charset=utf-8',
      /<wps:LiteralValue [^>]*>hello<\/wps:LiteralValue>/,
    ],
    [
      'a literal as text where it is wanted so',
      literal('stringInput', 'hello'),
      'stringInput',
      'mimeType="text/plain"',
      'text/plain',
      /^hello$/,
    ],
    [
      'a box as XML',
      data(
        'bboxInput',
        '<ows:BoundingBox><ows:LowerCorner>5 47</ows:LowerCorner><ows:UpperCorner>15 55</ows:UpperCorner></ows:BoundingBox>',
      ),
      'bboxInput',
      '',
      'application/xml; charset=utf-8',
      /<ows:LowerCorner>5 47</,
    ],
    [
      'XML as it is',
      data('mixedInput', '<a/>', 'mimeType="text/xml"'),
      'mixedInput',
      '',
      'text/xml',
      /^<a\/>$/,
    ],
    [
      'bytes as they are',
      data('binaryInput', 'SUkqAA==', 'encoding="base64"'),
      'binaryInput',
      '',
      'image/tiff',
      /^II\*\0$/,
    ],
  ])('and gives %s raw, at once and later', async (_, inputs, id, attributes, type, body) => {
    await using server = await startBoth();
    const outputs = output(id, attributes);
    const sync = await post(
      server,
      executeXml({ how: 'mode="sync" response="raw"', inputs, outputs }),
    );
    const how = 'mode="async" response="raw"';
    const job = await accepted(server, { how, inputs, outputs });
    const later = await post(server, about('GetResult', job.id));
    for (const response of [sync, later]) {
      expect(response).toMatchObject({ statusCode: 200 });
      expect(response.headers['content-type']).toBe(type);
      expect(response.body).toMatch(body);
    }
  });

  it('what the service does itself at once and jobs of the cluster later, where it may choose', async () => {
    await using server = await startBoth();
    const how = 'mode="auto" response="document"';
    expect((await rootOf(post(server, executeXml({ how })))).name).toBe('Result');
    const inputs = literal('productionName', 'x');
    const { state } = await accepted(server, { process: SUBSET, how, inputs });
    expect(state).toBe('Accepted');
  });

  it('has the echo done when its async Execute is answered: there are clients that never poll', async () => {
    await using server = await startBoth();
    const inputs = literal('literalInput', 'hello');
    const job = await accepted(server, { process: TEST_SUITE_ECHO, how: ASYNC, inputs });
    expect(job.state).toBe('Succeeded');
    const root = await rootOf(get(server, `request=GetResult&JobID=${job.id}`));
    expect(outputsOf(root)).toEqual([['literalOutput', 'hello']]);
  });

  it('jobs of the cluster, whose results are references unless values are wanted', async () => {
    await using server = await startBoth({ baseUrl: 'https://centre.example' });
    const inputs = literal('productionName', 'x');
    const job = await accepted(server, { process: SUBSET, how: ASYNC, inputs });
    server.jobs.move(job.id, { state: 'running', percent: 99.7 });
    const running = await rootOf(get(server, `request=GetStatus&jobid=${job.id}`));
    expect(running.children.map(({ text }) => text)).toEqual([job.id, 'Running', '99']);
    server.jobs.move(job.id, { state: 'successful', percent: 100, results: RESULTS });
    const root = await rootOf(post(server, about('GetResult', job.id)));
    const staged = `https://centre.example/staging/anonymous/${job.id}`;
    expect(outputsOf(root)).toEqual([
      ['production_result', `${staged}/sub/b%20c.tif`],
      ['production_result', `${staged}/b.png`],
      ['result_metadata', `${staged}/A-metadata`],
    ]);
  });

  it('and answers a raw request of which there are several files by a document', async () => {
    await using server = await startBoth();
    const how = 'mode="async" response="raw"';
    const outputs = output('production_result');
    const inputs = literal('productionName', 'x');
    const job = await accepted(server, { process: SUBSET, how, inputs, outputs });
    server.jobs.move(job.id, { state: 'successful', percent: 100, results: RESULTS });
    const root = await rootOf(get(server, `request=GetResult&JobID=${job.id}`));
    expect(outputsOf(root).map(([id]) => id)).toEqual(['production_result', 'production_result']);
  });

  it('waits for a job of the cluster where it is told to', async () => {
    await using server = await startBoth();
    const next = server.jobs.nextAccepted();
    const inputs = literal('productionName', 'x');
    const response = post(server, executeXml({ process: SUBSET, inputs }));
    server.jobs.move(await next, { state: 'successful', percent: 100, results: RESULTS });
    expect((await rootOf(response)).name).toBe('Result');
  });

  it('by the rules of other doors, too: a job of 1.0.0 has a status and results here', async () => {
    await using server = await startBoth();
    const document = `<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
      xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>${SUBSET}</ows:Identifier>
      <wps:ResponseForm><wps:ResponseDocument status="true" storeExecuteResponse="true"><wps:Output>
      <ows:Identifier>productionResults</ows:Identifier></wps:Output></wps:ResponseDocument></wps:ResponseForm></wps:Execute>`;
    const id = /JobId=(\w+)/.exec((await post(server, document)).body)![1]!;
    expect((await rootOf(get(server, `request=GetStatus&JobID=${id}`))).children[1]!.text).toBe(
      'Accepted',
    );
    server.jobs.move(id, { state: 'successful', percent: 100, results: RESULTS });
    const root = await rootOf(get(server, `request=GetResult&JobID=${id}`));
    expect(outputsOf(root)).toHaveLength(3);
  });

  it('nothing where only a quotation is asked for', async () => {
    const [subset] = PROCESSES as [Process];
    const quotation = { ...subset.inputs[0]!, id: 'quotation' };
    await using server = await startServer({}, [
      { ...subset, inputs: [quotation, ...subset.inputs] },
    ]);
    const inputs = literal('quotation', 'true');
    const document = executeXml({ process: SUBSET, how: ASYNC, inputs });
    const [[id, json] = []] = outputsOf(await rootOf(post(server, document)));
    expect(id).toBe('QUOTATION');
    const how = 'mode="sync" response="raw"';
    const raw = await post(server, executeXml({ process: SUBSET, how, inputs }));
    expect(raw.headers['content-type']).toMatch('application/json');
    for (const text of [json!, raw.body]) {
      expect(JSON.parse(text)).toMatchObject([{ status: 'QUOTATION' }]);
    }
    expect((await server.jobs.list({ limit: 1 })).items).toEqual([]);
  });

  it('until a job is dismissed', async () => {
    await using server = await startBoth();
    const inputs = literal('productionName', 'x');
    const job = await accepted(server, { process: SUBSET, how: ASYNC, inputs });
    const root = await rootOf(post(server, about('Dismiss', job.id)));
    expect(root.children.map(({ text }) => text)).toEqual([job.id, 'Dismissed', '0']);
    expect((await server.jobs.status(job.id)).state).toBe('dismissed');
    expect(await exceptionOf(get(server, `request=GetResult&JobID=${job.id}`))).toMatchObject({
      status: 410,
      code: 'NoApplicableCode',
    });
  });

  it('XML of a job whole, and what only looks like XML as text or bytes', async () => {
    await using server = await startBoth();
    const cases = [
      ['<a>mixed <b/> text</a>', { children: [{ name: 'a' }], text: 'mixed  text' }],
      ['<?xml version="1.0"?>\n<!-- c --><a/>', { children: [{ name: 'a' }] }],
      ['<!DOCTYPE a><a/>', { children: [], text: '<!DOCTYPE a><a/>' }],
      ['<a', { children: [], text: '<a' }],
      ['\u0001', { attributes: { encoding: 'base64' }, text: 'AQ==' }],
    ] as const;
    for (const [content, expected] of cases) {
      const base64 = Buffer.from(content).toString('base64');
      const inputs = data('mixedInput', base64, 'mimeType="text/xml" encoding="base64"');
      const outputs = output('mixedInput');
      const root = await rootOf(post(server, executeXml({ inputs, outputs })));
      expect(child(child(root, 'Output')!, 'Data')).toMatchObject(expected);
    }
  });
});

it('keeps how an Execute wants its results with the job, where a restart does not touch it', async () => {
  await using server = await startBoth();
  const outputs = output('stringInput', 'transmission="reference" mimeType="text/plain"');
  const { id } = await accepted(server, { how: ASYNC, outputs });
  expect((await server.jobs.status(id)).job.response).toEqual({
    form: 'document',
    outputs: [{ id: 'stringInput', transmission: 'reference', mediaType: 'text/plain' }],
  });
  const file = join(server.stagingDir, 'anonymous', id, 'stringInput.txt');
  expect(await readFile(file, 'utf8')).toBe('Größe');
});
