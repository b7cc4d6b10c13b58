/**
 * Answers of WebHDFS and HttpFS ("WebHDFS REST API", JSON Schemas): what is not as it says there is refused, what is
 * there beside it is passed over.
 */
const EXCERPT = 200;
const MOST_WORDS = 300;

/** What should have been an answer of WebHDFS, and is not. The message says how it begins. */
export class BadAnswer extends Error {
  constructor(wanted: string, text: string) {
    const rest = text.length > EXCERPT ? '…' : '';
    const begin = text === '' ? '' : `: ${JSON.stringify(text.slice(0, EXCERPT))}${rest}`;
    super(`it did not answer with ${wanted}${begin}`);
    this.name = 'BadAnswer';
  }
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parse(text: string, wanted: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // As for JSON that is something else.
  }
  throw new BadAnswer(wanted, text);
}

export interface RemoteException {
  /** Its Java class without the package. */
  readonly exception: string;
  /** The first line of what it says. */
  readonly words: string;
}

/** @returns `undefined` for anything else: a page of some other server, nothing at all */
export function remoteException(text: string): RemoteException | undefined {
  try {
    const { RemoteException: found } = parse(text, 'an exception');
    if (!isObject(found) || typeof found['exception'] !== 'string') return undefined;
    const { exception, message } = found;
    // Data nodes add the stack.
    const [line = ''] = typeof message === 'string' ? message.trim().split(/[\r\n]/, 1) : [];
    return { exception, words: line.slice(0, MOST_WORDS) };
  } catch {
    return undefined;
  }
}

export interface FileStatus {
  /** '' of what was asked for itself. */
  readonly name: string;
  readonly isDirectory: boolean;
  readonly size: number;
  readonly modifiedAt: number;
  /** Of its inode, which it keeps when it is moved; older servers do not tell it. */
  readonly fileId: number | undefined;
}

/** GETFILESTATUS. */
export function parseStatus(text: string): FileStatus {
  const wanted = 'the status of a file';
  return statusOf(parse(text, wanted)['FileStatus'], wanted, text);
}

export interface Listing {
  readonly entries: readonly FileStatus[];
  /** Whether there are more after the last. */
  readonly isPart: boolean;
}

/** LISTSTATUS_BATCH, or LISTSTATUS. */
export function parseListing(text: string): Listing {
  const wanted = 'a listing';
  const answer = parse(text, wanted);
  const batch = answer['DirectoryListing'];
  const partial = isObject(batch) ? batch['partialListing'] : answer;
  const statuses = isObject(partial) ? partial['FileStatuses'] : undefined;
  const list = isObject(statuses) ? statuses['FileStatus'] : undefined;
  const remaining = isObject(batch) ? batch['remainingEntries'] : 0;
  if (!Array.isArray(list) || !isCount(remaining)) throw new BadAnswer(wanted, text);
  const entries = list.map((each) => statusOf(each, wanted, text));
  // Nothing comes after nothing: it would be asked for again for ever.
  return { entries, isPart: remaining > 0 && entries.length > 0 };
}

function statusOf(value: unknown, wanted: string, text: string): FileStatus {
  const { type, pathSuffix, length, modificationTime, fileId } = isObject(value) ? value : {};
  const isKnown = type === 'FILE' || type === 'DIRECTORY' || type === 'SYMLINK';
  if (!isKnown || typeof pathSuffix !== 'string' || pathSuffix.includes('/')) {
    throw new BadAnswer(wanted, text);
  }
  if (!isCount(length) || !isCount(modificationTime)) throw new BadAnswer(wanted, text);
  const isDirectory = type === 'DIRECTORY';
  return {
    name: pathSuffix,
    isDirectory,
    size: isDirectory ? 0 : length,
    modifiedAt: modificationTime,
    fileId: isCount(fileId) && fileId > 0 ? fileId : undefined,
  };
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

/** Part of a file, and the nodes that have it. */
export interface Block {
  readonly bytes: number;
  readonly hosts: readonly string[];
}

/** GETFILEBLOCKLOCATIONS. */
export function parseBlocks(text: string): Block[] {
  const wanted = 'the places of blocks';
  const locations = parse(text, wanted)['BlockLocations'];
  const list = isObject(locations) ? locations['BlockLocation'] : undefined;
  if (!Array.isArray(list)) throw new BadAnswer(wanted, text);
  return list.map((each: unknown) => {
    const { length, hosts } = isObject(each) ? each : {};
    if (!isCount(length) || !Array.isArray(hosts)) throw new BadAnswer(wanted, text);
    return {
      bytes: length,
      hosts: hosts.filter((host) => typeof host === 'string' && host !== ''),
    };
  });
}

/** GET_BLOCK_LOCATIONS, which older name nodes have instead. */
export function parseLocatedBlocks(text: string): Block[] {
  const wanted = 'the places of blocks';
  const located = parse(text, wanted)['LocatedBlocks'];
  const list = isObject(located) ? located['locatedBlocks'] : undefined;
  if (!Array.isArray(list)) throw new BadAnswer(wanted, text);
  return list.map((each: unknown) => {
    const { block, locations } = isObject(each) ? each : {};
    const bytes = isObject(block) ? block['numBytes'] : undefined;
    if (!isCount(bytes) || !Array.isArray(locations)) throw new BadAnswer(wanted, text);
    const hosts = locations.flatMap((place: unknown) =>
      isObject(place) && typeof place['hostName'] === 'string' ? place['hostName'] : [],
    );
    return { bytes, hosts };
  });
}

/** MKDIRS, DELETE and the plain RENAME. */
export function parseBoolean(text: string): boolean {
  const { boolean: value } = parse(text, 'yes or no');
  if (typeof value !== 'boolean') throw new BadAnswer('yes or no', text);
  return value;
}

export interface Checksum {
  /** E.g. `MD5-of-0MD5-of-512CRC32C`: it hangs on the sizes of blocks too. */
  readonly algorithm: string;
  /** Hexadecimal. */
  readonly bytes: string;
}

/** GETFILECHECKSUM. */
export function parseChecksum(text: string): Checksum {
  const wanted = 'a checksum';
  const checksum = parse(text, wanted)['FileChecksum'];
  const { algorithm, bytes } = isObject(checksum) ? checksum : {};
  if (typeof algorithm !== 'string' || typeof bytes !== 'string' || !/^[0-9a-f]+$/i.test(bytes)) {
    throw new BadAnswer(wanted, text);
  }
  return { algorithm, bytes: bytes.toLowerCase() };
}

/** GETDELEGATIONTOKEN; name nodes without Kerberos have none to give. */
export function parseToken(text: string): string {
  const wanted = 'a delegation token';
  const token = parse(text, wanted)['Token'];
  const url = isObject(token) ? token['urlString'] : undefined;
  if (token === null) throw new BadAnswer('a delegation token: the cluster has no Kerberos', '');
  // Never said how it begins: it could be one.
  if (typeof url !== 'string' || !isToken(url)) throw new BadAnswer(wanted, '');
  return url;
}

/** URL-safe Base64, as Hadoop's `Token.encodeToUrlString` writes it. */
export const isToken = (text: string): boolean => /^[A-Za-z0-9_-]{16,8192}$/.test(text);

/** RENEWDELEGATIONTOKEN: milliseconds since 1970 when it ends. */
export function parseExpiry(text: string): number {
  const { long } = parse(text, 'an expiry');
  if (!isCount(long)) throw new BadAnswer('an expiry', text);
  return long;
}
