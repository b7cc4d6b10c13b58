/** Encodes TIFF image file directories, in classic TIFF and in BigTIFF, little-endian. */

export type Tag = { id: number } & (
  | { type: 'ascii'; values: string }
  | { type: 'short' | 'long' | 'double' | 'offset'; values: readonly number[] }
);

interface EncodedTag {
  id: number;
  typeCode: number;
  count: number;
  bytes: Buffer;
}

const TYPE_CODE = { ascii: 2, short: 3, long: 4, double: 12, long8: 16 };

const NUMBERS = {
  short: (values: readonly number[]) => Uint16Array.from(values),
  long: (values: readonly number[]) => Uint32Array.from(values),
  long8: (values: readonly number[]) => BigUint64Array.from(values, BigInt),
  double: (values: readonly number[]) => Float64Array.from(values),
};

/** Classic TIFF counts offsets in 32 bits, BigTIFF in 64. */
const CLASSIC = { headerSize: 8, countSize: 2, entrySize: 12, inlineSize: 4 };
const BIG = { headerSize: 16, countSize: 8, entrySize: 20, inlineSize: 8 };

const dialectOf = (big: boolean) => (big ? BIG : CLASSIC);

export function encodeHeader(firstDirectory: number, big: boolean): Buffer {
  const header = Buffer.alloc(dialectOf(big).headerSize);
  header.write('II', 0, 'latin1');
  header.writeUInt16LE(big ? 43 : 42, 2);
  if (big) header.writeUInt16LE(8, 4);
  writeOffset(header, firstDirectory, big ? 8 : 4, big);
  return header;
}

/** The directory with the values too long for its entries right behind it, padded to 8 bytes. */
export function encodeDirectory(
  tags: readonly Tag[],
  start: number,
  next: number,
  big: boolean,
): Buffer {
  const { countSize, entrySize, inlineSize } = dialectOf(big);
  const encoded = tags.map((tag) => encodeTag(tag, big)).toSorted((a, b) => a.id - b.id);
  const directory = Buffer.alloc(aligned(countSize + encoded.length * entrySize + inlineSize));
  const trailing: Buffer[] = [];
  let valuesEnd = start + directory.length;

  directory.writeUInt16LE(encoded.length, 0);
  encoded.forEach((tag, index) => {
    const at = countSize + index * entrySize;
    directory.writeUInt16LE(tag.id, at);
    directory.writeUInt16LE(tag.typeCode, at + 2);
    writeOffset(directory, tag.count, at + 4, big);
    const valueAt = at + entrySize - inlineSize;
    if (tag.bytes.length <= inlineSize) {
      tag.bytes.copy(directory, valueAt);
    } else {
      writeOffset(directory, valuesEnd, valueAt, big);
      const padded = Buffer.concat([tag.bytes], aligned(tag.bytes.length));
      trailing.push(padded);
      valuesEnd += padded.length;
    }
  });
  writeOffset(directory, next, countSize + encoded.length * entrySize, big);
  return Buffer.concat([directory, ...trailing]);
}

function encodeTag(tag: Tag, big: boolean): EncodedTag {
  if (tag.type === 'ascii') {
    const bytes = Buffer.from(`${tag.values}\0`, 'utf8');
    return { id: tag.id, typeCode: TYPE_CODE.ascii, count: bytes.length, bytes };
  }
  const type = tag.type === 'offset' ? (big ? 'long8' : 'long') : tag.type;
  return {
    id: tag.id,
    typeCode: TYPE_CODE[type],
    count: tag.values.length,
    bytes: Buffer.from(NUMBERS[type](tag.values).buffer),
  };
}

function writeOffset(buffer: Buffer, value: number, at: number, big: boolean): void {
  if (big) buffer.writeBigUInt64LE(BigInt(value), at);
  else buffer.writeUInt32LE(value, at);
}

const aligned = (size: number) => Math.ceil(size / 8) * 8;
