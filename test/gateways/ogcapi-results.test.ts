import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILTINS } from '../../src/processes/builtin.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const BASE = { baseUrl: 'https://centre.example' };
const CRS84 = 'http://www.opengis.net/def/crs/OGC/1.3/CRS84';

const startEcho = () => startServer(BASE, BUILTINS);

const execute = (server: TestServer, body: object, headers: Record<string, string> = {}) =>
  server.app.inject({
    method: 'POST',
    url: '/ogcapi/processes/echo/execution',
    payload: body,
    headers,
  });

const TIFF = { value: 'SUkqAA==', encoding: 'base64', mediaType: 'image/tiff' };
const INPUTS = {
  stringInput: 'a text',
  pause: undefined,
  numberInput: 2.5,
  booleanInput: true,
  arrayInput: ['one', 'two'],
  bboxInput: { bbox: [5, 47, 15, 55], crs: CRS84 },
  mixedInput: { value: '<a>ü</a>', mediaType: 'text/xml' },
  binaryInput: TIFF,
};
const EVERY_VALUE = { ...INPUTS, colourInput: 'green' };

const asReference = { transmissionMode: 'reference' };

/** The parts of a multipart body: their headers and contents. */
function partsOf(contentType: string, body: Buffer): Map<string, { type: string; text: string }> {
  const boundary = /boundary=([^;]+)/.exec(contentType)![1]!;
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1, -1);
  return new Map(
    parts.map((part) => {
      const [head = '', ...text] = part.split('\r\n\r\n');
      const id = /Content-ID: <(.*)>/.exec(head)![1]!;
      const type = /Content-Type: (.*)/.exec(head)![1]!;
      return [id, { type, text: text.join('\r\n\r\n').replace(/\r\n$/, '') }];
    }),
  );
}

