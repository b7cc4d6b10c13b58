import type { LogText } from '../engine.ts';
import type { Place } from './places.ts';
import type { AmEvent, Order } from './protocol.ts';

/** How the program says that a file, or its container's directory, is not there. */
const NOT_THERE = /^not found/i;
/** A node that does not answer, and a log server after it. */
const ANSWER_MS = 60_000;

/** Bytes that the program reads at once. */
const LARGEST_PART = 4 * 1024 ** 2;

interface Question {
  readonly answer: (text: LogText | undefined) => void;
  readonly fail: (error: Error) => void;
}

/** Files of containers' log directories, which the program reads: from nodes, or from what YARN has collected. */
export class Logs {
  readonly #give: (order: Order) => boolean;
  readonly #questions = new Map<number, Question>();
  #count = 0;

  constructor(give: (order: Order) => boolean) {
    this.#give = give;
  }

  /**
   * @param part bytes; beyond the end of the file there is nothing
   * @returns undefined where there is no such file, or not any more
   * @throws Error where nobody can say so
   */
  async read(
    place: Place,
    file: string,
    part: { readonly offset: number; readonly limit: number },
  ): Promise<LogText | undefined> {
    const id = (this.#count += 1);
    const asked = Promise.withResolvers<LogText | undefined>();
    this.#questions.set(id, { answer: asked.resolve, fail: asked.reject });
    const timer = setTimeout(
      () => this.#questions.get(id)?.fail(new Error(`no answer within ${ANSWER_MS / 1000} s`)),
      ANSWER_MS,
    );
    try {
      if (!this.#give({ order: 'readLog', id, ...place, file, ...part })) throw noProgram();
      return await asked.promise;
    } finally {
      clearTimeout(timer);
      this.#questions.delete(id);
    }
  }

  /**
   * A whole file.
   *
   * @param most bytes; a larger one is cut
   */
  async readAll(place: Place, file: string, most: number): Promise<string | undefined> {
    let all = '';
    for (let offset = 0; offset < most;) {
      const part = await this.read(place, file, { offset, limit: LARGEST_PART });
      if (!part) return undefined;
      all += part.text;
      if (part.next <= offset || part.next - offset < LARGEST_PART - 4) break;
      offset = part.next;
    }
    return all;
  }

  hear({ id, text, next, error }: Extract<AmEvent, { event: 'log' }>): void {
    const question = this.#questions.get(id);
    if (text !== undefined && next !== undefined) question?.answer({ text, next });
    else if (error === undefined || NOT_THERE.test(error)) question?.answer(undefined);
    else question?.fail(new Error(error));
  }

  /** There is no program any more. */
  lost(): void {
    for (const { fail } of this.#questions.values()) fail(noProgram());
  }
}

const noProgram = () => new Error('the application-master program does not run');
