import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { parse } from 'yaml';
import { expect, test } from 'vitest';

import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';

const ROOT = join(import.meta.dirname, '../..');

/** The shell blocks of the first job, in their order: prepare, serve, run, try the echo. */
const blocks = Array.from(
  readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms),
  ([, block]) => block!,
);

test('the first job of the README works as it is written', async () => {
  const [prepare, serve, run, echo] = blocks;
  expect(blocks).toHaveLength(4);
  await using directory = await temporaryDirectory();
  const shell = async (script: string, env: Record<string, string> = {}) => {
    const path = [join(ROOT, 'bin'), dirname(process.execPath), process.env['PATH']].join(
      delimiter,
    );
    const options = { cwd: directory.path, env: { ...process.env, ...env, PATH: path } };
    return (await promisify(execFile)('sh', ['-eu', '-c', script], options)).stdout;
  };
  await shell(prepare!);
  // The server as the README starts it, but on free ports and in the background.
  expect(serve).toBe('pushbroom serve --config pushbroom.yaml\n');
  const config = parse(readFileSync(join(directory.path, 'pushbroom.yaml'), 'utf8')) as object;
  const server = await startPushbroom(directory.path, { ...config });
  try {
    const said = await shell(run!, { PUSHBROOM_URL: server.internalUrl });
    expect(said).toContain('words~1.0');
    expect(said).toContain('successful');
    const jobs = JSON.parse(
      await shell('pushbroom jobs --json', { PUSHBROOM_URL: server.internalUrl }),
    ) as { items: { id: string }[] };
    const details = await shell(`pushbroom job ${jobs.items[0]!.id}`, {
      PUSHBROOM_URL: server.internalUrl,
    });
    expect(details).toContain('a.count');
    const echoed = await shell(echo!.replaceAll('http://127.0.0.1:8080', server.publicUrl));
    expect(echoed.match(/hello/g)).toHaveLength(2);
  } finally {
    await server.stop();
  }
});
