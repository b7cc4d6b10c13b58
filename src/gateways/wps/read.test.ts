import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../../errors.ts';
import type { Process } from '../../jobs/jobs.ts';
import { escapeXml, parseXml } from '../../xml.ts';
import { inputTexts } from '../inputs.ts';
import { readKvp } from './kvp.ts';
import { readExecute } from './read.ts';

const kvp = (query: string) => readKvp(query);

const execute = (inputs: string, form = '', attributes = 'service="WPS" version="1.0.0"') =>
  readExecute(`<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
    <wps:Execute ${attributes} xmlns:wps="http://www.opengis.net/wps/1.0.0"
        xmlns:ows="http://www.opengis.net/ows/1.1">
      <ows:Identifier> a~1~b </ows:Identifier>
      <wps:DataInputs>${inputs}</wps:DataInputs>${form}
    </wps:Execute>`);

const input = (id: string, data: string) =>
  `<wps:Input><ows:Identifier>${id}</ows:Identifier><wps:Data>${data}</wps:Data></wps:Input>`;

const literal = (id: string, text: string) =>
  input(id, `<wps:LiteralData>${escapeXml(text)}</wps:LiteralData>`);

const reference = (attributes: string, content = '') =>
  `<wps:Input xmlns:xlink="http://www.w3.org/1999/xlink"><ows:Identifier>x</ows:Identifier>
     <wps:Reference ${attributes}>${content}</wps:Reference></wps:Input>`;

const OPEN: Process = {
  id: 'x',
  title: '',
  description: '',
  version: '1',
  inputs: [],
  outputs: [],
  isOpen: true,
};

/** What a process that takes everything gets. */
const texts = async (inputs: string) =>
  inputTexts(OPEN, (await execute(inputs)).inputs, () =>
    Promise.reject(new Error('nothing is fetched')),
  );

/** What a function throws, or nothing. */
function thrownBy(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** What the refusal of a document says to a WPS client. */
async function refusalOf(act: () => Promise<unknown>) {
  const error = await act().catch((thrown: unknown) => thrown);
  return refusal(() => {
    throw error;
  });
}

/** What a refusal says to a WPS client. */
function refusal(act: () => unknown): { code: string; locator: string | undefined; text: string } {
  const error = thrownBy(act);
  if (!(error instanceof PushbroomError)) throw new Error('it was not refused', { cause: error });
  return { code: error.wpsCode, locator: error.locator, text: error.message };
}

describe('a request by key-value pairs', () => {
  it('has names and request names in any case', () => {
    expect(kvp('Service=WPS&Request=GetCapabilities')).toEqual({ operation: 'GetCapabilities' });
    expect(kvp('SERVICE=wps&rEQUEST=getcapabilities&acceptversions=2.0.0,1.0.0')).toEqual({
      operation: 'GetCapabilities',
    });
    expect(kvp('service=WPS&request=GetStatus&jobid=X_1')).toEqual({
      operation: 'GetStatus',
      jobId: 'X_1',
    });
  });

  it('asks for the status in the words of GeoServer as well', () => {
    expect(kvp('service=WPS&version=1.0.0&request=GetExecutionStatus&executionId=7')).toEqual({
      operation: 'GetStatus',
      jobId: '7',
    });
  });

  it('describes one process, several, or all of them', () => {
    const describing = 'Service=WPS&Request=DescribeProcess&Version=1.0.0&Identifier=';
    expect(kvp(`${describing}a~1~b`)).toMatchObject({ identifiers: ['a~1~b'] });
    expect(kvp(`${describing}a~1~b, c~1~d,a~1~b,`)).toMatchObject({
      identifiers: ['a~1~b', 'c~1~d'],
    });
    expect(kvp(`${describing}ALL`)).toMatchObject({ identifiers: 'all' });
  });

  it.each([
    ['', 'Service'],
    ['Service=', 'Service'],
    ['Service=WPS', 'Request'],
    ['Service=WPS&Request=DescribeProcess&Identifier=a', 'Version'],
    ['Service=WPS&Request=DescribeProcess&Version=1.0.0', 'Identifier'],
    ['Service=WPS&Request=DescribeProcess&Version=1.0.0&Identifier=,', 'Identifier'],
    ['Service=WPS&Request=GetStatus', 'JobId'],
  ])('%j misses %s', (query, name) => {
    expect(refusal(() => kvp(query))).toEqual({
      code: 'MissingParameterValue',
      locator: name,
      text: `The value of parameter '${name}' is missing.`,
    });
  });

  it.each([
    ['Service=WMS&Request=GetCapabilities', 'Service'],
    ['Service=WPS&Request=GetMap', 'Request'],
    ['Service=WPS&Request=DescribeProcess&Version=3.0.0&Identifier=a', 'Version'],
  ])('%j has a wrong %s', (query, name) => {
    expect(refusal(() => kvp(query))).toEqual({
      code: 'InvalidParameterValue',
      locator: name,
      text: `Parameter '${name}' has an invalid value.`,
    });
  });

  it('cannot agree on a version that is not spoken', () => {
    expect(
      refusal(() => kvp('Service=WPS&Request=GetCapabilities&AcceptVersions=3.0.0')),
    ).toMatchObject({ code: 'VersionNegotiationFailed', locator: 'AcceptVersions' });
  });

  it('is read or refused, whatever it says', () => {
    const name = fc.constantFrom('service', 'REQUEST', 'Version', 'identifier', 'jobId', 'x');
    const value = fc.oneof(fc.constantFrom('WPS', 'DescribeProcess', 'GetStatus'), fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        const error = thrownBy(() => readKvp(String(new URLSearchParams(pairs))));
        expect(error === undefined || error instanceof PushbroomError).toBe(true);
      }),
    );
  });
});

