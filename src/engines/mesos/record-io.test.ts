import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { BadFraming, createRecordReader, MAX_RECORD } from './record-io.ts';

const framed = (records: readonly string[]): Buffer =>
  Buffer.concat(
    records.map((record) => Buffer.from(`${Buffer.byteLength(record)}\n${record}`, 'utf8')),
  );

/** Cuts bytes at the given places, in any order, twice the same allowed. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length];
  let at = 0;
  return ends
    .toSorted((a, b) => a - b)
    .map((end) => {
      const chunk = bytes.subarray(at, end);
      at = end;
      return chunk;
    });
}

function read(chunks: readonly Buffer[]): string[] {
  const records: string[] = [];
  const reader = createRecordReader((record) => void records.push(record));
  for (const chunk of chunks) {
    // The network's buffers are used again.
    const buffer = Buffer.from(chunk);
    reader(buffer);
    buffer.fill('x');
  }
  return records;
}

const anyRecords = fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { maxLength: 8 });

test('any records come out the same, however the bytes are cut', () => {
  fc.assert(
    fc.property(anyRecords, fc.array(fc.nat(), { maxLength: 20 }), (texts, places) => {
      const records = texts.map((text) => text.toWellFormed());
      expect(read(cut(framed(records), places))).toEqual(records);
    }),
  );
});

test('a character of several bytes may be cut anywhere', () => {
  const records = ['{"a":"Grüße 🛰️"}', 'ß', ''];
  const bytes = framed(records);
  expect(read(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(records);
});

test('a large record in many chunks comes out whole', () => {
  const record = 'ä'.repeat(300_000);
  const bytes = framed([record, 'next']);
  const places = Array.from({ length: bytes.length / 1000 }, (_, index) => index * 1000);
  expect(read(cut(bytes, places))).toEqual([record, 'next']);
});

test('a record is told as soon as it is complete, before what is wrong after it', () => {
  const heard: string[] = [];
  const reader = createRecordReader((record) => void heard.push(record));
  expect(() => reader(Buffer.from('2\nab1\ncx'))).toThrow(BadFraming);
  expect(heard).toEqual(['ab', 'c']);
});

test.each([
  ['<html>', '"<html>" is no length of a record'],
  ['12 \n', '" \\n" is no length of a record'],
  ['-1\n', 'is no length of a record'],
  ['\n', 'is no length of a record'],
  ['3\nabc\n', '"\\n" is no length of a record'],
  ['12345678901\n', 'too many digits'],
  [
    `${MAX_RECORD + 1}\n`,
    `a record of ${MAX_RECORD + 1} bytes, more than the ${MAX_RECORD} allowed`,
  ],
])('what begins with %j is refused', (text, message) => {
  expect(() => read([Buffer.from(text)])).toThrow(message);
  expect(() => read(Array.from(text, (char) => Buffer.from(char)))).toThrow(BadFraming);
});

test('the largest record is announced without taking memory for it', () => {
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 100 }, () => createRecordReader(() => undefined));
  for (const reader of readers) reader(Buffer.from(`${MAX_RECORD}\n{`));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MAX_RECORD);
});

test('garbage ends in records or in an error, and what is not told yet is at most what came', () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.nat({ max: 200 }).map((n) => Buffer.from(`${n}\n`)),
  );
  let refused = 0;
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (chunks) => {
      let told = 0;
      const reader = createRecordReader((record) => (told += record.length));
      try {
        for (const chunk of chunks) reader(Buffer.from(chunk));
      } catch (error) {
        refused += 1;
        expect(error).toBeInstanceOf(BadFraming);
        expect((error as Error).message.length).toBeLessThan(400);
      }
      expect(told).toBeLessThanOrEqual(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    }),
  );
  expect(refused).toBeGreaterThan(0);
});

test('what a master really sent is read', () => {
  const raw = readFileSync(
    join(import.meta.dirname, '../../../test/fixtures/mesos/00-raw-wire.bin'),
  );
  const bodies: Buffer[] = [];
  // Its HTTP chunks: a length in hexadecimal, a line end, so many bytes, a line end.
  let at = raw.indexOf('\r\n\r\n') + 4;
  while (at < raw.length) {
    const lineEnd = raw.indexOf('\r\n', at);
    const start = lineEnd + 2;
    const end = start + Number.parseInt(raw.toString('latin1', at, lineEnd), 16);
    bodies.push(raw.subarray(start, end));
    at = end + 2;
  }
  const types = read(bodies).map((record) => (JSON.parse(record) as { type: string }).type);
  expect(types).toEqual(['SUBSCRIBED', 'HEARTBEAT', 'OFFERS', 'HEARTBEAT', 'HEARTBEAT']);
});
