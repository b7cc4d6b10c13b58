import * as fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { parseXml } from '../../src/xml.ts';
import type { TestServer } from './server.ts';
import {
  about,
  data,
  ECHO,
  executeXml,
  get,
  literal,
  output,
  post,
  startBoth,
  TIMESCAN,
} from './wps2-requests.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startBoth({ exceptionStatus: 'proper' });
  // Who waits for a job of a cluster shall not wait for good: nobody moves one here.
  server.jobs.ended = (id) => server.jobs.dismiss(id);
});
afterAll(() => server[Symbol.asyncDispose]());

/** What WPS says to an operation that it knows but does not offer. */
const NOT_OURS = 501;
const RAW = /^(?:text\/(?:plain|xml)|image\/tiff|application\/json)$/;

/** What is wrong with an answer: a failure of ours, or something that is no document and was not asked for raw. */
function faultOf({ statusCode, headers, body }: LightMyRequestResponse): string | undefined {
  if (statusCode >= 500 && statusCode !== NOT_OURS) return `status ${statusCode}: ${body}`;
  const type = String(headers['content-type']);
  if (statusCode === 200 && RAW.test(type)) return undefined;
  if (type !== 'application/xml; charset=utf-8') return `type ${type}`;
  try {
    parseXml(body);
    return undefined;
  } catch (error) {
    return `${messageOf(error)} in ${body}`;
  }
}

it('answers key-value pairs with a document', async () => {
  const name = fc.constantFrom('Service', 'request', 'AcceptVersions', 'identifier', 'JobID');
  const value = fc.oneof(
    fc.constantFrom('WPS', 'GetCapabilities', 'DescribeProcess', 'GetResult', 'Dismiss', 'all'),
    fc.constantFrom(ECHO, '2.0.0'),
    fc.string({ unit: 'grapheme' }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), async (pairs) => {
      const query = new URLSearchParams(pairs).toString();
      expect(faultOf(await get(server, query))).toBeUndefined();
    }),
  );
});

it('answers an Execute that is cut or changed at random', async () => {
  const inputs =
    literal('numberInput', '1') +
    data('mixedInput', '<a xmlns="urn:x"/>', 'mimeType="text/xml"') +
    data('binaryInput', 'SUkqAA==', 'encoding="base64"');
  const document = executeXml({ inputs, outputs: output('mixedInput', 'transmission="value"') });
  const place = fc.nat(document.length);
  await fc.assert(
    fc.asyncProperty(place, place, fc.string({ maxLength: 5 }), async (from, to, instead) => {
      const changed = document.slice(0, from) + instead + document.slice(to);
      expect(faultOf(await post(server, changed))).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});

it('answers an Execute of any process, inputs and outputs in any form', async () => {
  const id = fc.constantFrom(
    'stringInput',
    'numberInput',
    'arrayInput',
    'bboxInput',
    'mixedInput',
    'binaryInput',
    'inputDataSetName',
    '__proto__',
  );
  const content = fc.oneof(
    fc.constantFrom('1', '<a/>', '<a>b<c/></a>', '<wps:LiteralValue>1</wps:LiteralValue>', 'SUkq'),
    fc.constant('<ows:BoundingBox><ows:LowerCorner>1 2</ows:LowerCorner></ows:BoundingBox>'),
    fc.constant('<wps:LiteralValue/>'),
    fc.stringMatching(/^[ -%'-;=?-~]*$/),
  );
  const attributes = fc.constantFrom(
    '',
    'mimeType="text/xml"',
    'encoding="base64"',
    'mimeType="x"',
  );
  const given = fc.array(fc.tuple(id, content, attributes), { maxLength: 4 });
  const wanted = fc.array(
    fc.tuple(id, fc.constantFrom('', 'transmission="reference"', 'mimeType="text/plain"')),
    { maxLength: 3 },
  );
  const process = fc.constantFrom(ECHO, TIMESCAN, 'x');
  const mode = fc.constantFrom('sync', 'async', 'auto');
  const form = fc.constantFrom('raw', 'document');
  await fc.assert(
    fc.asyncProperty(process, given, wanted, mode, form, async (its, values, wishes, how, as) => {
      const document = executeXml({
        process: its,
        how: `mode="${how}" response="${as}"`,
        inputs: values.map(([name, text, more]) => data(name, text, more)).join(''),
        outputs: wishes.map(([name, more]) => output(name, more)).join(''),
      });
      const response = await post(server, document);
      expect(faultOf(response)).toBeUndefined();
      const job = /<wps:JobID>(.*?)</.exec(response.body)?.[1];
      if (job === undefined) return;
      expect(faultOf(await post(server, about('GetResult', job)))).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});
