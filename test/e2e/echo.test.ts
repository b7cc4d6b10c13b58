import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { child, childText, children, parseXml } from '../../src/xml.ts';
import type { XmlElement } from '../../src/xml.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

const EVERYTHING = `
  <wps:Input><ows:Identifier>stringInput</ows:Identifier><wps:Data><wps:LiteralData>a &lt; b</wps:LiteralData></wps:Data></wps:Input>
  <wps:Input><ows:Identifier>arrayInput</ows:Identifier><wps:Data><wps:LiteralData>one</wps:LiteralData></wps:Data></wps:Input>
  <wps:Input><ows:Identifier>arrayInput</ows:Identifier><wps:Data><wps:LiteralData>two</wps:LiteralData></wps:Data></wps:Input>
  <wps:Input><ows:Identifier>bboxInput</ows:Identifier><wps:Data><wps:BoundingBoxData crs="EPSG:4326"><ows:LowerCorner>5 47</ows:LowerCorner><ows:UpperCorner>15 55</ows:UpperCorner></wps:BoundingBoxData></wps:Data></wps:Input>
  <wps:Input><ows:Identifier>mixedInput</ows:Identifier><wps:Data><wps:ComplexData><a xmlns="urn:a" b="1">text</a></wps:ComplexData></wps:Data></wps:Input>
  <wps:Input><ows:Identifier>binaryInput</ows:Identifier><wps:Data><wps:ComplexData encoding="base64">AP8=</wps:ComplexData></wps:Data></wps:Input>`;

const executeXml = (inputs: string, form = '') => `<wps:Execute service="WPS" version="1.0.0"
    xmlns:wps="http://www.opengis.net/wps/1.0.0" xmlns:ows="http://www.opengis.net/ows/1.1">
  <ows:Identifier>echo</ows:Identifier><wps:DataInputs>${inputs}</wps:DataInputs>
  ${form && `<wps:ResponseForm>${form}</wps:ResponseForm>`}</wps:Execute>`;

const LITERAL =
  '<wps:Input><ows:Identifier>stringInput</ows:Identifier><wps:Data><wps:LiteralData>hello</wps:LiteralData></wps:Data></wps:Input>';

