import { expect, test } from 'vitest';

import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';

const NAMESPACES =
  'xmlns:wps="http://www.opengis.net/wps/2.0" xmlns:ows="http://www.opengis.net/ows/2.0"';

const post = async (url: string, body: string): Promise<string> => {
  const headers = { 'content-type': 'text/xml' };
  return (await fetch(`${url}/wps`, { method: 'POST', body, headers })).text();
};

const execute = (response: 'raw' | 'document'): string =>
  `<wps:Execute service="WPS" version="2.0.0" mode="async" response="${response}" ${NAMESPACES}>
     <ows:Identifier>echo</ows:Identifier>
     <wps:Input id="stringInput"><wps:Data>hello</wps:Data></wps:Input>
     <wps:Input id="arrayInput"><wps:Data>one</wps:Data></wps:Input>
     <wps:Output id="stringInput"/>
   </wps:Execute>`;

const jobOf = (document: string): string => /<wps:JobID>(.*?)<\/wps:JobID>/.exec(document)![1]!;

const result = (id: string): string =>
  `<wps:GetResult service="WPS" version="2.0.0" ${NAMESPACES}><wps:JobID>${id}</wps:JobID></wps:GetResult>`;

test('after a restart, the results of a job are given as its Execute has wished, through any door', async () => {
  await using directory = await temporaryDirectory();
  const first = await startPushbroom(directory.path, {});
  const raw = await post(first.publicUrl, execute('raw'));
  const document = await post(first.publicUrl, execute('document'));
  // There are clients that never ask a second time whether a job has ended.
  expect([raw, document]).toEqual([
    expect.stringContaining('<wps:Status>Succeeded<'),
    expect.stringContaining('<wps:Status>Succeeded<'),
  ]);
  const body = JSON.stringify({ inputs: { stringInput: 'hello', arrayInput: ['one', 'two'] } });
  const headers = { 'content-type': 'application/json', prefer: 'respond-async' };
  const url = `${first.publicUrl}/ogcapi/processes/echo/execution`;
  const created = await fetch(url, { method: 'POST', body, headers });
  const { jobID } = (await created.json()) as { jobID: string };
  await first.stop();

  const second = await startPushbroom(directory.path, {});
  try {
    const ask = (id: string) => post(second.publicUrl, result(id));
    expect(await ask(jobOf(raw))).toMatch(/^<\?xml[^>]*>\s*<wps:LiteralValue [^>]*>hello</);
    const given = await ask(jobOf(document));
    expect(given).toMatch(/<wps:Output id="stringInput"><wps:Data [^>]*><wps:LiteralValue>hello</);
    expect(given).not.toContain('arrayInput');
    expect((await ask(jobID)).match(/<wps:Output id="arrayInput">/g)).toHaveLength(2);
  } finally {
    await second.stop();
  }
});
