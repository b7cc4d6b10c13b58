import type { ResponseWish } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { Inputs } from '../inputs.ts';

/** What a client of WPS 1.0.0 can ask, by whatever verb. */
export type WpsRequest =
  | { readonly operation: 'GetCapabilities' }
  | { readonly operation: 'DescribeProcess'; readonly identifiers: readonly string[] | 'all' }
  | { readonly operation: 'GetStatus'; readonly jobId: string }
  | ({ readonly operation: 'Execute' } & ExecuteRequest);

export interface ExecuteRequest {
  readonly process: string;
  readonly inputs: Inputs;
  /** Whether the answer is due at once (`status="true"`) or when the job has ended. */
  readonly async: boolean;
  /** Whether the answer tells where it can be had again. */
  readonly store: boolean;
  readonly response: ResponseWish;
}

/** OGC 05-007r7, 7.3.2 and OGC 06-121r3, 7.3.2: none is fine, and so is a list with the only one that is spoken. */
export function checkAcceptVersions(versions: readonly string[]): void {
  if (versions.length === 0 || versions.some((version) => version.trim() === '1.0.0')) return;
  throw new PushbroomError('UNSUPPORTED_VERSION', 'This service speaks WPS 1.0.0 and 2.0.0.', {
    locator: 'AcceptVersions',
  });
}

/** Names of languages have no case; all answers are in English. */
export function checkLanguage(language: string | undefined): void {
  if (!language || language === '*' || /^en\b/i.test(language)) return;
  throw invalid('language', `'${language.slice(0, 50)}' is not spoken here, 'en' is`);
}

export function checkVersion(version: string): void {
  if (version !== '1.0.0') throw invalid('Version');
}

const MAX_IDENTIFIERS = 1000;

/** @param identifiers `all` in any case stands for every process (specification B.2) */
export function checkIdentifiers(identifiers: readonly string[]): readonly string[] | 'all' {
  const named = identifiers.map((identifier) => identifier.trim()).filter(Boolean);
  if (named.length === 0) throw missing('Identifier');
  if (named.length === 1 && named[0]!.toLowerCase() === 'all') return 'all';
  if (named.length > MAX_IDENTIFIERS) {
    throw invalid('Identifier', `it names more than ${MAX_IDENTIFIERS} processes`);
  }
  return [...new Set(named)];
}

/** Texts as Urban TEP's clients know them (specification B.10), with the reason where there is more to say. */
export const missing = (name: string): PushbroomError =>
  new PushbroomError('MISSING_PARAMETER', `The value of parameter '${name}' is missing.`, {
    locator: name,
  });

export function throwMissing(name: string): never {
  throw missing(name);
}

export const invalid = (name: string, reason?: string): PushbroomError =>
  new PushbroomError(
    'INVALID_PARAMETER',
    `Parameter '${name}' has an invalid value${reason === undefined ? '.' : `: ${reason}.`}`,
    { locator: name },
  );
