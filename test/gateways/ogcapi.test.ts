import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../src/core/model.ts';
import { PROCESSES, startServer } from './server.ts';
import type { TestServer } from './server.ts';

const EXCEPTIONS = 'http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0';
const EXECUTION = '/ogcapi/processes/timescan~1.0~Indices/execution';
const BASE = { baseUrl: 'https://centre.example' };

const RESULTS: readonly JobResult[] = [
  { path: 'a.tif', type: 'image/tiff', size: 1, sha256: '', role: 'product' },
  { path: 'a-metadata', type: 'application/atom+xml', size: 1, sha256: '', role: 'metadata' },
];

/** What the tests look at, of whatever document. */
interface Answer {
  readonly links: readonly { readonly href: string; readonly rel: string; readonly type: string }[];
  readonly conformsTo: readonly string[];
  readonly processes: readonly unknown[];
  readonly inputs: unknown;
  readonly outputs: object;
  readonly jobs: readonly { readonly jobID: string }[];
  readonly production_result: unknown;
}

const get = async (server: TestServer, url: string): Promise<Answer> => {
  const response = await server.app.inject(url);
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  return response.json<Answer>();
};

const execute = (server: TestServer, inputs: unknown, headers: Record<string, string> = {}) =>
  server.app.inject({ method: 'POST', url: EXECUTION, payload: { inputs }, headers });

const ASYNC = { prefer: 'respond-async' };

async function accept(server: TestServer): Promise<string> {
  const response = await execute(server, { inputDataSetName: 'x' }, ASYNC);
  return response.json<{ jobID: string }>().jobID;
}

