import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROCESS } from './memory-jobs.ts';
import { createTestServer } from './operator-server.ts';
import type { TestServer } from './operator-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await createTestServer();
  // What the jobs of the service do with them is tested with these.
  const { process } = server.jobs;
  server.jobs.process = async (id) =>
    id.toLowerCase() === 'l3'
      ? { ...PROCESS, id: 'L3', isOpen: true }
      : id === PROCESS.id
        ? { ...PROCESS, isOpen: true }
        : process(id);
});
afterAll(() => server[Symbol.asyncDispose]());

const input = (id: string, data: string) =>
  `<wps:Input><ows:Identifier>${id}</ows:Identifier><wps:Data>${data}</wps:Data></wps:Input>`;
const literal = (text: string) => `<wps:LiteralData>${text}</wps:LiteralData>`;
const executeXml = (process: string, inputs: string) => `<?xml version="1.0" encoding="UTF-8"?>
  <wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>${process}</ows:Identifier>
    <wps:DataInputs>${inputs}</wps:DataInputs></wps:Execute>`;

async function post(payload: string | object, type: string, query = '') {
  const headers = { 'content-type': type };
  const url = `/api/jobs${query}`;
  const response = await server.app.inject({ method: 'POST', url, payload, headers });
  return { status: response.statusCode, ...response.json() };
}

const EXPECTED = {
  productionName: 'Berlin',
  inputPath: 'a/.*,b/.*',
  'calvalus.l3.parameters': '<parameters><numRows>1</numRows></parameters>',
  'calvalus.hadoop.mapreduce.job.queuename': 'test',
};

describe('a request for a job', () => {
  test('may be an Execute in the production dialect, with inputs given several times', async () => {
    const inputs =
      input('productionName', literal('Berlin')) +
      input('inputPath', literal('a/.*')) +
      input('inputPath', literal('b/.*')) +
      input(
        'calvalus.l3.parameters',
        '<wps:ComplexData><parameters><numRows>1</numRows></parameters></wps:ComplexData>',
      ) +
      input('calvalus.hadoop.mapreduce.job.queuename', literal('test'));
    const job = await post(executeXml('L3', inputs), 'text/xml; charset=utf-8', '?user=anna');
    expect(job).toMatchObject({ status: 201, process: 'L3', user: 'anna' });
    const { 'calvalus.l3.parameters': parameters, ...others } = job.inputs;
    expect(others).toEqual({ ...EXPECTED, 'calvalus.l3.parameters': undefined });
    expect(parameters).toContain('<numRows>1</numRows>');
  });

  test('may be an Execute of a process', async () => {
    const payload = executeXml(PROCESS.id, input('productionName', literal('A &amp; B')));
    const job = await post(payload, 'application/xml', '?reference=r7');
    expect(job).toMatchObject({ status: 201, title: 'A & B', user: 'operator', reference: 'r7' });
  });

  test('may be a map of parameters as YAML, where numbers stay as they are written', async () => {
    const payload = `productionType: L3
productionName: Berlin
inputPath:
  - a/.*
  - b/.*
calvalus.l3.parameters: |
  <parameters><numRows>1</numRows></parameters>
queue: test
processorBundleVersion: 1.0
regionWKT:
`;
    for (const type of ['application/yaml', 'text/yaml', 'application/x-yaml']) {
      const job = await post(payload, type);
      expect(job).toMatchObject({ status: 201, process: 'L3' });
      expect(job.inputs).toEqual({ ...EXPECTED, processorBundleVersion: '1.0' });
    }
  });

  test('may be such a map as JSON, with maps in it', async () => {
    const payload = {
      productionType: 'l3',
      productionName: 'Berlin',
      inputPath: ['a/.*', 'b/.*'],
      aggregationParameters: { parameters: { numRows: 1 } },
      queue: 'test',
    };
    const job = await post(payload, 'application/json', '?user=bert');
    expect(job).toMatchObject({ status: 201, process: 'l3', user: 'bert', inputs: EXPECTED });
  });
});

const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij']
  .map((name, index) => `${name}: &${name} [${`*${'abcdefghi'[index]},`.repeat(9)}]`)
  .join('\n')}`;

test.each([
  ['YAML that is no map', '- a', 'application/yaml', 400, 'MALFORMED_REQUEST', undefined],
  ['YAML that is none', 'a: [', 'application/yaml', 400, 'MALFORMED_REQUEST', undefined],
  ['a bomb', bomb, 'application/yaml', 400, 'MALFORMED_REQUEST', undefined],
  ['deep YAML', '['.repeat(100_000), 'application/yaml', 400, 'MALFORMED_REQUEST', undefined],
  ['YAML without a type', 'a: 1', 'application/yaml', 400, 'MISSING_PARAMETER', 'productionType'],
  ['XML that is no Execute', '<a/>', 'text/xml', 400, 'MALFORMED_REQUEST', undefined],
  ['an unknown process', executeXml('x~1~y', ''), 'text/xml', 404, 'NO_SUCH_PROCESS', undefined],
  [
    'a wrong value',
    '{"productionType":"L3","timeout":"x"}',
    'application/json',
    400,
    'INVALID_PARAMETER',
    'timeout',
  ],
  ['plain text', 'a', 'text/plain', 415, 'UNSUPPORTED_MEDIA_TYPE', undefined],
])('%s is refused', async (_, payload, type, status, code, locator) => {
  const refusal = await post(payload, type);
  expect(refusal).toMatchObject({ status, code, ...(locator && { locator }) });
});

test('deep JSON is refused', async () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  const refusal = await post(`{"productionType":"L3","inputPath":${deep}}`, 'application/json');
  expect(refusal).toMatchObject({ status: 400, code: 'INVALID_PARAMETER', locator: 'inputPath' });
});

test('whom a job is for is checked in the address, too', async () => {
  const refusal = await post('productionType: L3', 'application/yaml', '?user=../x');
  expect(refusal).toMatchObject({ status: 400, code: 'INVALID_PARAMETER' });
  const unknown = await post({ process: PROCESS.id, inputs: {} }, 'application/json', '?usr=anna');
  expect(unknown).toMatchObject({ status: 400, code: 'INVALID_PARAMETER' });
});
