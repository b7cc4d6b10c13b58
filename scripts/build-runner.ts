/** Builds the runner on agents: one file, fetched by each agent of a cluster, where nothing but Node is. */
import { join } from 'node:path';

import { buildRunner } from '../src/runner/program-file.ts';

const DEFAULT_OUTPUT = join(import.meta.dirname, '../dist/runner/agent.cjs');

const output = process.argv[2] ?? DEFAULT_OUTPUT;
await buildRunner(output);
console.log(`built ${output}`);
