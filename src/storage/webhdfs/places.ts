import type { NodeId } from '../../core/model.ts';
import type { NameNodes, Question } from './client.ts';
import { Refusal } from './errors.ts';
import { parseBlocks, parseLocatedBlocks } from './parse.ts';
import type { Block, FileStatus } from './parse.ts';

type Batches = (directory: string, signal?: AbortSignal) => AsyncIterable<readonly FileStatus[]>;

/** Of a directory: a product has some dozens of files, and where those lie says enough. */
const MOST_FILES = 100;
const MOST_DIRECTORIES = 50;
/** Questions at once. */
const AT_ONCE = 8;

/** Which nodes have what part of files. */
export class Places {
  readonly #nameNodes: NameNodes;
  readonly #batches: Batches;
  /** Name nodes before Hadoop 3 have another, larger answer. */
  #isOld = false;

  constructor(nameNodes: NameNodes, batches: Batches) {
    this.#nameNodes = nameNodes;
    this.#batches = batches;
  }

  /** @returns those that hold the most bytes first; @throws as `NameNodes.ask` */
  async nodesOf(path: string, signal?: AbortSignal): Promise<NodeId[]> {
    const bytes = new Map<NodeId, number>();
    const count = (blocks: readonly Block[]): void => {
      for (const block of blocks) {
        for (const host of block.hosts) bytes.set(host, (bytes.get(host) ?? 0) + block.bytes);
      }
    };
    try {
      count(await this.#blocksOf(path, signal));
    } catch (error) {
      if (!(error instanceof Refusal) || !/not a file/i.test(error.words)) throw error;
      const files = await this.#filesOf(path, signal);
      for (let from = 0; from < files.length; from += AT_ONCE) {
        const some = files.slice(from, from + AT_ONCE);
        for (const blocks of await Promise.all(some.map((file) => this.#blocksOf(file, signal)))) {
          count(blocks);
        }
      }
    }
    const nodes = [...bytes].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return nodes.map(([node]) => node);
  }

  async #blocksOf(path: string, signal?: AbortSignal): Promise<Block[]> {
    const question: Omit<Question, 'operation'> = { method: 'GET', path, signal };
    if (!this.#isOld) {
      try {
        const operation = 'GETFILEBLOCKLOCATIONS';
        return await this.#nameNodes.ask({ ...question, operation }, parseBlocks);
      } catch (error) {
        if (!(error instanceof Refusal && error.isUnknownOperation)) throw error;
        this.#isOld = true;
      }
    }
    const operation = 'GET_BLOCK_LOCATIONS';
    return this.#nameNodes.ask({ ...question, operation }, parseLocatedBlocks);
  }

  /** The first files of a directory and those below it that have something in them. */
  async #filesOf(path: string, signal?: AbortSignal): Promise<string[]> {
    const files: string[] = [];
    const directories = [path];
    for (let index = 0; index < Math.min(directories.length, MOST_DIRECTORIES); index += 1) {
      const directory = directories[index]!;
      for await (const batch of this.#batches(directory, signal)) {
        for (const { name, isDirectory, size } of batch) {
          const each = `${directory}/${name}`;
          if (isDirectory) directories.push(each);
          else if (size > 0) files.push(each);
        }
        if (files.length >= MOST_FILES) return files.slice(0, MOST_FILES);
      }
    }
    return files;
  }
}
