import { Command, InvalidArgumentError } from 'commander';
import { createClient } from './client.ts';
import type { Client } from './client.ts';
import type { CliDeps } from './deps.ts';

const DEFAULT_SERVER = 'http://127.0.0.1:8081';
export const DEFAULT_PUBLIC = 'http://127.0.0.1:8080';

export interface ClientFlags {
  readonly server: string;
  readonly json?: true;
}

/** A verb that talks to the operator API. */
export const clientCommand = (name: string, deps: CliDeps): Command =>
  new Command(name)
    .option(
      '--server <url>',
      'internal listener of Pushbroom (PUSHBROOM_URL)',
      deps.env['PUSHBROOM_URL'] ?? DEFAULT_SERVER,
    )
    .option('--json', 'print JSON');

export const clientOf = (flags: ClientFlags, deps: CliDeps): Client =>
  createClient(flags.server, deps);

/** Prints what the API answered: as one JSON document or as text. */
export function print<T>(deps: CliDeps, flags: ClientFlags, value: T, text: (value: T) => string) {
  deps.stdout.write(flags.json ? `${JSON.stringify(value)}\n` : text(value));
}

/** A parser of whole numbers for commander. */
export const integer =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };

export function positive(text: string): number {
  const value = Number(text);
  if (/^\d{1,12}(\.\d{1,6})?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}

export const list = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value.split(','),
];

export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ pushbroom ${line}`).join('\n')}`;
