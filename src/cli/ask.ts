import { createInterface } from 'node:readline';
import type { ReadStream } from 'node:tty';
import { Writable } from 'node:stream';
import { PushbroomError } from '../errors.ts';
import type { Output } from './deps.ts';

/**
 * A password: what comes in a pipe, or what is typed twice, unseen.
 *
 * @throws INVALID_PARAMETER where it is empty or was typed in different ways
 */
export async function askPassword(input: ReadStream, output: Output): Promise<string> {
  const password = input.isTTY ? await typed(input, output) : await piped(input);
  if (password === '') throw new PushbroomError('INVALID_PARAMETER', 'the password is empty');
  return password;
}

async function piped(input: ReadStream): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of input) parts.push(Buffer.from(part as Uint8Array));
  return Buffer.concat(parts)
    .toString()
    .replace(/\r?\n$/, '');
}

async function typed(input: ReadStream, output: Output): Promise<string> {
  const first = await unseen(input, output, 'Password: ');
  if ((await unseen(input, output, 'Once more: ')) === first) return first;
  throw new PushbroomError('INVALID_PARAMETER', 'the passwords are not the same');
}

/** The line editor writes what is typed, but not to the terminal. */
async function unseen(input: ReadStream, output: Output, question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  lines.once('line', resolve);
  lines.once('close', () => reject(new PushbroomError('INVALID_PARAMETER', 'no password')));
  output.write(question);
  try {
    return await promise;
  } finally {
    lines.close();
    output.write('\n');
  }
}
