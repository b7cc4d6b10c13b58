import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Millis } from '../core/model.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import type { Identity } from './guard.ts';

/** What somebody has done, or tried. Never with a secret. */
export interface AuditEvent {
  /**
   * `login`, `execute`, `dismiss`, `upload`, `change bundle`, `remove bundle`, `remove file`, `share`, or an operator's
   * request: `POST /api/jobs/:id/pause`.
   */
  readonly what: string;
  /** `done`, or the code of the error. */
  readonly outcome: string;
  /** Who has logged in, or tried to; absent where nobody has. */
  readonly by?: string;
  /** On whose behalf. */
  readonly user?: string;
  readonly address: string;
  readonly jobId?: string;
  /** What it was done to, other than a job. */
  readonly target?: string;
}

export interface AuditRecord extends AuditEvent {
  /** ISO 8601, UTC. */
  readonly time: string;
}

export interface AuditQuery {
  /** 1 to 1000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
  /** By him or on his behalf. */
  readonly user?: string;
}

export interface AuditPage {
  readonly items: readonly AuditRecord[];
  readonly next?: string;
}

export interface AuditTrail extends AsyncDisposable {
  /** Never fails: what cannot be written is told to `warn`. */
  record(event: AuditEvent): void;
  /** Newest first. A page may have fewer records than asked for, and still a next one. @throws INVALID_PARAMETER */
  read(query: AuditQuery): Promise<AuditPage>;
  /** Goes on in a new file, where the old one was moved away. */
  reopen(): Promise<void>;
}

export interface AuditOptions {
  readonly file: string;
  readonly now: () => Millis;
  readonly warn: (message: string) => void;
}

/** Appends a line of JSON for each event, each by one write, so that lines of several processes never mix. */
export async function openAudit({ file, now, warn }: AuditOptions): Promise<AuditTrail> {
  let handle = await openToAppend(file);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    record(event) {
      const line = `${JSON.stringify({ time: new Date(now()).toISOString(), ...event })}\n`;
      inTurn(() => handle.write(line)).catch((error: unknown) =>
        warn(`the audit trail ${file} cannot be written: ${messageOf(error)}`),
      );
    },
    read: (query) => inTurn(() => readBackwards(file, query)),
    reopen: () =>
      inTurn(async () => {
        const before = handle;
        handle = await openToAppend(file);
        await before.close();
      }),
    [Symbol.asyncDispose]: () => inTurn(() => handle.close()),
  };
}

const NEWLINE = 0x0a;

/** For nobody else to read: it tells who uses the service, and for what. */
async function openToAppend(file: string): Promise<FileHandle> {
  const handle = await open(file, 'a+', 0o640);
  const { size } = await handle.stat();
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
  // A line that a full disk or a power cut has cut off.
  if (bytesRead > 0 && buffer[0] !== NEWLINE) await handle.write('\n');
  return handle;
}

const BLOCK = 64 * 1024;
/** Bytes that one page looks at, for a user who has done nothing for long. */
const MOST_READ = 8 * 1024 * 1024;

async function readBackwards(file: string, query: AuditQuery): Promise<AuditPage> {
  if (query.after !== undefined && !/^\d{1,15}$/.test(query.after)) {
    throw new PushbroomError('INVALID_PARAMETER', "'after' must be 'next' of the page before", {
      locator: 'after',
    });
  }
  await using from = await open(file, 'r');
  const { size } = await from.stat();
  // The file may be another one since then.
  const end = Math.min(size, Number(query.after ?? size));
  const items: AuditRecord[] = [];
  let position = end;
  for await (const { text, start } of linesBackwards(from, end)) {
    position = start;
    const record = parseRecord(text);
    if (record && isOf(record, query.user)) items.push(record);
    if (items.length >= query.limit || end - start >= MOST_READ) break;
  }
  return { items, ...(position > 0 && { next: String(position) }) };
}

/** Lines that end before `end`, the last one first. */
async function* linesBackwards(
  file: FileHandle,
  end: number,
): AsyncGenerator<{ text: string; start: number }> {
  let position = end;
  let rest = Buffer.alloc(0);
  while (position > 0) {
    const length = Math.min(BLOCK, position);
    position -= length;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
    rest = Buffer.concat([buffer.subarray(0, bytesRead), rest]);
    for (;;) {
      // The newline at the very end belongs to the line before it.
      const newline = rest.length < 2 ? -1 : rest.lastIndexOf(NEWLINE, rest.length - 2);
      if (newline < 0) break;
      yield { text: rest.subarray(newline + 1).toString(), start: position + newline + 1 };
      rest = rest.subarray(0, newline + 1);
    }
  }
  if (rest.length > 0) yield { text: rest.toString(), start: 0 };
}

/** What is no record was not written by us, or a full disk has cut it off. */
function parseRecord(text: string): AuditRecord | undefined {
  try {
    const record: unknown = JSON.parse(text);
    const isRecord = typeof record === 'object' && record !== null && 'what' in record;
    return isRecord ? (record as AuditRecord) : undefined;
  } catch {
    return undefined;
  }
}

const isOf = (record: AuditRecord, user: string | undefined): boolean =>
  user === undefined || record.by === user || record.user === user;

/** How an identity is written down. */
export const whoOf = ({ caller, login, address }: Identity) => ({
  ...(login !== undefined && { by: login }),
  user: caller.user,
  address,
});

export const outcomeOf = (error: unknown): string =>
  error instanceof PushbroomError ? error.code : 'INTERNAL';
