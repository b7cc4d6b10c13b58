import { expect, test } from 'vitest';

import type { ErrorCode } from '../errors.ts';
import { at, bytes, codeOf, namesIn, textAt } from './contract-support.ts';
import type { Place } from './contract-support.ts';
import { joinLocation } from './location.ts';

export function moveContract(place: Place): void {
  test('moves files and directories with what is in them', async () => {
    await place.storage.write(at(place, 'a', 'b', 'file'), bytes('content'));
    expect(await place.storage.move(at(place, 'a'), at(place, 'c'))).toBe(true);
    expect(await textAt(place, at(place, 'c', 'b', 'file'))).toBe('content');
    expect(await place.storage.stat(at(place, 'a'))).toBeUndefined();
    expect(await place.storage.move(at(place, 'c', 'b', 'file'), at(place, 'file'))).toBe(true);
    expect(await textAt(place, at(place, 'file'))).toBe('content');
    expect(await namesIn(place, at(place, 'c', 'b'))).toEqual([]);
  });

  test('never replaces, nor moves into what is there', async () => {
    const targets = ['file', 'empty', 'full'];
    await place.storage.write(at(place, 'file'), bytes('file'));
    await place.storage.makeDirectory(at(place, 'empty'));
    await place.storage.write(at(place, 'full', 'file'), bytes('full'));
    await place.storage.write(at(place, 'from', 'file'), bytes('from'));
    await place.storage.write(at(place, 'from file'), bytes('from'));
    for (const target of targets) {
      for (const from of ['from', 'from file', target]) {
        expect(await place.storage.move(at(place, from), at(place, target))).toBe(false);
      }
    }
    expect(await textAt(place, at(place, 'file'))).toBe('file');
    expect(await namesIn(place, at(place, 'empty'))).toEqual([]);
    expect(await namesIn(place, at(place, 'full'))).toEqual(['file']);
    expect(await textAt(place, at(place, 'full', 'file'))).toBe('full');
    expect(await textAt(place, at(place, 'from', 'file'))).toBe('from');
    expect(await textAt(place, at(place, 'from file'))).toBe('from');
  });

  test.each(['directories', 'files'])(
    'lets exactly one of several move %s to a place',
    async (kind) => {
      for (let round = 0; round < 3; round += 1) {
        const target = at(place, `target ${round}`);
        const sources = Array.from({ length: 6 }, (_, index) =>
          at(place, `${round} from ${index}`),
        );
        const inside = kind === 'files' ? [] : ['file'];
        const write = (source: string) =>
          place.storage.write(joinLocation(source, ...inside), bytes(source));
        await Promise.all(sources.map(write));
        const won = await Promise.all(sources.map((source) => place.storage.move(source, target)));
        expect(won.filter(Boolean)).toEqual([true]);
        const winner = sources[won.indexOf(true)]!;
        expect(await textAt(place, joinLocation(target, ...inside))).toBe(winner);
        for (const source of sources) {
          const isThere = (await place.storage.stat(source)) !== undefined;
          expect(isThere).toBe(source !== winner);
        }
      }
    },
  );

  test('does not move what is not there, nor to where nothing is, nor into itself', async () => {
    await place.storage.write(at(place, 'a', 'file'), bytes('x'));
    const move = (from: string, to: string) => place.storage.move(at(place, from), at(place, to));
    expect(await codeOf(move('none', 'b'))).toBe('NOT_FOUND');
    await expect(move('none', 'b')).rejects.toThrow(at(place, 'none'));
    expect(await codeOf(move('a', 'none/b'))).toBe('NOT_FOUND');
    await expect(move('a', 'none/b')).rejects.toThrow(at(place, 'none'));
    expect(await codeOf(move('a', 'a/b'))).toBe('INVALID_PARAMETER');
    expect(await codeOf(move('a', 'a/file/b'))).toBe('INVALID_PARAMETER');
    await place.storage.write(at(place, 'file'), bytes('x'));
    expect(await codeOf(move('a', 'file/b'))).toBe('CONFLICT');
    expect(await textAt(place, at(place, 'a', 'file'))).toBe('x');
  });
}

