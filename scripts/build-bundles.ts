/**
 * Builds the bundles that ship with Pushbroom: each of their executables becomes one plain
 * JavaScript file that needs nothing but Node, because nothing else is there on a node.
 */
import { chmod, cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { build } from 'esbuild';

const SOURCES = join(import.meta.dirname, '../bundles');
const DEFAULT_OUTPUT = join(import.meta.dirname, '../dist/bundles');
const DESCRIPTOR = 'bundle-descriptor.xml';
const EXECUTABLE = /-(prepare|process|finalize|format)\.ts$/;

/**
 * An executable has no file extension, so a package.json somewhere above it decides whether Node
 * takes it for CommonJS or for a module. With this in place of `require` it is both.
 */
const PREAMBLE = '#!/usr/bin/env node\nvar require = process.getBuiltinModule;';

/** Writes each bundle to a directory of its own below `outputDirectory`, and returns their names. */
export async function buildBundles(outputDirectory: string): Promise<string[]> {
  const folders = await readdir(SOURCES, { withFileTypes: true });
  const names = folders
    .filter((folder) => folder.isDirectory() && /-\d/.test(folder.name))
    .map((folder) => folder.name);
  await Promise.all(names.map((name) => buildBundle(name, join(outputDirectory, name))));
  return names;
}

async function buildBundle(name: string, output: string): Promise<void> {
  const source = join(SOURCES, name);
  const executables = (await readdir(source)).filter((file) => EXECUTABLE.test(file));
  await rm(output, { recursive: true, force: true });
  await mkdir(output, { recursive: true });
  await cp(join(source, DESCRIPTOR), join(output, DESCRIPTOR));
  await Promise.all(
    executables.map((file) => buildExecutable(join(source, file), join(output, parse(file).name))),
  );
}

async function buildExecutable(source: string, output: string): Promise<void> {
  await build({
    entryPoints: [source],
    outfile: output,
    absWorkingDir: SOURCES,
    bundle: true,
    platform: 'node',
    target: 'node20.16',
    format: 'iife',
    banner: { js: PREAMBLE },
    minify: true, // half the bytes to deploy to every node
    legalComments: 'inline',
    logLevel: 'warning',
  });
  await chmod(output, 0o755);
}

if (import.meta.main) {
  const names = await buildBundles(process.argv[2] ?? DEFAULT_OUTPUT);
  console.log(`built ${names.join(', ')}`);
}
