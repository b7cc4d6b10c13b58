import { PushbroomError } from '../errors.ts';
import type { Caller } from '../jobs/jobs.ts';
import { createTurns } from '../turns.ts';
import type { InTurn } from '../turns.ts';

/** What users may keep here. */
export interface Room {
  /**
   * Takes in something of so many bytes, if its user may still keep them; operators may keep anything.
   *
   * @param bytes less than 0 where something larger is replaced
   * @param files that are added
   * @throws LIMIT_REACHED
   */
  taking<T>(caller: Caller, bytes: number, files: number, work: () => Promise<T>): Promise<T>;
  /** One after the other with what is taken in. */
  readonly inTurn: InTurn;
}

export interface RoomOptions {
  /** Bytes that one user may keep. */
  readonly userBytes: number;
  readonly used: (user: string) => Promise<{ readonly bytes: number; readonly files: number }>;
}

/** All of a user's files are looked through with each that is added. */
const MOST_FILES = 10_000;

export function createRoom({ userBytes, used }: RoomOptions): Room {
  // Else two uploads at the same time could both find the same bytes free.
  const inTurn = createTurns();
  return {
    inTurn,
    taking: (caller, bytes, files, work) =>
      inTurn(async () => {
        if (caller.role === 'user') check(await used(caller.user), bytes, files, userBytes);
        return work();
      }),
  };
}

function check(
  has: { readonly bytes: number; readonly files: number },
  bytes: number,
  files: number,
  userBytes: number,
): void {
  const remedy = 'delete what you no longer need (GET /upload/files, /upload/bundles)';
  if (has.bytes + bytes > userBytes) {
    const message = `you keep ${has.bytes} bytes here and may keep ${userBytes}: ${bytes} more are too many; ${remedy}`;
    throw new PushbroomError('LIMIT_REACHED', message);
  }
  if (has.files + files > MOST_FILES) {
    throw new PushbroomError('LIMIT_REACHED', `you keep ${has.files} files here: ${remedy}`);
  }
}
