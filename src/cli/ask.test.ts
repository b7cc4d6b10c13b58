import { PassThrough, Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { expect, test } from 'vitest';
import { askPassword } from './ask.ts';

const nowhere = { write: () => true };
const piped = (...parts: string[]) => Readable.from(parts) as unknown as ReadStream;

/** A terminal at which somebody types a line after each question. */
function terminal(...lines: string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true }) as unknown as ReadStream;
  let shown = '';
  const write = (text: string) => {
    shown += text;
    if (text.endsWith(': ')) (input as unknown as PassThrough).write(lines.shift());
    return true;
  };
  return { input, output: { write }, shown: () => shown };
}

test('a password comes from a pipe, without the end of its line', async () => {
  expect(await askPassword(piped('sec', 'ret \n'), nowhere)).toBe('secret ');
  expect(await askPassword(piped('secret\r\n'), nowhere)).toBe('secret');
  await expect(askPassword(piped('\n'), nowhere)).rejects.toThrow('the password is empty');
});

test('a password is typed twice, and not shown', async () => {
  const { input, output, shown } = terminal('secres\u007ft\r', 'secret\r');
  expect(await askPassword(input, output)).toBe('secret');
  expect(shown()).toBe('Password: \nOnce more: \n');
});

test('a password that is typed in two ways, or not at all, is refused', async () => {
  const two = terminal('secret\r', 'Secret\r');
  await expect(askPassword(two.input, two.output)).rejects.toThrow('not the same');
  const broken = terminal('sec\u0003');
  await expect(askPassword(broken.input, broken.output)).rejects.toThrow('no password');
});
