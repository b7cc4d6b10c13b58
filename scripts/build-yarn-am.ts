/**
 * Builds the application-master program for YARN, Java, by Maven. What it has built is kept beside the sources: nothing
 * is built again where these are the same.
 */
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { amProgram } from '../src/engines/yarn/program.ts';

const ROOT = join(import.meta.dirname, '..');

const output = process.argv[2] ?? join(ROOT, 'dist/yarn-am');
const { directory } = await amProgram();
const part = `${output}.part`;
await rm(part, { recursive: true, force: true });
await mkdir(dirname(output), { recursive: true });
await cp(directory, part, { recursive: true });
await rm(output, { recursive: true, force: true });
await rename(part, output);
console.log(`built ${output}`);