describe('the echo process by WPS 1.0.0', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: Pushbroom;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    server = await startPushbroom(directory.path, {});
  });
  afterEach(async () => {
    await server.kill();
    await directory[Symbol.asyncDispose]();
  });

  const post = (body: string) =>
    fetch(`${server.publicUrl}/wps`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/xml' },
    });
  const get = (query: string) => fetch(`${server.publicUrl}/wps?service=WPS&${query}`);
  const rootOf = async (response: Response) => parseXml(await response.text());
  const statusOf = (root: XmlElement) => child(root, 'Status')!.children[0]!.name;
  const outputsOf = (root: XmlElement) =>
    children(child(root, 'ProcessOutputs')!, 'Output').map((output) => [
      childText(output, 'Identifier'),
      child(output, 'Data')?.children[0] ?? child(output, 'Reference'),
    ]);

  test('gives every kind of input back in one document', async () => {
    const root = await rootOf(await post(executeXml(EVERYTHING)));
    expect(statusOf(root)).toBe('ProcessSucceeded');
    const outputs = outputsOf(root);
    expect(outputs.map(([id]) => id)).toEqual([
      'stringInput',
      'colourInput',
      'arrayInput',
      'arrayInput',
      'bboxInput',
      'mixedInput',
      'binaryInput',
    ]);
    expect(outputs.map(([, data]) => (data as XmlElement).text)).toEqual([
      'a < b',
      'green',
      'one',
      'two',
      '5 4715 55',
      'text',
      'AP8=',
    ]);
    expect(outputs[5]![1]).toMatchObject({
      attributes: { mimeType: 'text/xml' },
      children: [{ namespace: 'urn:a', name: 'a', attributes: { b: '1' } }],
    });
    expect(outputs[6]![1]).toMatchObject({
      attributes: { mimeType: 'image/tiff', encoding: 'base64' },
    });
  });

  test('gives the outputs that are wanted, as they are wanted', async () => {
    const form = `<wps:ResponseDocument lineage="true">
      <wps:Output asReference="true"><ows:Identifier>binaryInput</ows:Identifier></wps:Output>
      <wps:Output><ows:Identifier>stringInput</ows:Identifier></wps:Output></wps:ResponseDocument>`;
    const root = await rootOf(await post(executeXml(EVERYTHING, form)));
    expect(root.children.map(({ name }) => name)).toEqual([
      'Process',
      'Status',
      'DataInputs',
      'OutputDefinitions',
      'ProcessOutputs',
    ]);
    const [[, literal], [id, reference]] = outputsOf(root) as [
      [string, XmlElement],
      [string, XmlElement],
    ];
    expect(literal.text).toBe('a < b');
    expect(id).toBe('binaryInput');
    const staged = await fetch(reference.attributes['href']!);
    expect(Buffer.from(await staged.arrayBuffer())).toEqual(Buffer.from([0, 255]));
  });

  test('gives one output alone, by POST and by GET', async () => {
    const form =
      '<wps:RawDataOutput><ows:Identifier>binaryInput</ows:Identifier></wps:RawDataOutput>';
    const raw = await post(executeXml(EVERYTHING, form));
    expect(raw.headers.get('content-type')).toBe('image/tiff');
    expect(Buffer.from(await raw.arrayBuffer())).toEqual(Buffer.from([0, 255]));
    const inputs = encodeURIComponent('stringInput=a;b@c&d');
    const whole = await get(
      `request=Execute&version=1.0.0&identifier=echo&DataInputs=stringInput=${encodeURIComponent('a;b@c=&d')}&RawDataOutput=stringInput`,
    );
    expect(await whole.text()).toBe('a;b@c=&d');
    const twice = await get(
      `request=Execute&version=1.0.0&identifier=echo&DataInputs=${inputs.replace('%3Bb', '')}&RawDataOutput=stringInput`,
    );
    expect(await twice.text()).toBe('a@c&d');
  });

  test('has ended when it was accepted, for clients that ask only once', async () => {
    const form = '<wps:ResponseDocument storeExecuteResponse="true" status="true"/>';
    const accepted = await rootOf(await post(executeXml(LITERAL, form)));
    expect(statusOf(accepted)).toBe('ProcessAccepted');
    const root = await rootOf(await fetch(accepted.attributes['statusLocation']!));
    expect(statusOf(root)).toBe('ProcessSucceeded');
    expect(outputsOf(root)).toMatchObject([
      ['stringInput', { text: 'hello' }],
      ['colourInput', {}],
    ]);
  });

  test('refuses what its description does not allow', async () => {
    const query = 'request=Execute&version=1.0.0&identifier=echo';
    for (const [inputs, locator] of [
      ['numberInput=101', 'numberInput'],
      ['colourInput=pink', 'colourInput'],
      ['dateInput=2020-02-30', 'dateInput'],
      ['booleanInput=maybe', 'booleanInput'],
      ['stringInput=a;stringInput=b', 'stringInput'],
      ['nothing=1', 'nothing'],
      ['bboxInput=1,2,3', 'bboxInput'],
      ['mixedInput=x@mimeType=image/png', 'mixedInput'],
      [`mixedInput=@href=${server.internalUrl}/health`, 'mixedInput'],
      ['mixedInput=@href=file:///etc/passwd', 'mixedInput'],
    ] as const) {
      const root = await rootOf(await get(`${query}&DataInputs=${inputs}`));
      expect([root.name, root.children[0]!.attributes]).toEqual([
        'ExceptionReport',
        { exceptionCode: 'InvalidParameterValue', locator },
      ]);
    }
    const unknown = await rootOf(await get(`${query}&ResponseDocument=nothing`));
    expect(unknown.children[0]!.attributes).toMatchObject({ locator: 'nothing' });
  });

  test('pauses, can be dismissed meanwhile, and goes on after a crash', async () => {
    const api = operator(server.internalUrl);
    const slow = await api.submit('echo', { pause: '60' });
    const short = await api.submit('echo', { pause: '1', stringInput: 'still here' });
    await until(
      () => api.job(slow),
      ({ state }) => state === 'running',
    );
    await server.kill();
    server = await startPushbroom(directory.path, {});
    onTestFinished(server.kill);
    const again = operator(server.internalUrl);
    expect(await again.ended(short)).toMatchObject({ state: 'successful' });
    const dismissed = await fetch(`${server.publicUrl}/ogcapi/jobs/${slow}`, { method: 'DELETE' });
    expect(dismissed.status).toBe(200);
    expect(await again.ended(slow)).toMatchObject({ state: 'dismissed' });
    expect(await server.stop()).toBe(0);
  });
});
