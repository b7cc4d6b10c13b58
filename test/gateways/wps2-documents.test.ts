import { describe, expect, it } from 'vitest';
import { lacksSchemas, openSchemas } from '../servers/ogc-schemas/schemas.ts';
import {
  about,
  accepted,
  ASYNC,
  data,
  executeXml,
  get,
  literal,
  output,
  post,
  RESULTS,
  startBoth,
  SUBSET,
} from './wps2-requests.ts';

const EVERY_KIND = [
  literal('stringInput', 'Größe &amp; &lt;mehr&gt;'),
  literal('arrayInput', 'one').repeat(3),
  data(
    'bboxInput',
    '<ows:BoundingBox crs="urn:ogc:def:crs:OGC:1.3:CRS84"><ows:LowerCorner>5 47</ows:LowerCorner><ows:UpperCorner>15 55</ows:UpperCorner></ows:BoundingBox>',
  ),
  data('mixedInput', '<a xmlns="urn:x"><b/></a>', 'mimeType="text/xml"'),
  data('binaryInput', 'SUkqAA==', 'mimeType="image/tiff" encoding="base64"'),
].join('');

/** One document of every kind, by name. */
async function allDocuments(): Promise<Record<string, string>> {
  await using server = await startBoth();
  const body = async (answered: ReturnType<typeof post>) => (await answered).body;
  const raw = (id: string) =>
    body(
      post(
        server,
        executeXml({
          how: 'mode="sync" response="raw"',
          inputs: EVERY_KIND,
          outputs: output(id),
        }),
      ),
    );
  const { id } = await accepted(server, { process: SUBSET, how: ASYNC, inputs: '' });
  const status = async (progress: Parameters<typeof server.jobs.move>[1]) => {
    server.jobs.move(id, progress);
    return body(post(server, about('GetStatus', id)));
  };
  return {
    capabilities: await body(get(server, 'request=GetCapabilities')),
    offerings: await body(get(server, 'request=DescribeProcess&identifier=ALL')),
    values: await body(post(server, executeXml({ inputs: EVERY_KIND }))),
    literal: await raw('stringInput'),
    running: await status({ state: 'running', percent: 45 }),
    failed: await status({ state: 'failed', message: 'exit code 1' }),
    dismissed: await status({ state: 'dismissed' }),
    succeeded: await status({ state: 'successful', percent: 100, results: RESULTS }),
    references: await body(post(server, about('GetResult', id))),
    exception: await body(get(server, 'request=GetResult')),
  };
}

describe.skipIf(lacksSchemas())('by the schemas of the OGC', () => {
  it('every document of WPS 2.0 is valid', { timeout: 300_000 }, async () => {
    const faultOf = await openSchemas();
    const documents = await allDocuments();
    const faults = Object.entries(documents).map(([name, document]) => [
      name,
      faultOf('2.0', document),
    ]);
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
    // Else the schemas would not see whether anything was there.
    expect(documents['values']).toContain('<ows:BoundingBox');
    expect(documents['references']).toContain('xlink:href=');
  });

  it('and so are the requests of our tests', { timeout: 300_000 }, async () => {
    const faultOf = await openSchemas();
    const outputs = output('stringInput', 'transmission="reference"') + output('mixedInput');
    for (const request of [executeXml({ inputs: EVERY_KIND, outputs }), about('Dismiss', 'x')]) {
      expect(faultOf('2.0', request)).toBeUndefined();
    }
    expect(faultOf('2.0', executeXml({ how: 'mode="now" response="raw"' }))).toBeDefined();
  });
});
