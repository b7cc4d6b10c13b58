import { PushbroomError } from '../../errors.ts';
import type { NameNodes, Question } from './client.ts';
import { Refusal } from './errors.ts';
import { parseBoolean, parseStatus } from './parse.ts';
import type { FileStatus } from './parse.ts';

/** `NONE` fails where something is at the target; `OVERWRITE` replaces a file. */
type Manner = 'NONE' | 'OVERWRITE';

/** How often a target that appears again and again is removed, where the server cannot replace it. */
const REMOVALS = 5;

/**
 * Moves of files and directories, each of them one atomic step of the name node's. One whose answer was lost is asked for
 * again, and recognised by its inode where it had been done already.
 */
export class Renames {
  readonly #nameNodes: NameNodes;
  readonly #locationOf: (path: string) => string;
  /** HttpFS knows only the plain RENAME: one that moves into a directory at the target, and says no without a reason. */
  #isPlain = false;

  constructor(nameNodes: NameNodes, locationOf: (path: string) => string) {
    this.#nameNodes = nameNodes;
    this.#locationOf = locationOf;
  }

  /** `undefined` where nothing is there. */
  async statusOf(path: string, signal?: AbortSignal): Promise<FileStatus | undefined> {
    try {
      const question: Question = { method: 'GET', path, operation: 'GETFILESTATUS', signal };
      return await this.#nameNodes.ask(question, parseStatus);
    } catch (error) {
      if (error instanceof Refusal && isMissing(error)) return undefined;
      throw error;
    }
  }

  /**
   * @param before the source's status
   * @returns `false` where something is at the target, which stays as it is
   * @throws Refusal, NoNameNode
   */
  async move(from: string, before: FileStatus, to: string): Promise<boolean> {
    if (from === to || (this.#isPlain && (await this.statusOf(to)))) return false;
    try {
      const isDone = await this.#rename(from, to, 'NONE');
      if (isDone) return !this.#isPlain || (await this.#isNotInside(from, before, to));
    } catch (error) {
      const there = await this.statusOf(to);
      if (there && (await this.#isMoved(from, before, there))) return true;
      if (there && error instanceof Refusal) return false;
      throw error;
    }
    const there = await this.statusOf(to);
    if (there) return this.#isMoved(from, before, there);
    throw new PushbroomError(
      'NOT_FOUND',
      `${this.#locationOf(from)}, or the directory of ${this.#locationOf(to)}, is not there.`,
    );
  }

  /** Moves a file to where another one may be, which is replaced. @throws as `move` */
  async replace(from: string, before: FileStatus, to: string): Promise<void> {
    try {
      for (let tries = 0; tries <= REMOVALS; tries += 1) {
        if (this.#isPlain) await this.#makeWay(to);
        if (await this.#rename(from, to, 'OVERWRITE')) return;
      }
    } catch (error) {
      const there = await this.statusOf(to);
      if (there && (await this.#isMoved(from, before, there))) return;
      throw error;
    }
    throw new PushbroomError(
      'UNAVAILABLE',
      `${this.#locationOf(to)} is made again and again by somebody else.`,
    );
  }

  async #rename(from: string, to: string, manner: Manner): Promise<boolean> {
    const parameters = { destination: to, renameoptions: manner };
    const question: Question = { method: 'PUT', path: from, operation: 'RENAME', parameters };
    const answer = await this.#nameNodes.ask(question, (text) =>
      text === '' ? undefined : parseBoolean(text),
    );
    this.#isPlain = answer !== undefined;
    return answer ?? true;
  }

  async #isMoved(from: string, before: FileStatus, there: FileStatus): Promise<boolean> {
    if (before.fileId !== undefined) return there.fileId === before.fileId;
    return isLike(before, there) && !(await this.statusOf(from));
  }

  /** After a plain RENAME that was done: what has gone into a directory at the target is brought back. */
  async #isNotInside(from: string, before: FileStatus, to: string): Promise<boolean> {
    const there = await this.statusOf(to);
    if (!there || isLike(before, there)) return true;
    const inside = `${to}${from.slice(from.lastIndexOf('/'))}`;
    if (!(await this.statusOf(inside))) return true;
    await this.#rename(inside, from, 'NONE');
    return false;
  }

  async #makeWay(to: string): Promise<void> {
    const there = await this.statusOf(to);
    if (!there) return;
    if (there.isDirectory)
      throw new PushbroomError(
        'CONFLICT',
        `Cannot write ${this.#locationOf(to)}: it is a directory.`,
      );
    await this.#nameNodes.ask({ method: 'DELETE', path: to, operation: 'DELETE' }, parseBoolean);
  }
}

/** A file above it is as good as nothing. */
const isMissing = (refusal: Refusal): boolean =>
  refusal.code === 'NOT_FOUND' || refusal.isNoDirectory;

const isLike = (a: FileStatus, b: FileStatus): boolean =>
  a.isDirectory === b.isDirectory && a.size === b.size && a.modifiedAt === b.modifiedAt;
