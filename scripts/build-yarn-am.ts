/**
 * Builds the application-master program for YARN, Java, by Maven. What it has built is kept beside the modules: nothing
 * is built again where the sources are the same.
 */
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { amProgram } from '../src/engines/yarn/program.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, 'node_modules/.cache/pushbroom');

const output = process.argv[2] ?? join(ROOT, 'dist/yarn-am');
const { directory } = await amProgram(CACHE);
const part = `${output}.part`;
await rm(part, { recursive: true, force: true });
await mkdir(dirname(output), { recursive: true });
await cp(directory, part, { recursive: true });
await rm(output, { recursive: true, force: true });
await rename(part, output);
console.log(`built ${output}`);
