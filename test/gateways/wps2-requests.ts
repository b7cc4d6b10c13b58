import { expect } from 'vitest';
import { BUILTINS } from '../../src/processes/builtin.ts';
import type { JobResult } from '../../src/core/model.ts';
import { child, childText, parseXml } from '../../src/xml.ts';
import type { XmlElement } from '../../src/xml.ts';
import { PROCESSES, startServer } from './server.ts';
import type { TestServer } from './server.ts';

export const SUBSET = 'urbantep-subsetting~1.0~Subset';
/** With a required input, a range and allowed values. */
export const TIMESCAN = 'timescan~1.0~Indices';
export const ECHO = 'echo';

/** Processes of a cluster and those of the service itself. */
export const startBoth = (options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> =>
  startServer(options, [...PROCESSES, ...BUILTINS]);

interface Execute {
  readonly process?: string;
  /** Attributes of the root. */
  readonly how?: string;
  readonly inputs?: string;
  readonly outputs?: string;
}

const NAMESPACES =
  'xmlns:wps="http://www.opengis.net/wps/2.0" xmlns:ows="http://www.opengis.net/ows/2.0" xmlns:xlink="http://www.w3.org/1999/xlink"';

export const executeXml = ({
  process = ECHO,
  how = 'mode="sync" response="document"',
  inputs = literal('stringInput', 'Größe'),
  outputs = '',
}: Execute = {}): string =>
  `<?xml version="1.0" encoding="UTF-8"?>
  <wps:Execute service="WPS" version="2.0.0" ${how} ${NAMESPACES}>
    <ows:Identifier>${process}</ows:Identifier>${inputs}${outputs}
  </wps:Execute>`;

export const data = (id: string, content: string, attributes = ''): string =>
  `<wps:Input id="${id}"><wps:Data ${attributes}>${content}</wps:Data></wps:Input>`;

export const literal = (id: string, text: string): string =>
  data(id, `<wps:LiteralValue>${text}</wps:LiteralValue>`);

export const output = (id: string, attributes = ''): string =>
  `<wps:Output id="${id}" ${attributes}/>`;

export const about = (operation: 'GetStatus' | 'GetResult' | 'Dismiss', jobId: string): string =>
  `<wps:${operation} service="WPS" version="2.0.0" ${NAMESPACES}><wps:JobID>${jobId}</wps:JobID></wps:${operation}>`;

export const post = (server: TestServer, payload: string, url = '/wps') =>
  server.app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'text/xml' } });

export const get = (server: TestServer, query: string) =>
  server.app.inject(`/wps?service=WPS&version=2.0.0&${query}`);

type Answered = ReturnType<typeof post>;

/** The root of an answer that is a document of WPS 2.0. */
export async function rootOf(answered: Answered): Promise<XmlElement> {
  const response = await answered;
  expect(response).toMatchObject({ statusCode: 200 });
  expect(response.headers['content-type']).toBe('application/xml; charset=utf-8');
  const root = parseXml(response.body);
  expect(root.namespace).toMatch(/^http:\/\/www\.opengis\.net\/(wps|ows)\/2\.0$/);
  return root;
}

export async function exceptionOf(answered: Answered) {
  const response = await answered;
  const root = parseXml(response.body);
  expect(root).toMatchObject({
    name: 'ExceptionReport',
    namespace: 'http://www.opengis.net/ows/2.0',
  });
  const exception = child(root, 'Exception')!;
  const { exceptionCode: code, locator } = exception.attributes;
  const text = childText(exception, 'ExceptionText');
  return { status: response.statusCode, code, locator, text };
}

/** Posts an Execute that is answered by a status. */
export async function accepted(server: TestServer, execute: Parameters<typeof executeXml>[0]) {
  const root = await rootOf(post(server, executeXml(execute)));
  expect(root.name).toBe('StatusInfo');
  return { id: childText(root, 'JobID')!, state: childText(root, 'Status') };
}

export const ASYNC = 'mode="async" response="document"';

/** Of a job of the cluster. */
export const RESULTS: readonly JobResult[] = [
  { path: 'A-metadata', type: 'application/atom+xml', size: 1, sha256: '', role: 'metadata' },
  { path: 'sub/b c.tif', type: 'image/tiff', size: 1, sha256: '', role: 'product' },
  { path: 'b.png', type: 'image/png', size: 1, sha256: '', role: 'quicklook' },
];
