import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { errorContract, moveContract, removeContract } from './contract-places.ts';
import { at, bytes, chunks, hanging, MIB, namesIn, sha256, textAt } from './contract-support.ts';
import type { Place } from './contract-support.ts';
import { joinLocation } from './location.ts';
import { compareNames } from './names.ts';
import type { Storage } from './storage.ts';

export interface StorageSetup extends AsyncDisposable {
  readonly storage: Storage;
  /** Location of an empty directory that nobody else uses. */
  readonly root: string;
  /** A name that the server cannot have. */
  readonly lacks?: (name: string) => boolean;
}

/** Of characters that mean something to somebody on the way: shells, URLs, Java, JSON. */
const NAMES = [
  ' leading blank',
  'trailing blank ',
  '%41',
  '%2F',
  "'single'",
  '"double"',
  '+plus+',
  '#hash',
  'ask?me',
  'semi;colon=1',
  'amp&er=sand',
  'back\\slash',
  'dollar$(x)`y`',
  '{brace}[bracket]',
  '*star*',
  '_underscore',
  '.hidden',
  '~tilde',
  'line\nend',
  'Ünï',
  'a',
  'aa',
  'aß',
  'a b',
  '日本語',
  '\uff5e',
  '😀 emoji',
  'e\u0301',
  '\u00e9',
  'x'.repeat(255),
];

/** What every storage has to keep to. */
export function storageContract(name: string, setup: () => Promise<StorageSetup>): void {
  describe(`the ${name} storage`, () => {
    let made: StorageSetup;
    const place: Place = { storage: undefined!, directory: '', lacks: () => false };
    let count = 0;
    beforeAll(async () => {
      made = await setup();
    });
    afterAll(() => made?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      place.storage = made.storage;
      place.lacks = made.lacks ?? (() => false);
      place.directory = joinLocation(made.root, `test ${(count += 1)}`);
      await place.storage.makeDirectory(place.directory);
    });
    contentContract(place);
    streamContract(place);
    wholeContract(place);
    listContract(place);
    moveContract(place);
    removeContract(place);
    errorContract(place);
  });
}

function contentContract(place: Place): void {
  test('reads what was written: what is in memory, a stream, a function', async () => {
    const contents = { memory: bytes('one'), stream: chunks(2, 10), function: () => chunks(3, 10) };
    for (const [name, content] of Object.entries(contents)) {
      await place.storage.write(at(place, name), content);
    }
    expect(await textAt(place, at(place, 'memory'))).toBe('one');
    expect(await place.storage.stat(at(place, 'stream'))).toMatchObject({ size: 20 });
    expect(await place.storage.stat(at(place, 'function'))).toMatchObject({ size: 30 });
  });

  test('has empty files', async () => {
    for (const [name, content] of Object.entries({ a: bytes(''), b: chunks(0), c: chunks(2, 0) })) {
      await place.storage.write(at(place, name), content);
      expect(await place.storage.stat(at(place, name))).toMatchObject({ size: 0 });
      expect(await textAt(place, at(place, name))).toBe('');
    }
  });

  test('makes the directories above a file, and replaces a file', async () => {
    const file = at(place, 'a', 'b c', 'file');
    await place.storage.write(file, bytes('the first, which is longer'));
    await place.storage.write(file, bytes('the second'));
    expect(await textAt(place, file)).toBe('the second');
    expect(await namesIn(place, at(place, 'a', 'b c'))).toEqual(['file']);
  });

  test('tells what is there', async () => {
    const before = Date.now();
    await place.storage.write(at(place, 'file'), bytes('12345'));
    const file = (await place.storage.stat(at(place, 'file')))!;
    expect(file).toEqual({
      name: 'file',
      isDirectory: false,
      size: 5,
      modifiedAt: expect.any(Number),
    });
    // Of a file system's clock, which may be a little behind.
    expect(Math.abs(file.modifiedAt - before)).toBeLessThan(60_000);
    expect(await place.storage.stat(`${place.directory}/`)).toMatchObject({
      isDirectory: true,
      size: 0,
    });
    expect(await place.storage.stat(at(place, 'none'))).toBeUndefined();
    expect(await place.storage.stat(at(place, 'none', 'below'))).toBeUndefined();
    expect(await place.storage.stat(at(place, 'file', 'below'))).toBeUndefined();
  });

  test('reads parts of a file, and nothing beyond its end', async () => {
    const file = at(place, 'file');
    await place.storage.write(file, bytes('0123456789'));
    const part = async (range: Parameters<Storage['read']>[1]) =>
      Buffer.concat(await (await place.storage.read(file, range)).toArray()).toString();
    expect(await part({ offset: 3 })).toBe('3456789');
    expect(await part({ length: 3 })).toBe('012');
    expect(await part({ offset: 3, length: 4 })).toBe('3456');
    expect(await part({ offset: 8, length: 4 })).toBe('89');
    expect(await part({ offset: 3, length: 0 })).toBe('');
    expect(await part({ offset: 10 })).toBe('');
    expect(await part({ offset: 99, length: 1 })).toBe('');
  });
}

