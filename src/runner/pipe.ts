import { closeSync, constants, readSync } from 'node:fs';
import { Socket } from 'node:net';

import koffi from 'koffi';

const c = koffi.load(null);
const pipe2 = c.func('int pipe2(void *ends, int flags)');
const fcntl = c.func('int fcntl(int fd, int command, ...)');
const O_CLOEXEC = 0o2_000_000;
const F_SETFL = 4;

/** As much as a pipe holds, if its owner has not made it larger. */
const CHUNK = Buffer.alloc(64 * 1024);
/** A process that has escaped may go on writing for ever: no more than any pipe holds is taken at the end. */
const LAST_CHUNKS = 16;

/**
 * A pipe to read what a process says: at once at its end, or as it comes from the time on when it is followed. Most of
 * what a stream costs is its making, so a process that ends soon gets none.
 *
 * @param hear the bytes are valid during the call only
 * @throws Error when there are no more file descriptors
 */
export function createPipe(hear: (chunk: Buffer) => void) {
  const ends = Buffer.alloc(8);
  if (pipe2(ends, O_CLOEXEC) !== 0) throw new Error('there are no more file descriptors');
  const readEnd = ends.readInt32LE(0);
  fcntl(readEnd, F_SETFL, 'int', constants.O_NONBLOCK);
  let socket: Socket | undefined;

  function readRest(): void {
    try {
      for (let count = 0; count < LAST_CHUNKS; count += 1) {
        const length = readSync(readEnd, CHUNK);
        if (length === 0) return;
        hear(CHUNK.subarray(0, length));
      }
    } catch {
      // EAGAIN: somebody still holds the other end, and says nothing.
    }
  }

  return {
    /** For the process. */
    writeEnd: ends.readInt32LE(4),
    /** Hears from now on as it comes. */
    follow(): void {
      socket = new Socket({ fd: readEnd, readable: true, writable: false });
      socket.on('data', hear);
      socket.on('error', () => undefined);
    },
    /** Hears what is there and closes the end that is read. */
    end(): void {
      // One that was destroyed has closed the end, though its event comes later: another file may have that number now.
      if (!socket?.destroyed) readRest();
      if (socket) socket.destroy();
      else closeSync(readEnd);
    },
  };
}
