import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';

const PAGE = join(import.meta.dirname, '../../docs/interfaces/ogcapi.md');

test('the examples of the page about OGC API work as they stand', async () => {
  const blocks = readFileSync(PAGE, 'utf8').matchAll(/^```sh\n(.*?)^```$/gms);
  const examples = Array.from(blocks, ([, block]) => block!).join('\n');
  // Whatever is answered with an error ends the script.
  const script = `curl() { command curl -sS --fail-with-body "$@"; echo; }\n${examples}`;
  await using directory = await temporaryDirectory();
  const server = await startPushbroom(directory.path, { ogcapi: { draft2: true } });
  try {
    const env = { ...process.env, API: `${server.publicUrl}/ogcapi` };
    const options = { cwd: directory.path, env };
    const { stdout } = await promisify(execFile)('sh', ['-eu', '-c', script], options);
    const lines = stdout.trim().split('\n');
    expect(lines).toContainEqual(expect.stringContaining('"numberInput":2.5'));
    expect(lines).toContain('hello');
    expect(
      lines.filter((line) => line === '{"stringInput":"later","colourInput":"green"}'),
    ).toHaveLength(2);
    expect(lines.at(-1)).toBe('later');
  } finally {
    await server.stop();
  }
});
