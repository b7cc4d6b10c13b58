import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

import type { BuildOptions, Plugin } from 'esbuild';

const HERE = import.meta.dirname;
const BUILT = join(HERE, 'agent.cjs');

/**
 * The runner on agents as one file that needs nothing but Node. It is built with the package; from a checkout, where
 * the sources run, it is built when it is asked for.
 *
 * @param directory is made if it is not there; what is built goes there, atomically
 * @returns absolute path
 */
export async function runnerProgram(directory: string): Promise<{ readonly path: string }> {
  if (existsSync(BUILT)) return { path: BUILT };
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'runner.cjs');
  const part = join(directory, `.runner-${randomUUID()}.cjs`);
  await buildRunner(part);
  await rename(part, path);
  return { path };
}

/** CommonJS, because its modules are loaded when they are first needed, Node's own too: each task pays for them. */
const OPTIONS = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'cjs',
  minify: true,
  legalComments: 'inline',
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** Bundles the runner on agents from its sources. */
export async function buildRunner(outfile: string): Promise<void> {
  // Not among the dependencies of the package, in which the runner is built.
  const { build } = await import('esbuild');
  const unpack = await build({ ...OPTIONS, entryPoints: [join(HERE, 'unpack.ts')], write: false });
  const replaced = {
    // A native module would have to be there for each kind of agent: without it, processes are started portably.
    'start.ts': `export { startPortably as startProcess } from './portable.ts';`,
    // By far the largest part, needed once for each bundle on a node: as a text it need not be parsed before.
    'unpack.ts': `const module = { exports: {} };
      new Function('module', 'require', ${JSON.stringify(unpack.outputFiles[0]!.text)})(module, require);
      export const { unpackBundle } = module.exports;`,
  };
  await build({
    ...OPTIONS,
    entryPoints: [join(HERE, 'agent.ts')],
    outfile,
    plugins: [replace(replaced)],
  });
}

const replace = (contents: Readonly<Record<string, string>>): Plugin => ({
  name: 'replace',
  setup: ({ onLoad }) => {
    for (const [name, text] of Object.entries(contents)) {
      const filter = new RegExp(`[/\\\\]runner[/\\\\]${name.replace('.', '\\.')}$`);
      onLoad({ filter }, () => ({ contents: text, resolveDir: HERE }));
    }
  },
});
