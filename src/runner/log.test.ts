import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { ROTATE_AT, createLog } from './log.ts';

let home: string;
let path: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'log-'));
  path = join(home, 'logs', 'deep', '1.out');
});
afterEach(() => rmSync(home, { recursive: true }));

test('who says nothing has no file and no directory', () => {
  createLog(path).close();
  expect(existsSync(join(home, 'logs'))).toBe(false);
});

test('what is said can be read at once', () => {
  const log = createLog(path);
  log.write(Buffer.from('one\n'));
  expect(readFileSync(path, 'utf8')).toBe('one\n');
  log.write(Buffer.from('two\n'));
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  log.close();
});

test('a log that grows too long begins anew and keeps its last part', () => {
  const log = createLog(path);
  const chunk = (byte: string) => Buffer.alloc(ROTATE_AT / 4, byte);
  for (const byte of 'abcdefghi') log.write(chunk(byte));
  log.close();
  expect(readFileSync(`${path}.1`, 'latin1').replaceAll(/(.)\1+/g, '$1')).toBe('efgh');
  expect(readFileSync(path, 'latin1')).toBe('i'.repeat(ROTATE_AT / 4));
  expect(existsSync(`${path}.2`)).toBe(false);
});
