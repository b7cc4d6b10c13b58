import type { ProductQuery } from '../core/model.ts';
import { isUrl, joinLocation } from '../storage/location.ts';
import type { Dataset } from './dataset.ts';
import { checkPattern, levelsOf, resolvePattern, splitPatterns } from './patterns.ts';
import { isBelow, withoutSlash } from './roots.ts';

/** Where products may be asked for that no dataset names. */
export interface Archive {
  /** A directory or URL that relative patterns are put behind; without one they are refused. */
  readonly root?: string;
  /** Directories and URLs; every pattern has to lie below one of them. */
  readonly allowed: readonly string[];
  /** The beginnings of URLs that can be searched, as `hdfs://calvalus`. */
  readonly storages: readonly string[];
}

/** Each is expanded for each day. */
const MAX_PATTERNS = 1000;
const SHOWN = 200;

/**
 * Reads the path patterns of a request (specification B.8.2, B.6.3 `inputPath`): relative ones are put behind the
 * archive's root.
 *
 * @param text patterns with commas in between
 * @returns absolute patterns, each once
 * @throws Error for a pattern that cannot be searched, or lies where nobody may search
 */
export function readPatterns(text: string, archive: Archive): readonly string[] {
  const patterns = [...new Set(splitPatterns(text))];
  if (patterns.length > MAX_PATTERNS) {
    throw new Error(`it has ${patterns.length} patterns, more than ${MAX_PATTERNS}`);
  }
  return patterns.map((pattern) => readPattern(pattern, archive));
}

function readPattern(pattern: string, { root, allowed, storages }: Archive): string {
  const shown = pattern.slice(0, SHOWN);
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(pattern)) {
    throw new Error(`"${shown}" has a part "." or "..", which is not allowed`);
  }
  checkPattern(pattern, storages);
  if (root === undefined && !pattern.startsWith('/') && !isUrl(pattern)) {
    throw new Error(
      `"${shown}" is relative, and the service has no archive.root: give an absolute path`,
    );
  }
  const absolute =
    root !== undefined && isUrl(root) && !pattern.startsWith('/') && !isUrl(pattern)
      ? `${withoutSlash(root)}/${pattern}`
      : resolvePattern(pattern, root ?? '/');
  const { base } = levelsOf(absolute);
  if (!allowed.some((place) => isBelow(base, place))) {
    const known = allowed.join(', ') || 'nowhere: archive.allowed is empty';
    throw new Error(`"${shown}" lies where products may not be asked for; they may below ${known}`);
  }
  return absolute;
}

/** The directories below which all products of a dataset lie. */
export const placesOf = ({ patterns, roots }: Dataset): readonly string[] =>
  patterns.flatMap((pattern) => {
    const { base } = levelsOf(pattern);
    return roots ? roots.map(({ location }) => joinLocation(location, base)) : [base];
  });

/** The dataset that a job makes for itself where it names patterns; `undefined` where it has the name of one. */
export const adHocDataset = ({
  dataset,
  productType,
  patterns,
}: ProductQuery): Dataset | undefined => patterns && { name: dataset, productType, patterns };