describe('the results of OGC API - Processes', () => {
  it('are one document with every kind of value', async () => {
    await using server = await startEcho();
    const response = await execute(server, { inputs: INPUTS, response: 'document' });
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toMatch(/^application\/json/);
    expect(response.json()).toEqual(EVERY_VALUE);
  });

  it('are raw and several parts where nothing is said, and never links in the header', async () => {
    await using server = await startEcho();
    const { headers, rawPayload } = await execute(server, { inputs: INPUTS });
    expect(headers['content-type']).toMatch(
      /^multipart\/related; boundary=.*; type="text\/plain"$/,
    );
    expect(headers).not.toHaveProperty('link');
    const parts = partsOf(headers['content-type']!, rawPayload);
    expect([...parts.keys()].toSorted()).toEqual(
      Object.keys(EVERY_VALUE)
        .filter((id) => id !== 'pause')
        .toSorted(),
    );
    expect(parts.get('stringInput')).toEqual({
      type: 'text/plain; charset=utf-8',
      text: 'a text',
    });
    expect(parts.get('arrayInput')).toEqual({ type: 'application/json', text: '["one","two"]' });
    expect(JSON.parse(parts.get('bboxInput')!.text)).toEqual(INPUTS.bboxInput);
    expect(parts.get('binaryInput')).toEqual({ type: 'image/tiff', text: 'II*\0' });
  });

  it.each([
    ['stringInput', 'text/plain; charset=utf-8', 'a text'],
    ['numberInput', 'text/plain; charset=utf-8', '2.5'],
    ['arrayInput', 'application/json', '["one","two"]'],
    ['mixedInput', 'text/xml', '<a>ü</a>'],
    ['binaryInput', 'image/tiff', 'II*\0'],
  ])('are the value of %s alone as %s', async (id, type, text) => {
    await using server = await startEcho();
    const response = await execute(server, { inputs: INPUTS, outputs: { [id]: {} } });
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe(type);
    expect(response.body).toBe(text);
  });

  it('are links in the header of an empty answer where all are wanted by reference', async () => {
    await using server = await startEcho();
    const outputs = { stringInput: asReference, binaryInput: asReference };
    const response = await execute(server, { inputs: INPUTS, outputs });
    expect(response.statusCode).toBe(204);
    expect(response.body).toBe('');
    const links = String(response.headers.link).split(', ');
    expect(links).toHaveLength(2);
    const [, href] = /<https:\/\/centre\.example(.*)>; rel="item"; type="image\/tiff"/.exec(
      links[1]!,
    )!;
    expect((await server.app.inject(href!)).rawPayload).toEqual(Buffer.from('II*\0'));
  });

  it('are values and links as each was wanted', async () => {
    await using server = await startEcho();
    const outputs = { numberInput: { transmissionMode: 'value' }, binaryInput: asReference };
    const request = { inputs: INPUTS, outputs };
    const document = await execute(server, { ...request, response: 'document' });
    expect(document.json()).toEqual({
      numberInput: 2.5,
      binaryInput: {
        href: expect.stringContaining('/binaryInput.tif'),
        type: 'image/tiff',
        title: 'binaryInput.tif',
      },
    });
    const raw = await execute(server, { ...request, response: 'raw' });
    const parts = partsOf(raw.headers['content-type']!, raw.rawPayload);
    expect(parts.get('binaryInput')).toEqual({ type: 'image/tiff', text: '' });
    expect(raw.body).toMatch(
      /Content-Location: https:\/\/centre\.example\/staging\/.*binaryInput\.tif/,
    );
  });

  it('are later what Execute asked for', async () => {
    await using server = await startEcho();
    const request = { inputs: INPUTS, outputs: { mixedInput: {} } };
    const response = await execute(server, request, { prefer: 'respond-async' });
    expect(response.statusCode).toBe(201);
    expect(response.headers['preference-applied']).toBe('respond-async');
    const { jobID } = response.json<{ jobID: string }>();
    const url = `/ogcapi/jobs/${jobID}/results`;
    const results = await server.app.inject(url);
    expect(results.headers['content-type']).toBe('text/xml');
    expect(results.body).toBe('<a>ü</a>');
    const document = await server.app.inject(`${url}?f=json`);
    expect(document.json()).toEqual({ mixedInput: INPUTS.mixedInput });
  });

  it('are the answer where they come while the client waits', async () => {
    await using server = await startEcho();
    const request = { inputs: { stringInput: 'x' }, outputs: { stringInput: {} } };
    const response = await execute(server, request, { prefer: 'respond-async, wait=60' });
    expect(response.statusCode).toBe(200);
    expect(response.headers['preference-applied']).toBe('wait=60');
    expect(response.body).toBe('x');
    const late = { inputs: { stringInput: 'x', pause: 60 } };
    const status = await execute(server, late, { prefer: 'wait=0' });
    expect(status.statusCode).toBe(201);
    expect(status.json()).toMatchObject({ status: 'accepted' });
  });

  it('are refused where they are too large for a document', async () => {
    await using server = await startEcho();
    const accepted = await execute(server, { inputs: INPUTS }, { prefer: 'respond-async' });
    const { jobID } = accepted.json<{ jobID: string }>();
    const { results = [] } = await server.jobs.status(jobID);
    server.jobs.move(jobID, {
      state: 'successful',
      results: results.map((file) => ({ ...file, size: 5e6 })),
    });
    const response = await server.app.inject(`/ogcapi/jobs/${jobID}/results?f=json`);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ detail: expect.stringContaining('by reference') });
  });

  it.each([
    [{ inputs: { stringInput: { type: 'wrong/type' } } }, 'stringInput'],
    [{ inputs: { numberInput: 101 } }, 'numberInput'],
    [{ inputs: {}, outputs: { none: {} } }, 'none'],
    [{ inputs: {}, outputs: { stringInput: { transmissionMode: 'pigeon' } } }, 'transmissionMode'],
    [
      { inputs: {}, outputs: { binaryInput: { format: { mediaType: 'image/png' } } } },
      'image/tiff',
    ],
  ])('are not made of %j', async (body, place) => {
    await using server = await startEcho();
    const response = await execute(server, body);
    expect(response.statusCode).toBe(400);
    const { type, detail } = response.json<{ type: string; detail: string }>();
    expect(type).toContain('/invalid-parameter-value');
    expect(detail).toContain(place);
  });

  it('are refused in words where JSON is nested without end', async () => {
    await using server = await startServer({ ...BASE, bodyLimit: 1_000_000 }, BUILTINS);
    const deep = `${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`;
    const post = (inputs: string) =>
      server.app.inject({
        method: 'POST',
        url: '/ogcapi/processes/echo/execution',
        headers: { 'content-type': 'application/json' },
        payload: `{"inputs":${inputs},"response":"document"}`,
      });
    for (const inputs of [`{"mixedInput":{"a":${deep}}}`, deep, `{"stringInput":${deep}}`]) {
      expect((await post(inputs)).statusCode).toBe(400);
    }
    const text = { value: deep, mediaType: 'application/json' };
    const document = await post(JSON.stringify({ mixedInput: text }));
    expect(document.statusCode).toBe(400);
    expect(document.json()).toMatchObject({ detail: expect.stringContaining('too deeply') });
  });

  it('are given or refused, whatever the JSON of a request is', async () => {
    await using server = await startEcho();
    const id = fc.oneof(fc.constantFrom(...Object.keys(INPUTS)), fc.string());
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ value: fc.jsonValue(), mediaType: fc.string(), encoding: fc.string() }),
      fc.record({ bbox: fc.array(fc.double()), crs: fc.string() }),
    );
    const inputs = fc.dictionary(
      id.filter((each) => each !== 'pause'),
      value,
    );
    const body = fc.record(
      {
        inputs,
        outputs: fc.dictionary(id, fc.jsonValue()),
        response: fc.constantFrom('raw', 'document'),
      },
      { requiredKeys: ['inputs'] },
    );
    await fc.assert(
      fc.asyncProperty(body, async (payload) => {
        const { statusCode } = await execute(server, payload);
        expect(statusCode).toBeLessThan(500);
      }),
      { numRuns: 100 },
    );
  });

  it('describe their process by schemas that suites and clients know', async () => {
    await using server = await startEcho();
    const { inputs, outputs } = (await server.app.inject('/ogcapi/processes/echo')).json();
    expect(Object.keys(inputs)[0]).toBe('stringInput');
    expect(inputs).toMatchObject({
      colourInput: { schema: { type: 'string', enum: ['red', 'green', 'blue'], default: 'green' } },
      arrayInput: { schema: { type: 'array', items: { type: 'string' }, maxItems: 10 } },
      bboxInput: { schema: { allOf: [{ format: 'ogc-bbox' }, { type: 'object' }] } },
      binaryInput: {
        schema: { type: 'string', contentEncoding: 'binary', contentMediaType: 'image/tiff' },
      },
      mixedInput: {
        schema: {
          oneOf: [{ type: 'string', contentMediaType: 'text/xml' }, { type: 'object' }, {}],
        },
      },
    });
    expect(outputs.mixedInput.schema).toEqual(inputs.mixedInput.schema);
    expect(Object.keys(outputs)).toEqual(Object.keys(inputs));
  });
});
