import { join } from 'node:path';

const URL_START = /^([a-z][a-z0-9+.-]*):\/\/([^/]*)/i;

/** Whether a location is a URL and not a path of a mounted file system. */
export const isUrl = (location: string): boolean => URL_START.test(location);

/** `hdfs://calvalus/a/b` is of the scheme `hdfs`, the storage `calvalus` and the path `/a/b`. */
export interface StorageUrl {
  readonly scheme: string;
  readonly name: string;
  /** Not escaped: these are names of files and not parts of a URL of the web. */
  readonly path: string;
}

/** @returns `undefined` for a path */
export function parseUrl(location: string): StorageUrl | undefined {
  const [start, scheme, name] = URL_START.exec(location) ?? [];
  if (start === undefined || scheme === undefined || name === undefined) return undefined;
  return { scheme: scheme.toLowerCase(), name, path: location.slice(start.length) || '/' };
}

/** As `path.join`, for URLs too: `path.join` would take `//` for one slash. */
export function joinLocation(location: string, ...names: readonly string[]): string {
  const [start] = URL_START.exec(location) ?? [];
  if (start === undefined) return join(location, ...names);
  return start + join('/', location.slice(start.length), ...names);
}
