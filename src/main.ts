import { fileURLToPath } from 'node:url';

import { runCli } from './cli/cli.ts';
import { version } from './version.ts';

/** The process: hands the command line what it needs of the world. The server is loaded only where it is wanted. */
process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  version,
  root: fileURLToPath(new URL('..', import.meta.url)),
  serve: async (options) => (await import('./serve.ts')).serve(options),
  buildBundles: async (outDir) =>
    (await import('../scripts/build-bundles.ts')).buildBundles(outDir),
  signals: process,
  exit: (code) => process.exit(code),
});
