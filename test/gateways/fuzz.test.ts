import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { element, parseXml } from '../../src/xml.ts';
import { BUILTINS } from '../../src/processes/builtin.ts';
import { PROCESSES, startServer } from './server.ts';
import type { TestServer } from './server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ exceptionStatus: 'proper' }, [...PROCESSES, ...BUILTINS]);
  // Who waits for a job shall not wait for good: nobody moves one here.
  server.jobs.ended = (id) => server.jobs.dismiss(id);
});
afterAll(() => server[Symbol.asyncDispose]());

const EXAMPLES = join(import.meta.dirname, '../../../shared/domain/examples');

async function realDocuments(): Promise<string[]> {
  const files = await readdir(EXAMPLES, { recursive: true });
  const xml = files.filter((file) => file.endsWith('.xml'));
  const texts = await Promise.all(xml.map((file) => readFile(join(EXAMPLES, file), 'utf8')));
  return texts.filter((document) => /<(\w+:)?Execute\s/.test(document));
}

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

  it('as an Execute by GET, WPS answers with a document or with what was asked for', async () => {
    const inputs = BUILTINS.flatMap((builtin) => builtin.inputs.map(({ id }) => id));
    const name = fc.oneof(fc.constantFrom(...inputs), inputId, text);
    const attribute = fc.constantFrom(
      '@mimeType=',
      '@encoding=base64',
      '@href=file:///etc/passwd',
      '@crs=',
      '@',
    );
    const item = fc
      .tuple(name, fc.constantFrom('=', ''), text, fc.array(attribute, { maxLength: 2 }))
      .map(([id, equals, value, attributes]) => id + equals + value + attributes.join(''));
    const list = fc.array(item, { maxLength: 4 }).map((items) => items.join(';'));
    const query = fc.record({
      DataInputs: list,
      ResponseDocument: fc.oneof(fc.constant(''), list),
      RawDataOutput: fc.oneof(fc.constant(''), fc.constant(''), name),
      lineage: fc.constantFrom('true', 'false', ''),
      status: fc.constantFrom('true', 'false'),
    });
    const id = fc.constantFrom(...BUILTINS.map((builtin) => builtin.id), 'timescan~1.0~Indices');
    await fc.assert(
      fc.asyncProperty(id, query, fc.boolean(), async (process, pairs, isEncoded) => {
        const head = `service=WPS&request=Execute&version=1.0.0&identifier=${process}`;
        const encoded = new URLSearchParams(pairs).toString();
        // Separators are sent as they are by half of the clients.
        const sent = isEncoded ? encoded : encoded.replaceAll('%3D', '=').replaceAll('%3B', ';');
        const response = await server.app.inject(`/wps?${head}&${sent}`);
        const isRaw = pairs.RawDataOutput !== '' && response.statusCode === 200;
        expect(isRaw ? undefined : xmlFault(response)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  describe.skipIf(!existsSync(EXAMPLES))(
    'of the documents of real centres (skipped without ../shared/domain/examples)',
    () => {
      it('as one of them, cut, doubled and changed at random, WPS answers with a document', async () => {
        const documents = await realDocuments();
        expect(documents.length).toBeGreaterThan(30);
        const change = fc.record({
          from: fc.double({ min: 0, max: 1, noNaN: true }),
          length: fc.nat(200),
          how: fc.constantFrom('cut', 'double', 'replace'),
          instead: fc.oneof(
            fc.string({ maxLength: 5 }),
            fc.constantFrom('<', '&', '"', ']]>', '<!--', '<![CDATA[', '&#0;', '\u0000', '\ud800'),
          ),
        });
        await fc.assert(
          fc.asyncProperty(
            fc.constantFrom(...documents),
            fc.array(change, { minLength: 1, maxLength: 4 }),
            async (document, changes) => {
              const changed = changes.reduce((now, { from, length, how, instead }) => {
                const at = Math.floor(from * now.length);
                const piece = now.slice(at, at + length);
                const put = { cut: '', double: piece + piece, replace: instead }[how];
                return now.slice(0, at) + put + now.slice(at + length);
              }, document);
              expect(xmlFault(await postXml(changed))).toBeUndefined();
            },
          ),
          { numRuns: 1000 },
        );
      });
    },
  );

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
