import { Validator } from '@seriousme/openapi-schema-validator';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILTINS } from '../../src/processes/builtin.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const startDraft = () => startServer({ baseUrl: 'https://centre.example', draft2: true }, BUILTINS);

const execute = (server: TestServer, query: Record<string, string>) =>
  server.app.inject(`/ogcapi/processes/echo/execution?${new URLSearchParams(query).toString()}`);

describe('the draft of OGC API - Processes 2.0', () => {
  it('is there only where it is wanted', async () => {
    await using plain = await startServer({}, BUILTINS);
    expect((await execute(plain, { stringInput: 'x' })).statusCode).toBe(404);
    await using draft = await startDraft();
    const { conformsTo } = (await draft.app.inject('/ogcapi/conformance')).json();
    const document = (await draft.app.inject('/ogcapi/api')).json();
    expect(await new Validator().validate(document)).toEqual({ valid: true });
    expect(conformsTo).toContain(
      'http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/kvp-execute',
    );
  });

  it('executes by a URL with inputs of every kind', async () => {
    await using server = await startDraft();
    const response = await execute(server, {
      stringInput: 'a,b',
      numberInput: '2.5',
      arrayInput: 'one,two',
      bboxInput: '47,5,55,15',
      'bboxInput[crs]': 'http://www.opengis.net/def/crs/EPSG/0/4326',
      'mixedInput[value]': '<a/>',
      'mixedInput[mediaType]': 'text/xml',
      'binaryInput[value]': 'SUkqAA==',
      'binaryInput[encoding]': 'base64',
      'binaryInput[mediaType]': 'image/tiff',
      'response[f]': 'json',
    });
    expect(response.json()).toEqual({
      stringInput: 'a,b',
      numberInput: 2.5,
      colourInput: 'green',
      arrayInput: ['one', 'two'],
      bboxInput: { bbox: [47, 5, 55, 15], crs: 'http://www.opengis.net/def/crs/EPSG/0/4326' },
      mixedInput: { value: '<a/>', mediaType: 'text/xml' },
      binaryInput: { value: 'SUkqAA==', encoding: 'base64', mediaType: 'image/tiff' },
    });
  });

  it('takes a complex input as text, chooses outputs, and waits or not', async () => {
    await using server = await startDraft();
    const query = { mixedInput: '{"a":1}', 'mixedInput[mediaType]': 'application/json' };
    const raw = await execute(server, { ...query, 'mixedInput[include]': 'true' });
    expect(raw.headers['content-type']).toMatch('application/json');
    expect(raw.body).toBe('{"a":1}');
    const later = await execute(server, { ...query, 'response[prefer]': 'respond-async' });
    expect(later.statusCode).toBe(201);
    expect(later.headers.location).toMatch(/^https:\/\/centre\.example\/ogcapi\/jobs\//);
  });

  it('gives one result by its name', async () => {
    await using server = await startDraft();
    const query = { stringInput: 'x', 'response[prefer]': 'respond-async' };
    const { jobID } = (await execute(server, query)).json<{ jobID: string }>();
    const one = await server.app.inject(`/ogcapi/jobs/${jobID}/results/stringInput`);
    expect(one.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(one.body).toBe('x');
    const none = await server.app.inject(`/ogcapi/jobs/${jobID}/results/numberInput`);
    expect(none.statusCode).toBe(404);
    expect(none.json()).toMatchObject({ detail: expect.stringContaining("'numberInput'") });
  });

  it.each([
    [{ none: 'x' }, "no input 'none'"],
    [{ bboxInput: '1,2,three,4' }, 'four numbers'],
    [{ bboxInput: '1,,2,3' }, 'four numbers'],
    [{ numberInput: 'many' }, 'numberInput'],
    [{ 'stringInput[href]': 'file:///etc/passwd' }, 'http or https'],
    [{ 'binaryInput[include]': 'true', 'binaryInput[mediaType]': 'image/png' }, 'image/tiff'],
  ])('refuses %j', async (query, reason) => {
    await using server = await startDraft();
    const response = await execute(server, query);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ detail: expect.stringContaining(reason) });
  });

  it('never fails, whatever the query is', async () => {
    await using server = await startDraft();
    const ids = BUILTINS[0]!.inputs.map(({ id }) => id).filter((id) => id !== 'pause');
    const member = fc.constantFrom('', '[href]', '[value]', '[crs]', '[include]', '[]', '[a][b]');
    const name = fc
      .tuple(fc.oneof(fc.constantFrom(...ids, 'response'), fc.string()), member)
      .map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, fc.string()), async (query) => {
        const { statusCode } = await execute(server, query);
        expect(statusCode).toBeLessThan(500);
      }),
      { numRuns: 50 },
    );
  });
});