describe('OGC API - Processes', () => {
  it('links from its landing page to all there is', async () => {
    await using server = await startServer(BASE);
    const { links } = await get(server, '/ogcapi');
    for (const { href, type } of links) {
      const response = await server.app.inject(href.replace(BASE.baseUrl, ''));
      expect([href, response.statusCode]).toEqual([href, 200]);
      expect(response.headers['content-type']).toContain(type.split(';')[0]);
    }
    expect(await get(server, '/ogcapi/')).toEqual(await get(server, '/ogcapi'));
  });

  it('declares no conformance to what it lacks', async () => {
    await using server = await startServer();
    const { conformsTo } = await get(server, '/ogcapi/conformance');
    const names = conformsTo.map((uri) => uri.split('/').at(-1));
    expect(names).toEqual([
      'core',
      'ogc-process-description',
      'json',
      'html',
      'oas30',
      'job-list',
      'callback',
      'dismiss',
    ]);
  });

  it('describes itself by OpenAPI 3.0, with every parameter and without references', async () => {
    await using server = await startServer(BASE);
    const response = await server.app.inject('/ogcapi/api');
    expect(response.headers['content-type']).toMatch(/^application\/vnd\.oai\.openapi\+json/);
    expect(response.body).not.toContain('$ref');
    expect(response.body).not.toContain('patternProperties');
    const document = response.json();
    expect(await new Validator().validate(document)).toEqual({ valid: true });
    expect(document).toMatchObject({ openapi: '3.0.3', servers: [{ url: BASE.baseUrl }] });
    expect(Object.keys(document.paths)).toEqual([
      '/ogcapi',
      '/ogcapi/conformance',
      '/ogcapi/processes',
      '/ogcapi/processes/{processId}',
      '/ogcapi/processes/{processId}/execution',
      '/ogcapi/jobs',
      '/ogcapi/jobs/{jobId}',
      '/ogcapi/jobs/{jobId}/results',
    ]);
    for (const [path, operations] of Object.entries<object>(document.paths)) {
      const named = path.match(/(?<=\{)\w+/g) ?? [];
      for (const { parameters = [] } of Object.values(operations)) {
        const inPath = parameters.filter((parameter: { in: string }) => parameter.in === 'path');
        expect(inPath.map(({ name }: { name: string }) => name)).toEqual(named);
      }
    }
  });

  it('pages through the processes', async () => {
    await using server = await startServer(BASE);
    const first = await get(server, '/ogcapi/processes?limit=1');
    expect(first.processes).toMatchObject([{ id: 'urbantep-subsetting~1.0~Subset' }]);
    const next = first.links.find((l) => l.rel === 'next');
    const second = await get(server, next!.href.replace(BASE.baseUrl, ''));
    expect(second.processes).toMatchObject([
      {
        id: 'timescan~1.0~Indices',
        jobControlOptions: ['sync-execute', 'async-execute', 'dismiss'],
      },
    ]);
    expect(JSON.stringify(second.links)).not.toContain('"next"');
    const previous = second.links.find((l) => l.rel === 'prev');
    const back = await get(server, previous!.href.replace(BASE.baseUrl, ''));
    expect(back.processes).toEqual(first.processes);
  });

  it('describes the inputs of a process by schemas', async () => {
    await using server = await startServer();
    const { inputs, outputs } = await get(server, '/ogcapi/processes/timescan~1.0~Indices');
    expect(inputs).toMatchObject({
      inputDataSetName: { minOccurs: 1, schema: { type: 'string' } },
      maxCloudCover: { schema: { type: 'number', minimum: 0, maximum: 100, default: 25 } },
      partitions: { schema: { type: 'integer', enum: [1, 2, 4] } },
      quicklooks: { minOccurs: 0, schema: { type: 'boolean', default: true } },
      regionWKT: {
        schema: {
          oneOf: [
            { type: 'string' },
            { allOf: [{ format: 'geojson-geometry' }, {}] },
            { allOf: [{ format: 'ogc-bbox' }, {}] },
          ],
        },
      },
    });
    expect(Object.keys(outputs)).toEqual(['production_result', 'result_metadata']);
  });

  it('accepts a job at once when it is asked to', async () => {
    await using server = await startServer(BASE);
    const inputs = {
      inputDataSetName: { value: 'S2' },
      maxCloudCover: 20,
      quicklooks: [false],
      regionWKT: { bbox: [5, 47, 15, 55] },
    };
    const response = await execute(server, inputs, { ...ASYNC, remote_user: 'alice' });
    expect(response.statusCode).toBe(201);
    const status = response.json<{ jobID: string }>();
    const url = `https://centre.example/ogcapi/jobs/${status.jobID}`;
    expect(response.headers.location).toBe(url);
    expect(response.headers['preference-applied']).toBe('respond-async');
    expect(status).toEqual({
      processID: 'timescan~1.0~Indices',
      type: 'process',
      jobID: status.jobID,
      status: 'accepted',
      created: '2017-04-20T20:54:29.676Z',
      updated: '2017-04-20T20:54:29.676Z',
      progress: 0,
      links: [
        { href: url, rel: 'self', type: 'application/json', title: 'The status of this job' },
      ],
    });
    expect((await server.jobs.status(status.jobID)).job).toMatchObject({
      user: 'tep_alice',
      inputs: {
        inputDataSetName: 'S2',
        maxCloudCover: '20',
        quicklooks: 'false',
        regionWKT: '5,47,15,55',
      },
    });
  });

  it('quotes a job without accepting it, in both forms and whether it is to be waited for or not', async () => {
    const quoted = {
      ...PROCESSES[1]!,
      inputs: [
        ...PROCESSES[1]!.inputs,
        { ...PROCESSES[1]!.inputs[1]!, id: 'quotation', type: 'string' as const },
      ],
    };
    await using server = await startServer(BASE, [quoted]);
    const inputs = { inputDataSetName: 'S2', quotation: true };
    const raw = await execute(server, inputs, ASYNC);
    expect(raw.statusCode).toBe(200);
    const [quotation] = raw.json<{ status: string; id: string; compound: { id: string } }[]>();
    expect(quotation).toMatchObject({ status: 'QUOTATION', hostName: 'centre.example' });
    const document = await server.app.inject({
      method: 'POST',
      url: EXECUTION,
      payload: { inputs, response: 'document' },
    });
    expect(document.json()).toMatchObject({
      QUOTATION: { mediaType: 'application/json', value: [{ status: 'QUOTATION' }] },
    });
    expect((await get(server, '/ogcapi/jobs')).jobs).toEqual([]);
  });

  it('answers a synchronous request with the results, and without links in the header', async () => {
    await using server = await startServer(BASE);
    const accepted = server.jobs.nextAccepted();
    const response = execute(server, { inputDataSetName: 'x' });
    const id = await accepted;
    server.jobs.move(id, { state: 'successful', percent: 100, results: RESULTS });
    const { statusCode, headers, json } = await response;
    expect(statusCode).toBe(200);
    expect(headers).not.toHaveProperty('link');
    const staged = `https://centre.example/staging/anonymous/${id}`;
    expect(json()).toEqual({
      production_result: { href: `${staged}/a.tif`, type: 'image/tiff', title: 'a.tif' },
      result_metadata: {
        href: `${staged}/a-metadata`,
        type: 'application/atom+xml',
        title: 'a-metadata',
      },
    });
  });

  it('answers a synchronous request whose job fails with the reason', async () => {
    await using server = await startServer();
    const accepted = server.jobs.nextAccepted();
    const response = execute(server, { inputDataSetName: 'x' });
    server.jobs.move(await accepted, { state: 'failed', message: 'exit code 3' });
    expect((await response).statusCode).toBe(500);
    expect((await response).json()).toMatchObject({
      type: `${EXCEPTIONS}/job-failed`,
      detail: 'exit code 3',
    });
  });

  it('lists several products under one output', async () => {
    await using server = await startServer();
    const id = await accept(server);
    const results = [...RESULTS, { ...RESULTS[0]!, path: 'b.tif' }];
    server.jobs.move(id, { state: 'successful', results });
    const { production_result: products } = await get(server, `/ogcapi/jobs/${id}/results`);
    expect(products).toMatchObject([{ title: 'a.tif' }, { title: 'b.tif' }]);
  });

  it('tells the status of a job, with a link to its results once it has ended', async () => {
    await using server = await startServer();
    const id = await accept(server);
    server.jobs.move(id, { state: 'running', percent: 44.6, message: 'half', startedAt: 0 });
    expect(await get(server, `/ogcapi/jobs/${id}`)).toMatchObject({
      status: 'running',
      progress: 45,
      message: 'half',
      started: '1970-01-01T00:00:00.000Z',
    });
    const early = await server.app.inject(`/ogcapi/jobs/${id}/results`);
    expect(early.statusCode).toBe(404);
    expect(early.json()).toMatchObject({ type: `${EXCEPTIONS}/result-not-ready` });
    server.jobs.move(id, { state: 'successful', percent: 100, endedAt: 1000, results: RESULTS });
    expect(await get(server, `/ogcapi/jobs/${id}`)).toMatchObject({
      status: 'successful',
      progress: 100,
      finished: '1970-01-01T00:00:01.000Z',
      links: [{}, { rel: 'http://www.opengis.net/def/rel/ogc/1.0/results' }],
    });
  });

  it('dismisses a job, whose results are then gone', async () => {
    await using server = await startServer();
    const id = await accept(server);
    const response = await server.app.inject({ method: 'DELETE', url: `/ogcapi/jobs/${id}` });
    expect(response.json()).toMatchObject({ jobID: id, status: 'dismissed' });
    expect((await server.app.inject(`/ogcapi/jobs/${id}/results`)).statusCode).toBe(410);
  });

  it('pages through the jobs, newest first, and keeps the filters on the way', async () => {
    await using server = await startServer(BASE);
    const ids = [await accept(server), await accept(server), await accept(server)];
    server.jobs.move(ids[1]!, { state: 'running' });
    const found: string[] = [];
    let url: string | undefined = '/ogcapi/jobs?limit=1&status=accepted&status=failed&type=process';
    for (let pages = 0; url !== undefined && pages < 5; pages++) {
      const page = await get(server, url);
      found.push(...page.jobs.map(({ jobID }) => jobID));
      url = page.links.find(({ rel }) => rel === 'next')?.href.replace(BASE.baseUrl, '');
    }
    expect(found).toEqual([ids[2], ids[0]]);
    expect(await get(server, '/ogcapi/jobs?processID=other')).toMatchObject({ jobs: [] });
    const early = await get(server, '/ogcapi/jobs?datetime=../2017-04-20T20:54:29Z');
    expect(early.jobs).toEqual([]);
    const late = await get(server, '/ogcapi/jobs?datetime=../2017-04-20T22:54:30%2B02:00');
    expect(late.jobs).toHaveLength(3);
    expect(await get(server, '/ogcapi/jobs?type=other')).toMatchObject({ jobs: [] });
  });
});

describe('the pages of OGC API - Processes', () => {
  const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

  it.each([
    '',
    '/conformance',
    '/processes',
    '/processes/timescan~1.0~Indices',
    '/jobs',
    '/jobs/ID',
    '/jobs/ID/results',
  ])('say at %j all that the JSON says, with its links', async (path) => {
    await using server = await startServer(BASE);
    const id = await accept(server);
    server.jobs.move(id, { state: 'successful', percent: 100, endedAt: 1000, results: RESULTS });
    const url = `/ogcapi${path.replace('ID', id)}`;
    const json = JSON.stringify((await server.app.inject(url)).json());
    const { headers, body } = await server.app.inject({ url, headers: { accept: BROWSER } });
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    for (const [, href] of json.matchAll(/"href":"(.*?)"/g)) {
      expect(body).toContain(`<a href="${href!.replaceAll('&', '&amp;')}">`);
    }
    expect(body).not.toContain('<script');
    expect((await server.app.inject(`${url}?f=html`)).body).toBe(body);
    const asked = await server.app.inject({ url: `${url}?f=json`, headers: { accept: BROWSER } });
    expect(asked.headers['content-type']).toMatch(/^application\/json/);
  });

  it('escape what others have written', async () => {
    await using server = await startServer();
    const id = await accept(server);
    const message = '<script>alert("x")</script>';
    server.jobs.move(id, { state: 'failed', message, endedAt: 1000 });
    const job = await server.app.inject(`/ogcapi/jobs/${id}?f=html`);
    expect(job.body).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;');
    const process = await server.app.inject('/ogcapi/processes/timescan~1.0~Indices?f=html');
    expect(process.body).toContain('<h1>Indices &amp; &lt;TimeScan&gt;</h1>');
    const none = await server.app.inject('/ogcapi/processes/%3Cscript%3E?f=html');
    expect(none.statusCode).toBe(404);
    expect(none.headers['content-type']).toMatch(/^text\/html/);
    expect(none.body).not.toContain('<script');
  });

  it.each([
    [undefined, 'json'],
    ['*/*', 'json'],
    ['application/json', 'json'],
    ['text/html;q=0.5, application/json', 'json'],
    ['application/json;q=0.5, text/html', 'html'],
    [BROWSER, 'html'],
  ])('are for who accepts %s: %s', async (accepted, type) => {
    await using server = await startServer();
    const headers = accepted === undefined ? {} : { accept: accepted };
    const response = await server.app.inject({ url: '/ogcapi/processes', headers });
    expect(response.headers['content-type']).toContain(type);
    expect(response.headers.vary).toBe('accept');
  });
});

describe('OGC API - Processes, refusing,', () => {
  it.each([
    ['GET', '/ogcapi/processes/none', 404, 'no-such-process', undefined],
    ['GET', '/ogcapi/processes?limit=0', 400, 'invalid-parameter-value', undefined],
    ['GET', '/ogcapi/jobs/none', 404, 'no-such-job', undefined],
    ['DELETE', '/ogcapi/jobs/none', 404, 'no-such-job', undefined],
    ['GET', '/ogcapi/jobs/none/results', 404, 'no-such-job', undefined],
    ['GET', '/ogcapi/jobs?status=sleeping', 400, 'invalid-parameter-value', undefined],
    ['GET', '/ogcapi/jobs?datetime=yesterday', 400, 'invalid-parameter-value', undefined],
    ['GET', '/ogcapi/jobs?datetime=../..', 400, 'invalid-parameter-value', undefined],
    ['GET', '/ogcapi/jobs?minDuration=1&minDuration=2', 400, 'invalid-parameter-value', undefined],
    ['GET', '/ogcapi/nowhere', 404, 'not-found', undefined],
    ['POST', '/ogcapi/processes/none/execution', 404, 'no-such-process', '{"inputs":{}}'],
    ['POST', EXECUTION, 400, 'invalid-parameter-value', '{}'],
    ['POST', EXECUTION, 400, 'invalid-parameter-value', '{"inputs":[]}'],
    ['POST', EXECUTION, 400, 'missing-parameter-value', '{"inputs":{}}'],
    ['POST', EXECUTION, 400, 'invalid-parameter-value', '{"inputs":{"x":{"type":"wrong/type"}}}'],
    ['POST', EXECUTION, 400, 'invalid-parameter-value', '{"inputs":{},"response":"x"}'],
    ['POST', EXECUTION, 400, 'invalid-parameter-value', '{"inputs":{},"outputs":{"x":{}}}'],
    ['POST', EXECUTION, 400, 'malformed-request', '{'],
    ['POST', EXECUTION, 400, 'malformed-request', ''],
    ['POST', EXECUTION, 413, 'request-too-large', `"${'x'.repeat(60_000)}"`],
  ] as const)('answers %s %s with %d %s', async (method, url, status, type, payload) => {
    await using server = await startServer();
    const headers = { accept: 'application/json', 'content-type': 'application/json' };
    const options = payload === undefined ? {} : { payload, headers };
    const response = await server.app.inject({ method, url, ...options });
    expect(response.headers['content-type']).toMatch(/^application\/json(;|$)/);
    expect(response.statusCode).toBe(status);
    expect(response.json()).toEqual({
      type: `${EXCEPTIONS}/${type}`,
      title: type.replaceAll('-', ' '),
      status,
      detail: expect.stringMatching(/./),
    });
  });

  it.each(['text/plain', 'application/xml', 'nonsense'])('does not read %s', async (type) => {
    await using server = await startServer();
    const headers = { 'content-type': type };
    const response = await server.app.inject({
      method: 'POST',
      url: EXECUTION,
      payload: 'x',
      headers,
    });
    expect(response.statusCode).toBe(415);
    expect(response.json()).toMatchObject({ type: `${EXCEPTIONS}/unsupported-media-type` });
  });
});
