import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  about,
  accepted,
  ASYNC,
  data,
  exceptionOf,
  executeXml,
  get,
  literal,
  output,
  post,
  RESULTS,
  startBoth,
  SUBSET,
  TIMESCAN,
} from './wps2-requests.ts';

describe('WPS 2.0 refuses', () => {
  it.each([
    [
      'an unknown process',
      executeXml({ process: 'a~1~b' }),
      { status: 404, code: 'NoSuchProcess', locator: 'a~1~b' },
    ],
    [
      'an unknown mode',
      executeXml({ how: 'mode="now" response="raw"' }),
      { status: 400, code: 'NoSuchMode', locator: 'mode' },
    ],
    [
      'no mode',
      executeXml({ how: 'response="raw"' }),
      { code: 'MissingParameterValue', locator: 'mode' },
    ],
    [
      'no response',
      executeXml({ how: 'mode="sync"' }),
      { code: 'MissingParameterValue', locator: 'response' },
    ],
    [
      'an unknown form',
      executeXml({ how: 'mode="sync" response="cooked"' }),
      { code: 'InvalidParameterValue', locator: 'response' },
    ],
    [
      'an unknown input',
      executeXml({ inputs: literal('x', '1') }),
      { status: 400, code: 'NoSuchInput', locator: 'x' },
    ],
    [
      'an input twice',
      executeXml({ inputs: literal('stringInput', '1').repeat(2) }),
      { code: 'TooManyInputs', locator: 'stringInput' },
    ],
    [
      'a list that is too long',
      executeXml({ inputs: literal('arrayInput', '1').repeat(11) }),
      { code: 'TooManyInputs', locator: 'arrayInput' },
    ],
    [
      'a value out of range',
      executeXml({ inputs: literal('numberInput', '101') }),
      { code: 'WrongInputData', locator: 'numberInput' },
    ],
    [
      'a box of nowhere',
      executeXml({
        inputs: data(
          'bboxInput',
          '<ows:BoundingBox crs="EPSG:32632"><ows:LowerCorner>5 47</ows:LowerCorner><ows:UpperCorner>15 55</ows:UpperCorner></ows:BoundingBox>',
        ),
      }),
      { code: 'WrongInputData', locator: 'bboxInput' },
    ],
    [
      'a missing input',
      executeXml({ process: TIMESCAN, inputs: '', how: ASYNC }),
      { code: 'MissingParameterValue', locator: 'inputDataSetName' },
    ],
    [
      'an empty input',
      executeXml({ inputs: data('stringInput', ' ') }),
      { code: 'MissingParameterValue', locator: 'stringInput' },
    ],
    [
      'a nested input',
      executeXml({
        inputs:
          '<wps:Input id="a"><wps:Input id="b"><wps:Data>1</wps:Data></wps:Input></wps:Input>',
      }),
      { code: 'InvalidParameterValue', locator: 'a' },
    ],
    [
      'an input without an id',
      executeXml({ inputs: '<wps:Input><wps:Data>1</wps:Data></wps:Input>' }),
      { code: 'MissingParameterValue', locator: 'id' },
    ],
    [
      'a reference to this machine',
      executeXml({
        inputs:
          '<wps:Input id="stringInput"><wps:Reference xlink:href="http://127.0.0.1/"/></wps:Input>',
      }),
      { code: 'DataNotAccessible', locator: 'stringInput' },
    ],
    [
      'a reference to a file',
      executeXml({
        inputs:
          '<wps:Input id="stringInput"><wps:Reference xlink:href="file:///etc/passwd"/></wps:Input>',
      }),
      { code: 'DataNotAccessible', locator: 'stringInput' },
    ],
    [
      'an unknown output',
      executeXml({ outputs: output('x') }),
      { code: 'NoSuchOutput', locator: 'x' },
    ],
    [
      'a format that an output does not have',
      executeXml({ outputs: output('mixedInput', 'mimeType="image/png"') }),
      { code: 'NoSuchFormat', locator: 'mixedInput' },
    ],
    [
      'an encoding that nobody knows',
      executeXml({ outputs: output('mixedInput', 'encoding="rot13"') }),
      { code: 'InvalidParameterValue', locator: 'mixedInput' },
    ],
    [
      'two outputs raw',
      executeXml({
        how: 'mode="sync" response="raw"',
        outputs: output('mixedInput') + output('stringInput'),
      }),
      { code: 'TooManyOutputs' },
    ],
    [
      'all outputs raw',
      executeXml({ how: 'mode="sync" response="raw"' }),
      { code: 'TooManyOutputs' },
    ],
    [
      'a raw reference',
      executeXml({
        how: 'mode="sync" response="raw"',
        outputs: output('stringInput', 'transmission="reference"'),
      }),
      { code: 'InvalidParameterValue', locator: 'stringInput' },
    ],
    [
      'an unknown transmission',
      executeXml({ outputs: output('stringInput', 'transmission="pigeon"') }),
      { code: 'InvalidParameterValue', locator: 'stringInput' },
    ],
    ['an unknown job', about('GetStatus', 'x'), { status: 404, code: 'NoSuchJob' }],
    [
      'no job',
      about('GetResult', ' '),
      { status: 400, code: 'MissingParameterValue', locator: 'JobID' },
    ],
    [
      'an operation that there is not',
      about('GetStatus', 'x').replaceAll('GetStatus', 'GetHelp'),
      { status: 400, code: 'NoApplicableCode' },
    ],
    [
      'another version',
      executeXml().replace('version="2.0.0"', 'version="2.1.0"'),
      { status: 400, code: 'InvalidParameterValue', locator: 'version' },
    ],
    [
      'another service',
      executeXml().replace('service="WPS"', 'service="WFS"'),
      { status: 400, code: 'InvalidParameterValue', locator: 'service' },
    ],
    [
      'a namespace that is nearly right',
      executeXml().replace('wps/2.0"', 'wps/2.0.0"'),
      { status: 400, code: 'NoApplicableCode' },
    ],
    [
      'a document that ends early',
      executeXml().slice(0, 300),
      { status: 400, code: 'NoApplicableCode' },
    ],
    [
      'deep nesting',
      executeXml({ inputs: data('mixedInput', '<a>'.repeat(100) + '</a>'.repeat(100)) }),
      { status: 400, code: 'NoApplicableCode' },
    ],
    [
      'an entity',
      `<!DOCTYPE x [<!ENTITY a "b">]>${executeXml().slice(38)}`,
      { status: 400, code: 'NoApplicableCode' },
    ],
  ])('%s', async (_, document, exception) => {
    await using server = await startBoth();
    const refused = await exceptionOf(post(server, document));
    expect(refused).toMatchObject(exception);
    expect(refused.text).toBeTruthy();
    expect((await server.jobs.list({ limit: 1 })).items).toEqual([]);
  });

  it.each([
    ['request=GetResult', { status: 400, code: 'MissingParameterValue', locator: 'jobid' }],
    ['request=Execute&identifier=echo', { status: 501, code: 'OperationNotSupported' }],
    ['request=GetHelp', { status: 400, code: 'InvalidParameterValue', locator: 'request' }],
    ['request=DescribeProcess', { code: 'MissingParameterValue', locator: 'identifier' }],
    ['request=DescribeProcess&identifier=a~1~b', { code: 'NoSuchProcess', locator: 'a~1~b' }],
  ])('%s', async (query, exception) => {
    await using server = await startBoth();
    expect(await exceptionOf(get(server, query))).toMatchObject(exception);
  });

  it.each([
    ['service=WMS&version=2.0.0&request=GetCapabilities', 'service'],
    ['service=WPS&version=3.0.0&request=GetCapabilities', 'version'],
    ['version=2.0.0&request=GetCapabilities', 'service'],
  ])('%s', async (query, locator) => {
    await using server = await startBoth();
    const refused = await exceptionOf(server.app.inject(`/wps?${query}`));
    expect(refused).toMatchObject({ status: 400, locator });
  });

  it('what is referred to where it cannot be had or is too large, and takes it where it is not', async () => {
    const remote = createServer((request, response) => {
      void text(request).then((body) =>
        response.writeHead(request.url === '/gone' ? 404 : 200).end(`${request.method} ${body}`),
      );
    }).listen(0, '127.0.0.1');
    await once(remote, 'listening');
    const { port } = remote.address() as AddressInfo;
    const references = { allow: ['127.0.0.1'], maxBytes: 10, seconds: 10, maxRedirects: 0 };
    await using server = await startBoth({ references });
    const execute = (path: string, body = '') =>
      post(
        server,
        executeXml({
          inputs: `<wps:Input id="stringInput"><wps:Reference xlink:href="http://127.0.0.1:${port}${path}">${body}</wps:Reference></wps:Input>`,
          outputs: output('stringInput'),
        }),
      );
    try {
      expect((await execute('/')).body).toContain('>GET <');
      expect((await execute('/', '<wps:Body>abc</wps:Body>')).body).toContain('>POST abc<');
      const locator = 'stringInput';
      expect(await exceptionOf(execute('/gone'))).toMatchObject({
        code: 'DataNotAccessible',
        locator,
      });
      const large = execute('/', '<wps:Body>abcdefghijk</wps:Body>');
      expect(await exceptionOf(large)).toMatchObject({ code: 'SizeExceeded', locator });
    } finally {
      remote.closeAllConnections();
      remote.close();
    }
  });

  it('results before they are there, and those of a job that has failed', async () => {
    await using server = await startBoth();
    const inputs = literal('productionName', 'x');
    const job = await accepted(server, { process: SUBSET, how: ASYNC, inputs });
    const result = () => exceptionOf(get(server, `request=GetResult&JobID=${job.id}`));
    expect(await result()).toMatchObject({ code: 'ResultNotReady' });
    server.jobs.move(job.id, { state: 'failed', message: 'exit code 1\u0000' });
    expect(await result()).toMatchObject({ code: 'NoApplicableCode', text: /exit code 1/ });
  });

  it('values that an answer cannot hold', async () => {
    await using server = await startBoth();
    const inputs = literal('productionName', 'x');
    const outputs = output('production_result', 'transmission="value"');
    const job = await accepted(server, { process: SUBSET, how: ASYNC, inputs, outputs });
    const size = 5 * 1024 * 1024;
    const results = RESULTS.map((result) => ({ ...result, size }));
    server.jobs.move(job.id, { state: 'successful', percent: 100, results });
    expect(await exceptionOf(get(server, `request=GetResult&JobID=${job.id}`))).toMatchObject({
      status: 400,
      locator: 'production_result',
    });
  });

  it('to tell what went wrong inside', async () => {
    await using server = await startBoth();
    server.jobs.processes = () => Promise.reject(new Error('the secret is 42'));
    const refused = await exceptionOf(get(server, 'request=GetCapabilities'));
    expect(refused.status).toBe(500);
    expect(refused.text).toMatch(/^internal error \(request /);
    expect(server.errors.splice(0).join('')).toContain('the secret is 42');
  });
});
