import { setImmediate } from 'node:timers/promises';

import type { Process } from '../../jobs/jobs.ts';
import type { Xml } from '../../xml.ts';

/** Pieces that are written before others have a turn. */
const TURN = 20;

/** Writes a piece of XML for each process, only once for each: of hundreds with long lists of datasets it takes a while. */
export function createPieces(write: (process: Process) => Xml) {
  const kept = new WeakMap<Process, Xml>();
  return async (processes: readonly Process[]): Promise<Xml[]> => {
    const pieces: Xml[] = [];
    let written = 0;
    for (const process of processes) {
      let piece = kept.get(process);
      if (!piece) {
        written += 1;
        if (written % TURN === 0) await setImmediate();
        piece = write(process);
        kept.set(process, piece);
      }
      pieces.push(piece);
    }
    return pieces;
  };
}
