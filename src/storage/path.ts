import { PushbroomError } from '../errors.ts';

/**
 * The path of a location, with single slashes and none at its end.
 *
 * @param path absolute, of the location
 * @throws INVALID_PARAMETER for one that could lead elsewhere than it seems to
 */
export function checkPath(location: string, path: string): string {
  const names = path.split('/').filter((name) => name !== '');
  if (!path.startsWith('/')) throw bad(location, 'it is no absolute path');
  if (path.includes('\0')) throw bad(location, 'it has a NUL character');
  if (!path.isWellFormed()) throw bad(location, 'it is no Unicode text');
  if (names.some((name) => name === '.' || name === '..')) {
    throw bad(location, "it has '.' or '..' in it: write the place itself");
  }
  return `/${names.join('/')}`;
}

/** @throws INVALID_PARAMETER for the root: it is neither written, moved nor removed */
export function belowRoot(location: string, path: string): string {
  if (path === '/') throw bad(location, 'it is the root of the storage');
  return path;
}

/** @throws INVALID_PARAMETER for a move of a directory to a place in itself */
export function notInside(from: string, source: string, to: string, target: string): void {
  if (target.startsWith(`${source}/`))
    throw bad(to, `it is inside of ${from}, which is to be moved there`);
}

const bad = (location: string, reason: string): PushbroomError =>
  new PushbroomError(
    'INVALID_PARAMETER',
    `${JSON.stringify(location)} cannot be used as a location: ${reason}.`,
  );