describe('an Execute document', async () => {
  it('gives the process, its literal inputs and how it is to be answered', async () => {
    const form =
      '<wps:ResponseForm><wps:ResponseDocument storeExecuteResponse="true" status="true"/></wps:ResponseForm>';
    expect(
      await execute(literal('minDate', ' 2012-01-01\n') + literal('note', 'a < b & "c"'), form),
    ).toEqual({
      operation: 'Execute',
      process: 'a~1~b',
      inputs: new Map([
        ['minDate', [{ kind: 'literal', text: '2012-01-01' }]],
        ['note', [{ kind: 'literal', text: 'a < b & "c"' }]],
      ]),
      async: true,
      store: true,
      response: { form: 'document' },
    });
  });

  it('is synchronous where it does not say how it is to be answered', async () => {
    expect(await execute('')).toMatchObject({ async: false, store: false });
    expect(await execute('', '<wps:ResponseForm/>')).toMatchObject({ async: false });
    expect(
      await execute('', '<wps:ResponseForm><wps:ResponseDocument status="1"/></wps:ResponseForm>'),
    ).toMatchObject({ async: true });
  });

  it.each([
    '<wps:BoundingBoxData crs="EPSG:4326" dimensions="2"><ows:LowerCorner>100.74453 -10.0000</ows:LowerCorner><ows:UpperCorner>110.25 0.12443</ows:UpperCorner></wps:BoundingBoxData>',
    '<ows:BoundingBoxData><ows:LowerCorner>100.74453 -10</ows:LowerCorner><ows:UpperCorner>110.25 0.12443</ows:UpperCorner></ows:BoundingBoxData>',
    '<BoundingBoxData crs="urn:ogc:def:crs:EPSG:6:6:4326"><LowerCorner> 100.74453\n-10 </LowerCorner><UpperCorner>110.25 0.12443</UpperCorner></BoundingBoxData>',
    '<wps:BoundingBoxData crs="urn:ogc:def:crs:EPSG::4326"><ows:LowerCorner>-10 100.74453</ows:LowerCorner><ows:UpperCorner>0.12443 110.25</ows:UpperCorner></wps:BoundingBoxData>',
  ])('gives a bounding box as longitudes and latitudes (case %#)', async (box) => {
    expect(await texts(input('regionWKT', box))).toEqual({
      regionWKT: '100.74453,-10,110.25,0.12443',
    });
  });

  it.each([
    ['', '', 'LowerCorner'],
    ['', '<ows:LowerCorner>1 2</ows:LowerCorner>', 'UpperCorner'],
    ['', '<ows:LowerCorner>1 2 3</ows:LowerCorner>', 'LowerCorner'],
    ['', '<ows:LowerCorner>1 Infinity</ows:LowerCorner>', 'LowerCorner'],
  ])('with the box <… %s>%s is refused', async (attributes, corners, reason) => {
    const box = `<wps:BoundingBoxData ${attributes}>${corners}</wps:BoundingBoxData>`;
    const refused = await refusalOf(() => execute(input('regionWKT', box)));
    expect(refused).toMatchObject({ code: 'InvalidParameterValue', locator: 'regionWKT' });
    expect(refused.text).toContain(reason);
  });

  it('gives the XML or the text inside ComplexData', async () => {
    const xml =
      '<cal:parameters xmlns:cal="urn:cal">\n <cal:numRows>64800</cal:numRows>\n</cal:parameters>';
    expect(
      await texts(
        input('calvalus.l3.parameters', `<wps:ComplexData>\n${xml}\n</wps:ComplexData>`) +
          input('json', '<wps:ComplexData mimeType="application/json"> {} </wps:ComplexData>') +
          input('coded', '<wps:ComplexData encoding="base64">eA==</wps:ComplexData>'),
      ),
    ).toEqual({
      'calvalus.l3.parameters': '<parameters xmlns="urn:cal"><numRows>64800</numRows></parameters>',
      json: '{}',
      coded: 'x',
    });
  });

  it('gives references, with what is to be posted', async () => {
    const body = '<wps:Body><a xmlns="urn:a">1</a></wps:Body>';
    const document = await execute(
      reference('xlink:href="https://a.example/x" mimeType="text/xml"') +
        reference('xlink:href="https://a.example/y" method="POST"', body),
    );
    expect(document.inputs.get('x')).toEqual([
      { kind: 'reference', href: 'https://a.example/x', mediaType: 'text/xml' },
      {
        kind: 'reference',
        href: 'https://a.example/y',
        body: Buffer.from('<a xmlns="urn:a">1</a>'),
      },
    ]);
  });

  it('ignores an input without an identifier', async () => {
    expect((await execute('<wps:Input/>')).inputs.size).toBe(0);
  });

  it('takes no input for a property of every object', async () => {
    expect([...(await execute(literal('__proto__', 'x'))).inputs.keys()]).toEqual(['__proto__']);
  });

  it.each([
    ['empty ComplexData', input('x', '<wps:ComplexData/>'), 'MissingParameterValue'],
    [
      'no data',
      '<wps:Input><ows:Identifier>x</ows:Identifier></wps:Input>',
      'InvalidParameterValue',
    ],
    ['a reference to nothing', reference(''), 'MissingParameterValue'],
    ['a reference by PUT', reference('href="http://a" method="PUT"'), 'InvalidParameterValue'],
    [
      'an unknown encoding',
      input('x', '<wps:ComplexData encoding="gzip">x</wps:ComplexData>'),
      'InvalidParameterValue',
    ],
    [
      'what is not base64',
      input('x', '<wps:ComplexData encoding="base64">?</wps:ComplexData>'),
      'InvalidParameterValue',
    ],
    [
      'elements in a literal',
      input('x', '<wps:LiteralData><p/></wps:LiteralData>'),
      'InvalidParameterValue',
    ],
    [
      'two roots',
      input('x', '<wps:ComplexData><a/><b/></wps:ComplexData>'),
      'InvalidParameterValue',
    ],
    [
      'mixed XML',
      input('x', '<wps:ComplexData><a>1<b/></a></wps:ComplexData>'),
      'InvalidParameterValue',
    ],
  ])('with %s is refused, and the input named', async (_, inputs, code) => {
    expect(await refusalOf(() => execute(inputs))).toMatchObject({ code, locator: 'x' });
  });

  it.each([
    ['version="1.0.0"', 'MissingParameterValue', 'Service'],
    ['service="WMS" version="1.0.0"', 'InvalidParameterValue', 'Service'],
    ['service="WPS"', 'MissingParameterValue', 'Version'],
    ['service="WPS" version="2.0.0"', 'InvalidParameterValue', 'Version'],
  ])('with the attributes %s is refused', async (attributes, code, locator) => {
    expect(await refusalOf(() => execute('', '', attributes))).toMatchObject({ code, locator });
  });

  it('says which outputs it wants, and how', async () => {
    const outputs =
      '<wps:Output asReference="true"><ows:Identifier>a</ows:Identifier></wps:Output>' +
      '<wps:Output asReference="false" mimeType="text/xml"><ows:Identifier>b</ows:Identifier></wps:Output>';
    const form = `<wps:ResponseForm><wps:ResponseDocument>${outputs}</wps:ResponseDocument></wps:ResponseForm>`;
    expect((await execute('', form)).response).toEqual({
      form: 'document',
      outputs: [
        { id: 'a', transmission: 'reference' },
        { id: 'b', transmission: 'value', mediaType: 'text/xml' },
      ],
    });
    const raw =
      '<wps:ResponseForm><wps:RawDataOutput><ows:Identifier>a</ows:Identifier></wps:RawDataOutput></wps:ResponseForm>';
    expect(await execute('', raw)).toMatchObject({
      async: false,
      response: { form: 'raw', outputs: [{ id: 'a' }] },
    });
    const nameless = '<wps:ResponseForm><wps:RawDataOutput/></wps:ResponseForm>';
    expect(await refusalOf(() => execute('', nameless))).toMatchObject({ locator: 'Identifier' });
  });

  it('keeps what lineage has to repeat', async () => {
    const form =
      '<wps:ResponseForm><wps:ResponseDocument lineage="true"><wps:Output><ows:Identifier>a</ows:Identifier></wps:Output></wps:ResponseDocument></wps:ResponseForm>';
    const { lineage } = (await execute(literal('x', '1'), form)).response;
    const repeated = parseXml(`<a xmlns:wps="http://www.opengis.net/wps/1.0.0">${lineage}</a>`);
    expect(repeated.children.map(({ name }) => name)).toEqual(['DataInputs', 'OutputDefinitions']);
    expect((await execute(literal('x', '1'))).response).not.toHaveProperty('lineage');
  });

  it.each([
    ['<wps:Execute', /line 1/],
    ['<a/>', /'a', not 'Execute'/],
    ['', /no element|unclosed|document/],
    ['<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', /document type/],
    ['<a>'.repeat(100) + '</a>'.repeat(100), /nested deeper/],
  ])('that is no Execute is refused with the place (case %#)', async (document, reason) => {
    const refused = await refusalOf(() => readExecute(document));
    expect(refused.code).toBe('NoApplicableCode');
    expect(refused.text).toMatch(/^Invalid Execute request\. /);
    expect(refused.text).toMatch(reason);
  });
});
