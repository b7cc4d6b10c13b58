import type { Readable } from 'node:stream';

import type { Resources } from '../core/model.ts';
import type { AttemptEnd } from './attempt.ts';
import type { Assignment } from './assignment.ts';

export interface Work {
  readonly assignment: Assignment;
  /** What the engine counts for it; the runner only remembers that for the next service. */
  readonly resources: Resources;
}

/** From the local engine to its runner. */
export type ToRunner =
  | { readonly type: 'run'; readonly work: readonly Work[] }
  | { readonly type: 'kill'; readonly attemptId: string }
  /** Ends the runner with everything that it has started. */
  | { readonly type: 'end' };

/** From a runner to the engine, and in its journal. */
export type FromRunner =
  /** The first on each connection: what runs, from whichever service it came. */
  | {
      readonly type: 'hello';
      readonly running: readonly { readonly attemptId: string; readonly resources: Resources }[];
    }
  | { readonly type: 'ended'; readonly attemptId: string; readonly end: AttemptEnd };

export const encode = (message: ToRunner | FromRunner): string => `${JSON.stringify(message)}\n`;

/** Messages of a text, one a line; the last line of one who died while writing it is none. */
export function decode<T extends ToRunner | FromRunner>(text: string): T[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as T];
    } catch {
      return [];
    }
  });
}

/** Calls back with each message that arrives. */
export function listen<T extends ToRunner | FromRunner>(
  stream: Readable,
  onMessage: (message: T) => void,
): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const end = text.lastIndexOf('\n');
    if (end === -1) {
      rest += text;
      return;
    }
    const complete = rest + text.slice(0, end);
    rest = text.slice(end + 1);
    for (const message of decode<T>(complete)) onMessage(message);
  });
}
