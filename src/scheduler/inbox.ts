import type { Event } from '../core/change.ts';

export interface Letter {
  readonly event: Event;
  /** Given up with an error when it cannot be stored, where others are tried again. */
  readonly isRequest: boolean;
  readonly settle: (error?: Error) => void;
}

/** Events on their way to the loop. */
export interface Inbox {
  /** Resolves once what the event changes is stored. Tried again for as long as the store refuses it. */
  tell(event: Event): Promise<void>;
  /** Like `tell`, but rejects when the store refuses: somebody waits for the answer. */
  ask(event: Event): Promise<void>;
  take(limit: number): Letter[];
  putBack(letters: readonly Letter[]): void;
  readonly size: number;
  /** Whether somebody waits for an answer. */
  readonly hasRequest: boolean;
}

/** @param ring called whenever there is something to take */
export function createInbox(ring: () => void): Inbox {
  let letters: Letter[] = [];
  let requests = 0;
  const post = (event: Event, isRequest: boolean) =>
    new Promise<void>((resolve, reject) => {
      letters.push({ event, isRequest, settle: (error) => (error ? reject(error) : resolve()) });
      if (isRequest) requests += 1;
      ring();
    });
  return {
    tell: (event) => post(event, false),
    ask: (event) => post(event, true),
    take: (limit) => {
      const taken = letters.splice(0, limit);
      if (requests > 0) requests -= taken.filter(({ isRequest }) => isRequest).length;
      return taken;
    },
    putBack: (again) => {
      letters = [...again, ...letters];
      requests += again.filter(({ isRequest }) => isRequest).length;
    },
    get hasRequest() {
      return requests > 0;
    },
    get size() {
      return letters.length;
    },
  };
}
