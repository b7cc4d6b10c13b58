import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readParameters } from './parameters.ts';
import type { Parameters } from './parameters.ts';

/**
 * The calling convention of a processor: `<executable> <input> <parameters-file>` in a fresh
 * directory; a failure is one line on stderr and exit code 1.
 */
export async function runProgram(
  main: (input: string, parameters: Parameters) => Promise<void>,
): Promise<void> {
  const [, executable = '', input, parametersFile] = process.argv;
  const name = basename(executable);
  try {
    if (input === undefined) throw new Error(`usage: ${name} <input> [<parameters-file>]`);
    await main(input, readParameters(parametersFile));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${name}: ${reason.replaceAll(/\s*\n\s*/g, ' ')}\n`);
    process.exitCode = 1;
  }
}

export function announceOutput(path: string): void {
  process.stdout.write(`OUTPUT_PRODUCT ${path}\n`);
}

export function reportProgress(fraction: number): void {
  process.stdout.write(`CALVALUS_PROGRESS ${fraction.toFixed(3)}\n`);
}

/** The paths in a file with one path per line. */
export function readInputList(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}

export function productName(path: string): string {
  return basename(path).replace(/\.tiff?$/i, '');
}
