import * as fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { element, parseXml } from '../../src/xml.ts';
import { PROCESSES, startServer } from './server.ts';
import type { TestServer } from './server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ exceptionStatus: 'proper' });
  // Who waits for a job shall not wait for good: nobody moves one here.
  server.jobs.ended = (id) => server.jobs.dismiss(id);
});
afterAll(() => server[Symbol.asyncDispose]());

/** What WPS says to an operation that it knows but does not offer. */
const NOT_OURS = 501;

/** What is wrong with an answer: a failure of ours, or something that cannot be read as what it says it is. */
function faultOf(
  { statusCode, headers, body }: LightMyRequestResponse,
  read: (body: string) => unknown,
  type: RegExp,
): string | undefined {
  if (statusCode >= 500 && statusCode !== NOT_OURS) return `status ${statusCode}`;
  if (!type.test(String(headers['content-type']))) return `type ${headers['content-type']}`;
  try {
    read(body);
    return undefined;
  } catch (error) {
    return `${messageOf(error)} in ${body}`;
  }
}

const xmlFault = (response: LightMyRequestResponse): string | undefined =>
  faultOf(response, (body) => parseXml(body), /^application\/xml; charset=utf-8$/);

const jsonFault = (response: LightMyRequestResponse): string | undefined =>
  faultOf(response, (body) => JSON.parse(body), /^application\/json(;|$)/);

const postXml = (payload: string | Buffer) => {
  const headers = { 'content-type': 'text/xml' };
  return server.app.inject({ method: 'POST', url: '/wps', payload, headers });
};

const processId = fc.oneof(fc.constantFrom(...PROCESSES.map(({ id }) => id)), fc.string());
const inputId = fc.constantFrom('inputDataSetName', 'regionWKT', 'maxCloudCover', '__proto__', 'x');
const text = fc.string({ unit: 'grapheme' });

describe('whatever is sent', () => {
  it('as key-value pairs, WPS answers with a document', async () => {
    const name = fc.oneof(
      fc.constantFrom('Service', 'request', 'VERSION', 'identifier', 'JobId', 'AcceptVersions'),
      fc.string(),
    );
    const value = fc.oneof(
      fc.constantFrom('WPS', 'GetCapabilities', 'DescribeProcess', 'GetStatus', '1.0.0', 'all'),
      processId,
      text,
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), async (pairs) => {
        const query = new URLSearchParams(pairs);
        expect(xmlFault(await server.app.inject(`/wps?${query.toString()}`))).toBeUndefined();
      }),
    );
  });

  it('as a query that is not even encoded, WPS answers with a document', async () => {
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(/^[!-~]*$/), async (query) => {
        expect(
          xmlFault(await server.app.inject(`/wps?service=WPS&${query.replaceAll('#', '')}`)),
        ).toBeUndefined();
      }),
    );
  });

  it('as bytes, WPS answers with a document', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect(xmlFault(await postXml(Buffer.from(bytes)))).toBeUndefined();
      }),
    );
  });

  it('as an Execute that is cut or changed at random, WPS answers with a document', async () => {
    const document =
      '<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0" xmlns:ows="http://www.opengis.net/ows/1.1">' +
      '<ows:Identifier>timescan~1.0~Indices</ows:Identifier><wps:DataInputs><wps:Input><ows:Identifier>inputDataSetName</ows:Identifier>' +
      '<wps:Data><wps:LiteralData>S2</wps:LiteralData></wps:Data></wps:Input></wps:DataInputs><wps:ResponseForm>' +
      '<wps:ResponseDocument storeExecuteResponse="true" status="true" lineage="true"/></wps:ResponseForm></wps:Execute>';
    const place = fc.nat(document.length);
    await fc.assert(
      fc.asyncProperty(place, place, fc.string({ maxLength: 5 }), async (from, to, instead) => {
        const changed = document.slice(0, from) + instead + document.slice(to);
        expect(xmlFault(await postXml(changed))).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('as an Execute with inputs of any kind, WPS answers with a document', async () => {
    const names = fc.constantFrom('LiteralData', 'ComplexData', 'BoundingBoxData', 'LowerCorner');
    const leaf = fc
      .tuple(names, text)
      .map(([name, content]) => element(name, { crs: content }, content));
    const tree = fc
      .tuple(names, text, fc.array(leaf, { maxLength: 3 }))
      .map(([name, content, inner]) => element(name, {}, content, inner));
    await fc.assert(
      fc.asyncProperty(processId, fc.array(fc.tuple(inputId, tree)), async (process, inputs) => {
        const document = element(
          'Execute',
          { service: 'WPS', version: '1.0.0' },
          element('Identifier', {}, process),
          element(
            'DataInputs',
            {},
            inputs.map(([id, data]) =>
              element('Input', {}, element('Identifier', {}, id), element('Data', {}, data)),
            ),
          ),
          element('ResponseForm', {}, element('ResponseDocument', { status: 1, lineage: 1 })),
        );
        expect(xmlFault(await postXml(document.xml))).toBeUndefined();
      }),
    );
  });

  it('as JSON, OGC API answers with JSON', async () => {
    const value = fc.oneof(fc.jsonValue(), fc.record({ value: fc.jsonValue() }), text);
    const body = fc.oneof(
      fc.jsonValue(),
      fc.record({ inputs: fc.jsonValue() }),
      fc.record({ inputs: fc.dictionary(inputId, value) }),
    );
    await fc.assert(
      fc.asyncProperty(processId, body, async (process, payload) => {
        const response = await server.app.inject({
          method: 'POST',
          url: `/ogcapi/processes/${encodeURIComponent(process) || 'x'}/execution`,
          payload: JSON.stringify(payload),
          headers: { 'content-type': 'application/json', prefer: 'respond-async' },
        });
        expect(jsonFault(response)).toBeUndefined();
      }),
    );
  });

  it('as a path or a query, OGC API answers with JSON', async () => {
    const path = fc.constantFrom('processes', 'jobs', 'jobs/x', 'jobs/x/results', 'x/y');
    const name = fc.constantFrom('limit', 'offset', 'after', 'status', 'type', 'processID');
    const value = fc.oneof(fc.integer().map(String), fc.string());
    await fc.assert(
      fc.asyncProperty(path, fc.array(fc.tuple(name, value)), async (at, pairs) => {
        const query = new URLSearchParams(pairs).toString();
        expect(jsonFault(await server.app.inject(`/ogcapi/${at}?${query}`))).toBeUndefined();
      }),
    );
  });
});
