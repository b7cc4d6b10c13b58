import { PushbroomError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import type { RemoteException } from './parse.ts';

/** An exception that a name node, a data node or HttpFS has answered with. */
export class Refusal extends Error {
  readonly exception: string;
  readonly words: string;
  readonly status: number;

  constructor(status: number, { exception, words }: RemoteException) {
    super(`${exception}: ${words}`);
    this.name = 'Refusal';
    this.exception = exception;
    this.words = words;
    this.status = status;
  }

  /** Nothing was done, and another name node, or the same one in a while, may do it. */
  get isPassing(): boolean {
    return PASSING.has(this.exception) || /\bSafeModeException\b|in safe mode/.test(this.words);
  }

  /** The server has no such operation: in the words of name nodes and of HttpFS, old ones too. */
  get isUnknownOperation(): boolean {
    return /not a valid \w+ operation|No enum const.*\bOp(?:eration)?\.|Invalid HTTP \w+ operation/.test(
      this.words,
    );
  }

  /** It is not known who asks, or not any more. */
  get isAboutIdentity(): boolean {
    return this.status === 401 || IDENTITY.has(this.exception) || TOKEN.test(this.words);
  }

  /** Of data nodes' disks, and not a quota. */
  get isDiskFull(): boolean {
    return this.code === 'STORAGE_FULL' && CODES[this.exception] === undefined;
  }

  /** A file is where a directory would have to be. */
  get isNoDirectory(): boolean {
    return (
      this.exception === 'ParentNotDirectoryException' || /\(is not a directory\)/.test(this.words)
    );
  }

  /** A file cannot replace a directory. */
  get isOfTwoKinds(): boolean {
    return /must both be directories/.test(this.words);
  }

  get code(): ErrorCode {
    if (this.isPassing) return 'UNAVAILABLE';
    if (this.isAboutIdentity) return 'FORBIDDEN';
    // Told as a lack of rights, too.
    if (this.isNoDirectory) return 'CONFLICT';
    const known = CODES[this.exception];
    if (known) return known;
    return WORDS.find(([pattern]) => pattern.test(this.words))?.[1] ?? 'UNAVAILABLE';
  }
}

/** Of Hadoop's `org.apache.hadoop.ipc` and `.hdfs.server.namenode`. */
const PASSING: ReadonlySet<string> = new Set([
  'StandbyException',
  'SafeModeException',
  'RetriableException',
  'ObserverRetryOnActiveException',
  'ServerTooBusyException',
  'NotALeaderException',
]);

const IDENTITY: ReadonlySet<string> = new Set([
  'AuthenticationException',
  'AuthorizationException',
  'SecurityException',
  'InvalidToken',
  'SecretManager$InvalidToken',
]);
const TOKEN = /token .*(?:can't be found in cache|is expired|has expired)|InvalidToken/i;

const CODES: Readonly<Record<string, ErrorCode>> = {
  FileNotFoundException: 'NOT_FOUND',
  AccessControlException: 'FORBIDDEN',
  DSQuotaExceededException: 'STORAGE_FULL',
  NSQuotaExceededException: 'STORAGE_FULL',
  QuotaExceededException: 'STORAGE_FULL',
  QuotaByStorageTypeExceededException: 'STORAGE_FULL',
  DiskOutOfSpaceException: 'STORAGE_FULL',
  FileAlreadyExistsException: 'CONFLICT',
  ParentNotDirectoryException: 'CONFLICT',
  PathIsNotDirectoryException: 'CONFLICT',
  PathIsNotEmptyDirectoryException: 'CONFLICT',
  InvalidPathException: 'INVALID_PARAMETER',
  IllegalArgumentException: 'INVALID_PARAMETER',
  HadoopIllegalArgumentException: 'INVALID_PARAMETER',
  PathComponentTooLongException: 'INVALID_PARAMETER',
  MaxDirectoryItemsExceededException: 'STORAGE_FULL',
  UnsupportedOperationException: 'NOT_SUPPORTED',
};

/** Of exceptions that say what they are only in words. */
const WORDS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/path component name limit|maximum path length/i, 'INVALID_PARAMETER'],
  [/must both be directories|is a directory or file under/, 'CONFLICT'],
  // BlockManager.chooseTarget4NewBlock: with nodes that run, none has the room.
  [/could only be .* There are [1-9]\d* datanode\(s\) running/, 'STORAGE_FULL'],
  [/No space left on device|Out of space|Disk quota exceeded/i, 'STORAGE_FULL'],
];

/** Of `NamenodeWebHdfsMethods.chooseDatanode`. */
const NO_NODE = /Failed to find datanode/;

export interface Deed {
  readonly location: string;
  /** In the infinitive, with its object: `read hdfs://calvalus/a`. */
  readonly deed: string;
  /** How the user is known to HDFS: its name or what else. */
  readonly who: string;
}

/** A refusal in our words, with the remedy. */
export function refusalError({ location, deed, who }: Deed, refusal: Refusal): PushbroomError {
  const { code } = refusal;
  if (code === 'NOT_FOUND') {
    return new PushbroomError(code, `${location} is not there.`, { cause: refusal });
  }
  const said = refusal.words === '' ? refusal.exception : refusal.words.replace(/\.$/, '');
  const remedy = remedyOf(refusal, who);
  return new PushbroomError(code, `Cannot ${deed}: ${said}${remedy}.`, {
    cause: refusal,
  });
}

function remedyOf(refusal: Refusal, who: string): string {
  switch (refusal.code) {
    case 'FORBIDDEN':
      return refusal.isAboutIdentity
        ? `; the cluster does not accept ${who}: look at this storage's authentication`
        : `; give ${who} the right to it (hdfs dfs -chown or -chmod), or use another user`;
    case 'STORAGE_FULL':
      return '; remove something, or have the quota raised or data nodes added';
    case 'UNAVAILABLE':
      if (NO_NODE.test(refusal.words)) return ': all are down, or have no room for a block';
      return refusal.isPassing ? '' : ` (${refusal.exception})`;
    default:
      return '';
  }
}
