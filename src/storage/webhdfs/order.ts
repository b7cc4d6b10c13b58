import { compareNames } from '../names.ts';

interface Named {
  readonly name: string;
}

/** Names that share what is before their first character beyond ASCII. */
interface Held<T> {
  readonly prefix: string;
  readonly entries: T[];
}

// eslint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007f]*/;

/**
 * Brings a listing in HDFS's order into that of the names' characters. HDFS compares bytes as signed numbers (seen on
 * 3.5.0), so that at each place characters beyond ASCII come first: names that have one are held back until those with
 * ASCII at that place are through.
 */
export async function* inOrder<T extends Named>(
  batches: AsyncIterable<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  const held: Held<T>[] = [];
  const release = (): T[] => held.pop()!.entries.toSorted((a, b) => compareNames(a.name, b.name));
  for await (const batch of batches) {
    const ready: T[] = [];
    for (const entry of batch) {
      while (held.length > 0 && !entry.name.startsWith(held.at(-1)!.prefix)) {
        for (const each of release()) ready.push(each);
      }
      const [prefix] = ASCII.exec(entry.name)!;
      if (prefix === entry.name) ready.push(entry);
      else if (held.at(-1)?.prefix === prefix) held.at(-1)!.entries.push(entry);
      else held.push({ prefix, entries: [entry] });
    }
    if (ready.length > 0) yield ready;
  }
  while (held.length > 0) yield release();
}
