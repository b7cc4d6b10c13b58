import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';
import { findPythonClients } from './python.ts';

const python = await findPythonClients();

/** What no answer may be, whatever is asked: a failure of the server, or something that the document does not promise. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];

describe.skipIf(!python)('clients in Python find the service as they expect it:', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: Pushbroom;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    server = await startPushbroom(directory.path, { ogcapi: { draft2: true } });
  });
  afterAll(async () => {
    await server.stop();
    await directory[Symbol.asyncDispose]();
  });

  it.each([
    ['OWSLib, WPS 1.0.0', 'owslib_wps.py'],
    ['birdy, WPS 1.0.0', 'use_birdy.py'],
    ['OWSLib, OGC API', 'owslib_ogcapi.py'],
    ['ogc-api-processes-client', 'processes_client.py'],
  ])('%s', async (_client, name) => {
    await python!.script(name, server.publicUrl);
  });

  it('Schemathesis, whatever it asks', { timeout: 300_000 }, async () => {
    const { publicUrl } = server;
    const report = await python!.program('schemathesis', [
      'run',
      `${publicUrl}/ogcapi/api`,
      `--url=${publicUrl}`,
      `--checks=${CHECKS.join(',')}`,
      '--max-examples=20',
      '--generation-deterministic',
      '--no-color',
    ]);
    expect(report).toMatch(/(\d+) generated, \1 passed/);
  });
});
