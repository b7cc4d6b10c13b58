import { expect, it } from 'vitest';
import { data, ECHO, executeXml, output, post, startBoth } from './wps2-requests.ts';

it('no door lets a browser run what a job has left', async () => {
  await using server = await startBoth();
  const page = '<a xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></a>';
  const inputs = data('mixedInput', page, 'mimeType="text/xml"');
  const body = { inputs: { mixedInput: { value: page, mediaType: 'text/xml' } } };
  const raw = await Promise.all([
    server.app.inject(
      `/wps?service=WPS&request=Execute&version=1.0.0&identifier=${ECHO}&RawDataOutput=mixedInput&DataInputs=mixedInput=${encodeURIComponent(page)}`,
    ),
    post(
      server,
      executeXml({ how: 'mode="sync" response="raw"', inputs, outputs: output('mixedInput') }),
    ),
    ...[undefined, { mixedInput: {} }].map((outputs) =>
      server.app.inject({
        method: 'POST',
        url: `/ogcapi/processes/${ECHO}/execution`,
        payload: { ...body, ...(outputs && { outputs }) },
      }),
    ),
  ]);
  for (const { statusCode, headers, body: content } of raw) {
    expect(statusCode).toBe(200);
    expect(content).toContain('<script>');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    });
  }
});
