import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { createPipe } from './pipe.ts';

let directory: string;
let heard: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pipe-'));
  heard = '';
});
afterEach(() => rmSync(directory, { recursive: true }));

const listen = () =>
  createPipe((chunk) => {
    heard += chunk.toString();
  });

test('tells at its end what was said', () => {
  const pipe = listen();
  writeSync(pipe.writeEnd, 'hello');
  closeSync(pipe.writeEnd);
  pipe.end();
  expect(heard).toBe('hello');
});

test('tells what is said as it comes when it is followed, and the rest at its end', async () => {
  const pipe = listen();
  pipe.follow();
  writeSync(pipe.writeEnd, 'hello');
  await vi.waitFor(() => expect(heard).toBe('hello'));
  writeSync(pipe.writeEnd, ' again');
  pipe.end();
  expect(heard).toBe('hello again');
  closeSync(pipe.writeEnd);
});

test('takes nothing of a file that has got its number', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, 'of somebody else');
  // The next file that is opened gets the lowest number that is free, as the pipe will.
  const number = openSync(file, 'r');
  closeSync(number);
  const pipe = listen();
  pipe.follow();
  closeSync(pipe.writeEnd);
  let opened = -1;
  // What is open already, and has a higher number, stays so.
  while (opened !== number) {
    if (opened >= 0) closeSync(opened);
    await turn();
    opened = openSync(file, 'r');
  }
  pipe.end();
  expect(heard).toBe('');
  expect(readFileSync(opened, 'utf8')).toBe('of somebody else');
  closeSync(opened);
});
