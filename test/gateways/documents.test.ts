import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../src/core/model.ts';
import { readExecute } from '../../src/gateways/wps/read.ts';
import { parseXml } from '../../src/xml.ts';
import type { XmlElement } from '../../src/xml.ts';
import { lacksSchemas, openSchemas } from '../servers/ogc-schemas/schemas.ts';
import { startServer } from './server.ts';

const SUBSET = 'urbantep-subsetting~1.0~Subset';
const INPUT =
  '<wps:Input><ows:Identifier>productionName</ows:Identifier><wps:Data><wps:LiteralData>GUF</wps:LiteralData></wps:Data></wps:Input>';

const executeXml = (attributes: string) => `<wps:Execute service="WPS" version="1.0.0"
    xmlns:wps="http://www.opengis.net/wps/1.0.0" xmlns:ows="http://www.opengis.net/ows/1.1">
  <ows:Identifier>${SUBSET}</ows:Identifier><wps:DataInputs>${INPUT}</wps:DataInputs>
  <wps:ResponseForm><wps:ResponseDocument status="true" storeExecuteResponse="true" ${attributes}>
    <wps:Output asReference="true"><ows:Identifier>productionResults</ows:Identifier></wps:Output>
  </wps:ResponseDocument></wps:ResponseForm></wps:Execute>`;

const RESULTS: readonly JobResult[] = [
  { path: 'a.zip', type: 'application/zip', size: 1, sha256: '', role: 'product' },
  { path: 'a.png', type: 'image/png', size: 1, sha256: '', role: 'quicklook' },
  { path: 'a.tif', type: 'image/tiff', size: 1, sha256: '', role: 'product' },
  { path: 'a-metadata', type: 'application/atom+xml', size: 1, sha256: '', role: 'metadata' },
];

/** One document of every kind, by name. */
async function allDocuments(): Promise<Record<string, string>> {
  await using server = await startServer();
  const get = async (query: string) => (await server.app.inject(`/wps?service=WPS&${query}`)).body;
  const execute = async (attributes: string) => {
    const headers = { 'content-type': 'text/xml' };
    const payload = executeXml(attributes);
    return (await server.app.inject({ method: 'POST', url: '/wps', payload, headers })).body;
  };
  const accepted = await execute('');
  const id = /JobId=(\w+)/.exec(accepted)![1]!;
  const getStatus = (progress: Parameters<typeof server.jobs.move>[1]) => {
    server.jobs.move(id, progress);
    return get(`request=GetStatus&JobId=${id}`);
  };
  return {
    capabilities: await get('request=GetCapabilities'),
    descriptions: await get('request=DescribeProcess&version=1.0.0&identifier=all'),
    accepted,
    lineage: await execute('lineage="true"'),
    running: await getStatus({ state: 'running', percent: 45 }),
    failed: await getStatus({ state: 'failed', message: 'exit code 1' }),
    succeeded: await getStatus({ state: 'successful', percent: 100, results: RESULTS }),
    exception: await get('request=DescribeProcess&version=1.0.0'),
  };
}

const EXAMPLES = join(import.meta.dirname, '../../../shared/domain/examples');

const example = (file: string) => readFile(join(EXAMPLES, file), 'utf8');

/** The text of a document without its layout. */
const texts = (document: string) => parseXml(document).text.replaceAll(/\s+/g, ' ').trim();

/** Names of elements and attributes in their order, without repetition of what follows one another. */
function skeleton({ name, attributes, children }: XmlElement): string {
  const inner = children.map(skeleton).filter((child, i, all) => child !== all[i - 1]);
  return `${name}[${Object.keys(attributes).join(' ')}](${inner.join(' ')})`;
}

/** Every element of a document by the names that lead to it. */
const paths = ({ name, children }: XmlElement, above = ''): string[] => [
  `${above}/${name}`,
  ...children.flatMap((child) => paths(child, `${above}/${name}`)),
];

describe.skipIf(!existsSync(EXAMPLES))(
  'beside the documents of real centres (skipped without ../shared/domain/examples)',
  () => {
    it.each([
      ['capabilities', 'wps-bc/get-capabilities-response.xml'],
      ['accepted', 'wps-bc/guf-subsetting-execute-accepted-response.xml'],
      ['succeeded', 'wps-bc/guf-subsetting-execute-final-response.xml'],
      ['running', 'wps-derived/status-running.xml'],
      ['failed', 'wps-derived/status-failed.xml'],
      ['exception', 'wps-derived/exception-missing-parameter.xml'],
    ])(
      'our %s document has the elements and attributes of %s, in their order',
      async (name, file) => {
        const ours = (await allDocuments())[name]!;
        expect(skeleton(parseXml(ours))).toBe(skeleton(parseXml(await example(file))));
      },
    );

    it('our exceptions and states have their words', async () => {
      const ours = await allDocuments();
      expect(texts(ours['exception']!)).toBe(
        texts(await example('wps-derived/exception-missing-parameter.xml')),
      );
      const running = await example('wps-derived/status-running.xml');
      expect(texts(ours['running']!)).toBe(texts(running).replaceAll(' ', ''));
    });

    it('our descriptions have no element that theirs lack, but ranges', async () => {
      const theirs = await example('wps-bc/guf-subsetting-describe-process-response.xml');
      const known = new Set(paths(parseXml(theirs)));
      const ours = paths(parseXml((await allDocuments())['descriptions']!));
      const added = [...new Set(ours)].filter((path) => !known.has(path));
      expect(added.map((path) => path.split('/').at(-1))).toEqual([
        'Range',
        'MinimumValue',
        'MaximumValue',
      ]);
    });

    it('their requests are understood', async () => {
      const folders = ['wps-bc', 'wps-client-requests', 'wps-sdd', 'wps-calvalus'];
      let understood = 0;
      for (const folder of folders) {
        for (const file of await readdir(join(EXAMPLES, folder))) {
          const document = await example(`${folder}/${file}`);
          if (!/<(\w+:)?Execute\s/.test(document) || /<!DOCTYPE/.test(document)) continue;
          const request = await readExecute(document);
          expect([file, request.process]).not.toContain('');
          expect([file, request.inputs]).not.toEqual([file, {}]);
          understood++;
        }
      }
      expect(understood).toBeGreaterThanOrEqual(3);
    });

    it('their request for a subset is accepted', async () => {
      await using server = await startServer();
      const payload = await example('wps-bc/guf-subsetting-execute-request.xml');
      const headers = { 'content-type': 'application/xml' };
      const url = '/bc-wps/wps/calvalus?service=wps&request=Execute&version=1.0.0';
      const response = await server.app.inject({ method: 'POST', url, payload, headers });
      expect(response.body).toContain('<wps:ProcessAccepted>');
      const [status] = (await server.jobs.list({ limit: 1 })).items;
      expect(status?.job.inputs).toEqual({
        productionName: 'GUF subset mosaic test',
        inputDataSetName: 'DLR GUF 75m Global 2012 (Urban TEP)',
        regionWKT: 'POLYGON((24.75 60.10,24.75 60.6,25.25 60.6,25.25 60.10,24.75 60.10))',
        outputFormat: 'GeoTIFF-BigTIFF',
        spatioTemporalAggregationParameters: '75',
      });
    });
  },
);

describe.skipIf(lacksSchemas())('by the schemas of the OGC', () => {
  it('every document is valid', { timeout: 300_000 }, async () => {
    const faultOf = await openSchemas();
    const faults = Object.entries(await allDocuments()).map(([name, document]) => [
      name,
      faultOf('1.0.0', document),
    ]);
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
    expect(faults.length).toBeGreaterThan(7);
  });
});
