import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startServer as startPublic } from '../../test/gateways/server.ts';
import { run } from '../../test/operator/command-line.ts';
import { createTestServer, DESCRIPTOR } from '../../test/operator/operator-server.ts';
import type { Bundle } from '../operator/schemas.ts';

let home: string;
let bundle: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'pushbroom-cli-'));
  bundle = join(home, 'echo-1.0');
  await mkdir(bundle);
  await writeFile(join(bundle, 'bundle-descriptor.xml'), DESCRIPTOR);
  await writeFile(join(bundle, 'Echo-process'), '#!/bin/sh\n', { mode: 0o755 });
});
afterEach(() => rm(home, { recursive: true }));

describe('bundles', () => {
  async function start() {
    const server = await createTestServer();
    const url = await server.app.listen({ port: 0, host: '127.0.0.1' });
    const cli = (...argv: string[]) => run(argv, { env: { PUSHBROOM_URL: url } });
    return { cli, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }

  test('are listed with their standing, withdrawn, deployed again and removed', async () => {
    await using server = await start();
    await server.cli('processors', 'deploy', bundle);
    expect((await server.cli('bundles')).stdout).toMatch(
      /^BUNDLE +STATE +FOR .*\necho~1\.0 +deployed +public +- +deployed by operator, /,
    );
    expect((await server.cli('bundles', '--state', 'uploaded')).stdout).toBe('no bundles\n');
    expect((await server.cli('bundle', 'vet', 'echo~1.0')).stderr).toBe(
      'pushbroom: Bundle echo~1.0 is deployed and can not become vetted: it can become withdrawn.\n',
    );
    expect((await server.cli('bundle', 'remove', 'echo~1.0')).stderr).toContain(
      'withdraw it first',
    );
    const { stdout } = await server.cli('bundle', 'withdraw', 'echo~1.0', '--json');
    expect(JSON.parse(stdout) as Bundle).toMatchObject({
      state: 'withdrawn',
      history: [{ to: 'deployed' }, { to: 'withdrawn', by: 'operator' }],
    });
    expect((await server.cli('bundle', 'deploy', 'echo~1.0')).stdout).toContain('deployed');
    expect((await server.cli('bundle', 'hide', 'echo~1.0')).stdout).toContain('private');
    await server.cli('bundle', 'withdraw', 'echo~1.0');
    expect((await server.cli('bundle', 'remove', 'echo~1.0')).stdout).toBe('removed echo~1.0\n');
    expect((await server.cli('bundle', 'remove', 'echo~1.0')).code).toBe(1);
  });
});

describe('an upload', () => {
  async function start() {
    const server = await startPublic();
    const url = await server.app.listen({ port: 0, host: '127.0.0.1' });
    const cli = (...argv: string[]) => run(argv, { env: { PUSHBROOM_PUBLIC_URL: url } });
    return { server, cli, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }

  test('of a bundle, packed where it is a directory, shows how far it is', async () => {
    await using own = await start();
    const { code, stdout, stderr } = await own.cli('upload', bundle);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^uploaded echo-1\.0\.zip, SHA-256 [0-9a-f]{64}\n$/),
    ]);
    expect(stderr).toMatch(/^100 % {2}echo-1\.0\.zip\n$/m);
    expect(own.server.registry.bundles()).toMatchObject([{ name: 'echo', version: '1.0' }]);
  });

  test('of a file goes to the directory that is named', async () => {
    await using own = await start();
    const file = join(home, 'lakes.zip');
    await writeFile(file, 'x'.repeat(90_000));
    const { stdout } = await own.cli('upload', file, '--dir', 'region_data', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'lakes.zip' });
    const list = await own.server.app.inject('/upload/files');
    expect(list.json()).toMatchObject({ items: [{ path: 'region_data/lakes.zip', size: 90_000 }] });
  });

  test('that is refused says why', async () => {
    await using own = await start();
    const file = join(home, 'a');
    await writeFile(file, 'x');
    const { code, stderr } = await own.cli('upload', file, '--dir', '../etc');
    expect(code).toBe(1);
    expect(stderr).toMatch(/pushbroom: dir: '\.\.\/etc' is not a relative path of names/);
    expect((await own.cli('upload', file)).stderr).toMatch(/pushbroom: The bundle/);
    expect((await own.cli('upload', join(home, 'nope'), '--dir', 'a')).stderr).toMatch(
      /^pushbroom: cannot read the file: ENOENT/,
    );
  });

  test.each([200_000, 50_000_000])('of %i bytes too many is told so', async (size) => {
    await using own = await start();
    const file = join(home, 'large');
    await writeFile(file, Buffer.alloc(size));
    const { code, stderr } = await own.cli('upload', file, '--dir', 'a');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^pushbroom: the file is too large: at most 100000 bytes are taken$/m);
    expect(await own.server.leftovers()).toEqual([]);
  });
});
