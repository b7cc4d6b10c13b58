/** Bytes. The events of a master with thousands of agents are far smaller. */
export const MAX_RECORD = 64 * 1024 * 1024;
const MAX_DIGITS = 10;
const EXCERPT = 40;
const INITIAL = 16 * 1024;

const [LINE_FEED, ZERO, NINE] = Buffer.from('\n09');

/** The bytes are no records; nothing that follows can be understood. */
export class BadFraming extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadFraming';
  }
}

/**
 * Cuts a stream of bytes into records: a length in bytes as decimal digits, a line feed, so many bytes of UTF-8, and at
 * once the next length ("RecordIO response format" of Mesos's scheduler API). Where the stream is cut into chunks means
 * nothing.
 *
 * @param hear called with each record as soon as its last byte is there
 * @returns takes the next chunk, which may be overwritten afterwards; throws BadFraming, and is of no use then
 */
export function createRecordReader(hear: (record: string) => void): (chunk: Buffer) => void {
  let digits = 0;
  let length = 0;
  /** A record of which some bytes are still missing. */
  let part: Part | undefined;

  /** @returns where the record begins, or undefined where the chunk ends before that */
  function readLength(chunk: Buffer, from: number): number | undefined {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at]!;
      if (byte === LINE_FEED && digits > 0) return at + 1;
      if (byte < ZERO! || byte > NINE!) throw unexpected(chunk, at, 'is no length of a record');
      digits += 1;
      if (digits > MAX_DIGITS) throw unexpected(chunk, at, `ends a length of too many digits`);
      length = length * 10 + byte - ZERO!;
    }
    return undefined;
  }

  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (!part) {
        const start = readLength(chunk, at);
        if (start === undefined) return;
        if (length > MAX_RECORD) {
          throw new BadFraming(`a record of ${length} bytes, more than the ${MAX_RECORD} allowed`);
        }
        at = start;
      }
      const missing = length - (part?.length ?? 0);
      const end = Math.min(at + missing, chunk.length);
      if (end - at < missing) {
        part ??= createPart(length);
        part.add(chunk.subarray(at, end));
        return;
      }
      part?.add(chunk.subarray(at, end));
      const record = part ? part.text() : chunk.toString('utf8', at, end);
      [part, digits, length, at] = [undefined, 0, 0, end];
      hear(record);
    }
  };
}

type Part = ReturnType<typeof createPart>;

/** Grows with what has come, not with what was announced; and twice as much each time, so that every byte is moved rarely. */
function createPart(total: number) {
  let bytes = Buffer.allocUnsafe(Math.min(total, INITIAL));
  let length = 0;
  return {
    get length() {
      return length;
    },
    add(more: Buffer): void {
      const needed = length + more.length;
      if (needed > bytes.length) {
        const larger = Buffer.allocUnsafe(Math.min(total, Math.max(needed, 2 * bytes.length)));
        bytes.copy(larger, 0, 0, length);
        bytes = larger;
      }
      more.copy(bytes, length);
      length = needed;
    },
    text: () => bytes.toString('utf8', 0, length),
  };
}

function unexpected(chunk: Buffer, at: number, why: string): BadFraming {
  const excerpt = chunk.toString('utf8', at, at + EXCERPT);
  return new BadFraming(`${JSON.stringify(excerpt)} ${why}`);
}