export function removeContract(place: Place): void {
  test('removes files, and directories with everything in them', async () => {
    await place.storage.write(at(place, 'a', 'b', 'file'), bytes('x'));
    await place.storage.write(at(place, 'a', 'file'), bytes('x'));
    await place.storage.write(at(place, 'file'), bytes('x'));
    await place.storage.remove(at(place, 'file'));
    await place.storage.remove(at(place, 'a'));
    expect(await namesIn(place, place.directory)).toEqual([]);
  });

  test('takes what is not there for removed', async () => {
    await place.storage.write(at(place, 'file'), bytes('x'));
    await place.storage.remove(at(place, 'none'));
    await place.storage.remove(at(place, 'none', 'below'));
    await place.storage.remove(at(place, 'file', 'below'));
    expect(await namesIn(place, place.directory)).toEqual(['file']);
  });
}

export function errorContract(place: Place): void {
  test('says what is missing, and what is of the wrong kind', async () => {
    await place.storage.write(at(place, 'file'), bytes('x'));
    await place.storage.makeDirectory(at(place, 'directory'));
    const { storage } = place;
    const deeds: [ErrorCode, string, (location: string) => Promise<unknown>][] = [
      ['NOT_FOUND', 'none', (location) => storage.read(location)],
      ['NOT_FOUND', 'none', (location) => namesIn(place, location)],
      ['CONFLICT', 'directory', (location) => storage.read(location)],
      ['CONFLICT', 'directory', (location) => storage.write(location, bytes('x'))],
      ['CONFLICT', 'file', (location) => namesIn(place, location)],
      ['CONFLICT', 'file', (location) => storage.makeDirectory(location)],
      ['CONFLICT', 'file/below', (location) => storage.makeDirectory(location)],
      ['CONFLICT', 'file/below', (location) => storage.write(location, bytes('x'))],
    ];
    for (const [code, name, deed] of deeds) {
      const location = at(place, name);
      expect([name, await codeOf(deed(location))]).toEqual([name, code]);
      await expect(deed(location)).rejects.toThrow(location);
    }
    await storage.makeDirectory(at(place, 'directory'));
    expect(await namesIn(place, place.directory)).toEqual(['directory', 'file']);
  });

  test('refuses what is no location of its own, or leads out of it', async () => {
    const { storage, directory } = place;
    const foreign = directory.startsWith('/') ? 'hdfs://other/a' : '/a';
    const bad = [
      foreign,
      'relative/path',
      '',
      `${directory}/../a`,
      `${directory}/./a`,
      `${directory}/a/..`,
      `${directory}/a\0b`,
      `${directory}/half \ud800`,
    ];
    for (const location of bad) {
      const deeds = [
        storage.stat(location),
        storage.read(location),
        storage.write(location, bytes('x')),
        storage.makeDirectory(location),
        storage.move(location, at(place, 'x')),
        storage.move(directory, location),
        storage.remove(location),
        namesIn(place, location),
      ];
      expect(await Promise.all(deeds.map(codeOf))).toEqual(deeds.map(() => 'INVALID_PARAMETER'));
    }
    expect(await namesIn(place, directory)).toEqual([]);
  });

  test('neither writes, moves nor removes its root', async () => {
    const { storage, directory } = place;
    const root = directory.startsWith('/') ? '/' : /^[^/]*\/\/[^/]*/.exec(directory)![0];
    const deeds = [
      storage.write(root, bytes('x')),
      storage.move(root, at(place, 'x')),
      storage.move(directory, root),
      storage.remove(root),
    ];
    expect(await Promise.all(deeds.map(codeOf))).toEqual(deeds.map(() => 'INVALID_PARAMETER'));
    expect(await storage.stat(root)).toMatchObject({ isDirectory: true });
  });
}
