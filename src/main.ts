import { existsSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { runCli } from './cli/cli.ts';
import { version } from './version.ts';

/** Hands the command line what it needs of the world. The server is loaded only where it is wanted. */
process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  readPassword: async () =>
    (await import('./cli/ask.ts')).askPassword(process.stdin, process.stderr),
  env: process.env,
  version,
  root: fileURLToPath(new URL('..', import.meta.url)),
  serve: async (options) => (await import('./serve.ts')).serve(options),
  buildBundles,
  signals: process,
  exit: (code) => process.exit(code),
});

/** In a checkout the sources of the bundles are there to be built; the published package brings them built. */
async function buildBundles(outDir: string): Promise<readonly string[]> {
  const script = new URL('../scripts/build-bundles.ts', import.meta.url);
  if (existsSync(script)) {
    const { buildBundles: build } = (await import(script.href)) as {
      buildBundles: typeof buildBundles;
    };
    return build(outDir);
  }
  await cp(new URL('bundles', import.meta.url), outDir, { recursive: true });
  return [];
}
