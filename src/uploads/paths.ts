import { PushbroomError } from '../errors.ts';

/** Of a file or directory: no separator, nothing that climbs, is hidden or looks like an option. */
const NAME = /^(?![.-])[A-Za-z0-9._+-]{1,100}$/;
const MOST_LEVELS = 6;

/**
 * The names on the way to what a user calls `path`, e.g. `region_data/lakes.zip` (specification D.9, D.10).
 *
 * @throws INVALID_PARAMETER
 */
export function readPath(path: string, locator: string): readonly string[] {
  const names = path.split('/');
  const shown = `'${path.slice(0, 200)}'`;
  if (names.length > MOST_LEVELS) {
    throw invalid(locator, `${shown} has more than ${MOST_LEVELS} levels`);
  }
  if (!names.every((name) => NAME.test(name))) {
    throw invalid(
      locator,
      `${shown} is not a relative path of names of letters, digits and . _ + -, none of which begins with . or -`,
    );
  }
  return names;
}

const invalid = (locator: string, fault: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', `${locator}: ${fault}`, { locator });
