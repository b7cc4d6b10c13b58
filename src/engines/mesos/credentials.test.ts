import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { basicAuthorization, readSecret } from './credentials.ts';

let home: string;
let file: string;
let warnings: string[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'secret-'));
  file = join(home, 'secret');
  warnings = [];
});
afterEach(() => rmSync(home, { recursive: true }));

const read = () => readSecret(file, (message) => void warnings.push(message));
function hold(text: string | Buffer, mode = 0o600): void {
  writeFileSync(file, text);
  chmodSync(file, mode);
}

test.each(['s3cret', 's3cret\n', 's3cret\r\n'])('the secret of %j is s3cret', async (text) => {
  hold(text);
  expect(await read()).toBe('s3cret');
  expect(warnings).toEqual([]);
});

test('blanks belong to the secret', async () => {
  hold(' a b \n');
  expect(await read()).toBe(' a b ');
});

test.each([0o640, 0o604, 0o644])('mode %o is warned of, and taken', async (mode) => {
  hold('s3cret', mode);
  expect(await read()).toBe('s3cret');
  expect(warnings).toEqual([
    `others than its owner may read the secret in ${file}: chmod 600 ${file}`,
  ]);
});

test.each([
  ['', 'is empty: it has to hold a secret'],
  ['\n', 'is empty'],
  ['s3cret\n\n', 'has several lines'],
  ['{\n"secret": "s3cret"\n}', 'has several lines'],
  ['s3cret'.repeat(1000), 'it is larger than 4096 bytes'],
])('%j is refused without being repeated', async (text, message) => {
  hold(text);
  const refusal = read();
  await expect(refusal).rejects.toThrow(message);
  await expect(refusal).rejects.toThrow(file);
  await expect(refusal).rejects.not.toThrow('s3cret');
});

test('what is not there, is a directory or never ends is refused', async () => {
  await expect(read()).rejects.toThrow(`cannot read a secret from ${file}: ENOENT`);
  await expect(readSecret(home, () => undefined)).rejects.toThrow('EISDIR');
  await expect(readSecret('/dev/zero', () => undefined)).rejects.toThrow('larger than 4096 bytes');
});

test('a pipe may give it', async () => {
  execFileSync('mkfifo', [file]);
  const secret = read();
  writeFileSync(file, 's3cret\n');
  expect(await secret).toBe('s3cret');
});

test('credentials are sent as RFC 7617 has it', () => {
  const header = basicAuthorization({ principal: 'test', secret: '123£' });
  expect(header).toBe('Basic dGVzdDoxMjPCow==');
  expect(() => basicAuthorization({ principal: 'a:b', secret: 'x' })).toThrow('has a colon');
});
