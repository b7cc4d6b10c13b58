import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

interface Slice {
  offset: number;
  length: number;
}

/** geotiff reads directories by a guessed length, which may reach behind the end of the file. */
const SPECULATIVE_READ = 4048;

/** A file as geotiff wants it. Unlike geotiff's own it never pads what is missing with zeros. */
export class LocalFile {
  readonly path: string;
  readonly fileSize: number;
  readonly #descriptor: number;

  constructor(path: string) {
    this.path = path;
    this.#descriptor = openSync(path, 'r');
    this.fileSize = fstatSync(this.#descriptor).size;
  }

  fetch(slices: Slice[]): Promise<ArrayBuffer[]> {
    return Promise.all(slices.map(async (slice) => (await this.fetchSlice(slice)).data));
  }

  async fetchSlice(slice: Slice): Promise<Slice & { data: ArrayBuffer }> {
    return { ...slice, data: this.read(slice.offset, slice.length) };
  }

  read(offset: number, length: number): ArrayBuffer {
    const available = Math.min(length, Math.max(0, this.fileSize - offset));
    if (available === 0 || (available < length && length > SPECULATIVE_READ)) {
      throw truncated(offset + length, this.fileSize);
    }
    const bytes = new Uint8Array(available);
    const count = readSync(this.#descriptor, bytes, 0, available, offset);
    if (count < available) throw truncated(offset + available, offset + count);
    return bytes.buffer;
  }

  close(): Promise<void> {
    closeSync(this.#descriptor);
    return Promise.resolve();
  }
}

export function truncated(needed: number, found: number): Error {
  return new Error(`truncated: needs ${needed} bytes, has ${found}`);
}