function streamContract(place: Place): void {
  test('streams many megabytes both ways, and parts of them', async () => {
    const file = at(place, 'large');
    await place.storage.write(file, () => chunks(24));
    expect(await place.storage.stat(file)).toMatchObject({ size: 24 * MIB });
    expect(await sha256(await place.storage.read(file))).toBe(await sha256(chunks(24)));
    const range = { offset: 5 * MIB + 4096, length: 8 };
    const [part] = await (await place.storage.read(file, range)).toArray();
    expect((part as Buffer).readUInt32LE(0)).toBe(5 * MIB + 4096);
  });

  test('waits for whoever reads', async () => {
    const file = at(place, 'large');
    await place.storage.write(file, () => chunks(24));
    const stream = await place.storage.read(file);
    await once(stream, 'readable');
    for (let turn = 0; turn < 200; turn += 1) await nextTurn();
    expect(stream.readableLength).toBeLessThan(4 * MIB);
    expect(await sha256(stream)).toBe(await sha256(chunks(24)));
  });

  test('lets go of what is not read to its end', async () => {
    const file = at(place, 'large');
    await place.storage.write(file, () => chunks(8));
    const unread = await place.storage.read(file);
    unread.destroy();
    await once(unread, 'close');
    for await (const _ of await place.storage.read(file)) break;
    expect(await place.storage.stat(file)).toMatchObject({ size: 8 * MIB });
  });

  test('ends a read at an abort, with its reason', async () => {
    const file = at(place, 'large');
    await place.storage.write(file, () => chunks(8));
    const reason = new Error('enough');
    const abort = new AbortController();
    const stream: Readable = await place.storage.read(file, {}, abort.signal);
    const reading = sha256(stream);
    abort.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(place.storage.read(file, {}, abort.signal)).rejects.toBe(reason);
  });
}

function wholeContract(place: Place): void {
  test('leaves nothing of a content that breaks off, and what was there before', async () => {
    const broken = new Error('the source has gone');
    async function* content() {
      yield* chunks(3);
      throw broken;
    }
    await expect(place.storage.write(at(place, 'file'), content())).rejects.toBe(broken);
    await expect(place.storage.write(at(place, 'file'), content)).rejects.toBe(broken);
    expect(await namesIn(place, place.directory)).toEqual([]);
    await place.storage.write(at(place, 'file'), bytes('before'));
    await expect(place.storage.write(at(place, 'file'), content())).rejects.toBe(broken);
    expect(await namesIn(place, place.directory)).toEqual(['file']);
    expect(await textAt(place, at(place, 'file'))).toBe('before');
  });

  test('leaves nothing of a write that is aborted, also where its content hangs', async () => {
    const reason = new Error('enough');
    const abort = new AbortController();
    const begun = Promise.withResolvers<void>();
    const writing = place.storage.write(
      at(place, 'file'),
      hanging(() => begun.resolve()),
      abort.signal,
    );
    await begun.promise;
    expect(await place.storage.stat(at(place, 'file'))).toBeUndefined();
    abort.abort(reason);
    await expect(writing).rejects.toBe(reason);
    expect(await namesIn(place, place.directory)).toEqual([]);
    const late = place.storage.write(at(place, 'file'), bytes('late'), abort.signal);
    await expect(late).rejects.toBe(reason);
    expect(await namesIn(place, place.directory)).toEqual([]);
  });

  test('keeps the content of one of several who write the same file', async () => {
    const texts = ['first', 'second', 'third', 'fourth'].map((word) => word.repeat(100_000));
    const file = at(place, 'file');
    await Promise.all(texts.map((text) => place.storage.write(file, bytes(text))));
    expect(texts).toContain(await textAt(place, file));
    expect(await namesIn(place, place.directory)).toEqual(['file']);
  });
}

function listContract(place: Place): void {
  test('takes names of all kinds, and lists them in the order of their characters', async () => {
    const names = NAMES.filter((name) => !place.lacks(name));
    for (const name of names) await place.storage.write(at(place, name), bytes(name));
    expect(await namesIn(place, place.directory)).toEqual(names.toSorted(compareNames));
    for (const name of names) {
      expect(await textAt(place, at(place, name))).toBe(name);
      expect(await place.storage.stat(at(place, name))).toMatchObject({ name });
      expect(await place.storage.move(at(place, name), at(place, '..', 'moved'))).toBe(true);
      expect(await place.storage.move(at(place, '..', 'moved'), at(place, name))).toBe(true);
      await place.storage.remove(at(place, name));
    }
    expect(await namesIn(place, place.directory)).toEqual([]);
    // Two directories to us, and to whoever brings names into Unicode's form C only one.
    const twins = ['e\u0301', '\u00e9'];
    for (const name of twins) await place.storage.write(at(place, name, 'file'), bytes(name));
    for (const name of twins) expect(await textAt(place, at(place, name, 'file'))).toBe(name);
  });

  test('tells of each entry what it is', async () => {
    await place.storage.write(at(place, 'file'), bytes('123'));
    await place.storage.makeDirectory(at(place, 'directory'));
    const entries = [];
    for await (const batch of place.storage.list(place.directory)) entries.push(...batch);
    const modifiedAt = expect.any(Number);
    expect(entries).toEqual([
      { name: 'directory', isDirectory: true, size: 0, modifiedAt },
      { name: 'file', isDirectory: false, size: 3, modifiedAt },
    ]);
  });

  test('lists large directories in batches, and no further than is wanted', async () => {
    const names = Array.from({ length: 2100 }, (_, index) => `${index % 7}-${index}-ü`);
    for (let from = 0; from < names.length; from += 20) {
      const some = names.slice(from, from + 20);
      await Promise.all(some.map((name) => place.storage.makeDirectory(at(place, name))));
    }
    const sizes: number[] = [];
    for await (const batch of place.storage.list(place.directory)) sizes.push(batch.length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(await namesIn(place, place.directory)).toEqual(names.toSorted(compareNames));
    for await (const batch of place.storage.list(place.directory)) {
      expect(batch.length).toBeLessThan(names.length);
      break;
    }
    const reason = new Error('enough');
    const abort = new AbortController();
    const listing = async () => {
      for await (const _ of place.storage.list(place.directory, abort.signal)) abort.abort(reason);
    };
    await expect(listing()).rejects.toBe(reason);
  });

  test('lists nothing of an empty directory', async () => {
    expect(await namesIn(place, place.directory)).toEqual([]);
  });
}
