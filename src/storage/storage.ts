import type { Readable } from 'node:stream';

import type { Millis, NodeId } from '../core/model.ts';

/**
 * A file or directory of a storage. Where it lies is told by a location: an absolute path of a mounted file system, or
 * a URL such as `hdfs://calvalus/eodata/a.tif`, whose authority is the storage's name in the configuration.
 */
export interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  readonly modifiedAt: Millis;
}

export interface Range {
  /** Bytes; from the start where absent. */
  readonly offset?: number;
  /** Bytes; up to the end where absent. */
  readonly length?: number;
}

/**
 * What is written: what is in memory, a stream, or a function that makes the stream. What can be had again is written
 * again where a node of the storage dies in the midst of it; a stream has ended then.
 */
export type Content = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

/**
 * Files of a mounted file system, of HDFS, of an object store. Locations are whole everywhere, so that nobody has to
 * know whose they are. Every adapter passes `contract.ts`.
 *
 * All reject with a PushbroomError that names the location and, where there is one, the remedy: NOT_FOUND, FORBIDDEN,
 * STORAGE_FULL (a disk or a quota), CONFLICT for a file where a directory has to be and the other way round,
 * INVALID_PARAMETER for what is no location of this storage (`.` and `..` are none), UNAVAILABLE for everything that may
 * be different in a while. What a signal says when it aborts, and errors of a content, they reject with as they are.
 */
export interface Storage {
  /** What is in a directory, in batches, in the order of the names' Unicode characters; in bounded memory. */
  list(directory: string, signal?: AbortSignal): AsyncIterable<readonly Entry[]>;
  /** `undefined` where nothing is there. */
  stat(location: string): Promise<Entry | undefined>;
  /** The content of a file, none beyond its end. Ends with an error where it breaks off: what has come is then not all. */
  read(location: string, range?: Range, signal?: AbortSignal): Promise<Readable>;
  /**
   * Makes a file, with the directories above it. It appears whole or not at all, replaces one that is there, and is
   * on the storage for certain when this resolves.
   */
  write(location: string, content: Content, signal?: AbortSignal): Promise<void>;
  /** With the directories above it. One that is there is as good. */
  makeDirectory(location: string): Promise<void>;
  /**
   * Moves a file or a directory in one atomic step, to a place in a directory that is there.
   *
   * @returns whether it was moved: `false` where something is at the target already, which stays as it is
   */
  move(from: string, to: string): Promise<boolean>;
  /** Removes a file, or a directory with everything in it. What is not there is not an error. */
  remove(location: string): Promise<void>;
  /**
   * Nodes that hold parts of a file, those with the largest parts first; of a directory, those of the files in it. Absent
   * in storages that are equally far from everywhere.
   */
  nodesOf?(location: string, signal?: AbortSignal): Promise<readonly NodeId[]>;
}

/** How a storage is reached that a URL names; travels to nodes as JSON. Nothing of it is ever logged. */
export interface StorageAccess {
  readonly type: 'webhdfs';
  /** The authority of its URLs. */
  readonly name: string;
  /** Base URLs of its name nodes or of HttpFS, e.g. `http://nn1:9870`; the first that is active is used. */
  readonly urls: readonly string[];
  /** Who it is under simple authentication. */
  readonly user?: string;
  /** A delegation token, as `GETDELEGATIONTOKEN` gives it. */
  readonly token?: string;
  /** Certificates in PEM that are trusted beside those of the system. */
  readonly ca?: string;
  /** Copies of what is written; the storage's own default where absent. */
  readonly replication?: number;
  /** Bytes, of what is written. */
  readonly blockSize?: number;
}

/** Finds the storage of a location. */
export interface Storages {
  /** @throws PushbroomError INVALID_PARAMETER for a URL that is none of a storage's */
  of(location: string): Storage;
}
