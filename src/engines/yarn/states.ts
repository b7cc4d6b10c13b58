import type { AttemptState, FailureKind } from '../../core/model.ts';
import type { AttemptNews } from '../engine.ts';
import { excerpt } from './json.ts';

/** How a container ended, as YARN tells it. */
export interface ContainerEnd {
  /** `ContainerExitStatus`: the program's exit code, or a negative one of YARN's. */
  readonly exitStatus: number;
  readonly diagnostics: string;
}

interface Meaning {
  readonly state: Extract<AttemptState, 'failed' | 'lost' | 'killed'>;
  readonly kind: FailureKind;
  readonly what: string;
  /** What to look at. */
  readonly remedy?: string;
}

const NODE_LOG = "see the NodeManager's log";

const lost = (kind: FailureKind, what: string, remedy?: string): Meaning => ({
  state: 'lost',
  kind,
  what,
  ...(remedy !== undefined && { remedy }),
});
const failed = (kind: FailureKind, what: string, remedy?: string): Meaning => ({
  ...lost(kind, what, remedy),
  state: 'failed',
});

/** `ContainerExitStatus.KILLED_BY_APPMASTER`: what we end ourselves. */
export const KILLED_BY_US = -105;
/** `ContainerExitStatus.INVALID`: it has never run. */
const NOT_RUN = -1000;

/** What the program says beyond YARN's own: it was taken back before there was a container, or nobody knows its end. */
export const WITHDRAWN = -2001;
export const UNKNOWN = -2003;

/** `org.apache.hadoop.yarn.api.records.ContainerExitStatus` (3.5.0). */
const STATUSES: ReadonlyMap<number, Meaning> = new Map([
  [-100, lost('engine', 'YARN has given the container up', NODE_LOG)],
  [-101, lost('disk', "too many of the node's disks have failed or are full", NODE_LOG)],
  [-102, lost('capacity', 'YARN has taken the container back for others')],
  [-103, failed('memory', 'the container used more virtual memory than YARN allows it')],
  [-104, failed('memory', 'the container used more memory than it has')],
  [KILLED_BY_US, { state: 'killed', kind: 'operator', what: 'the container was ended by us' }],
  [-106, lost('engine', 'the ResourceManager has ended the container')],
  [-107, lost('engine', 'the container was ended because its application is over')],
  [-108, lost('capacity', 'the NodeManager has ended the container to make room for others')],
  [-109, failed('processor', 'the container has written more logs than YARN allows it')],
  [-2000, lost('engine', 'YARN refuses the request')],
  [-2002, lost('engine', 'the node has not taken the start of the container', NODE_LOG)],
  [UNKNOWN, lost('engine', 'the container has ended and nobody knows how')],
  // Seen of one that was being localised when its NodeManager was killed.
  [-1, lost('engine', 'the NodeManager was restarted before the container began')],
  // `ContainerExecutor.ExitCode.LOST`
  [
    154,
    lost('engine', 'the NodeManager was restarted and no longer knows how the container ended'),
  ],
]);

/** Why what a container needs could not be brought to its node: everything of it is before the attempt. */
const LOCALISATION: readonly (readonly [RegExp, FailureKind, string])[] = [
  [/no space (left|available)|DiskErrorException/i, 'disk', 'the disks of the node are full'],
  [
    /not publicly accessible|AccessControlException|permission denied/i,
    'engine',
    'everybody has to be able to read them and the directories above them: see engines.yarn.cacheDirectory',
  ],
  [
    /changed on src filesystem|FileNotFoundException|does not exist/i,
    'engine',
    'they are put there again for the next attempt',
  ],
  [
    /BlockMissingException|Could not obtain block|ConnectException|SocketTimeout|NoRouteToHost|UnknownHost|StandbyException|SafeMode/i,
    'network',
    'the node could not read them from HDFS',
  ],
];

/** Whether the files that a container needs are perhaps not those that were announced. */
export const isLocalisation = ({ exitStatus, diagnostics }: ContainerEnd): boolean =>
  exitStatus === NOT_RUN && diagnostics !== '';

/** What an end means for the attempt, as far as YARN can know: its runner may have left a word of its own. */
export function newsOf(end: ContainerEnd): AttemptNews {
  const { exitStatus, diagnostics } = end;
  const meaning = exitStatus === NOT_RUN ? notRun(diagnostics) : STATUSES.get(statusOf(end));
  if (!meaning) return withoutWord(end);
  const { state, kind, what, remedy } = refined(meaning, end);
  if (state === 'killed') return { state };
  const said = saidOf(diagnostics);
  const yarn = said === '' ? '' : ` (YARN: ${said})`;
  const advice = remedy === undefined ? '' : `; ${remedy}`;
  return { state, result: { failure: { kind, message: `${what}${yarn}${advice}` } } };
}

/**
 * A NodeManager that ends a container tells the exit code all the same where the program was fast enough to have one
 * (`ContainerImpl`, CONTAINER_EXITED_WITH_FAILURE in KILLING; seen on 3.5.0): why it did is in its words only.
 */
function statusOf({ exitStatus, diagnostics }: ContainerEnd): number {
  if (exitStatus <= 0) return exitStatus;
  const [, kind] = OVER_MEMORY.exec(diagnostics.slice(0, 4096)) ?? [];
  return kind === undefined ? exitStatus : kind === 'PHYSICAL' ? -104 : -103;
}

const OVER_MEMORY = /is running \d+B beyond the '(PHYSICAL|VIRTUAL)' memory limit/;

function refined(meaning: Meaning, { exitStatus, diagnostics }: ContainerEnd): Meaning {
  if (exitStatus !== -100) return meaning;
  if (/lost.{0,3} node/i.test(diagnostics)) return lost('engine', 'the node was lost');
  if (/unhealthy|unusable/i.test(diagnostics)) {
    return lost('engine', 'the node has become unusable');
  }
  return meaning;
}

function notRun(diagnostics: string): Meaning {
  const [, kind, why] = LOCALISATION.find(([words]) => words.test(diagnostics)) ?? [];
  if (kind === undefined) return lost('engine', 'the container has never begun', NODE_LOG);
  return lost(kind, 'the files of the attempt could not be brought to the node', why);
}

/** The runner has ended, and nobody knows how the attempt went: that is no verdict on the program. */
function withoutWord({ exitStatus, diagnostics }: ContainerEnd): AttemptNews {
  const hint = HINTS.get(exitStatus);
  const how = `ended with exit code ${exitStatus}${hint === undefined ? '' : ` (${hint})`}`;
  const said = wordsOf(diagnostics);
  const words = said === '' ? '' : `: ${said}`;
  const message = `the runner ${how} without saying how the attempt went${words}; see stderr in the container's log directory`;
  const result = { exitCode: exitStatus, failure: { kind: 'engine', message } as const };
  return { state: 'lost', result };
}

/** What shells say where they could not even start a program (POSIX.1-2017, 2.8.2), or a signal ended it. */
const HINTS: ReadonlyMap<number, string> = new Map([
  [126, 'its Node cannot be run on the node: another architecture, or not executable'],
  [127, 'its Node, or a library that it needs, is not on the node: see engines.yarn.node'],
  [137, "SIGKILL: often the machine has no memory left: see its kernel's log"],
  [143, 'SIGTERM'],
]);

/** What counts of a container killed for its memory; the rest is its process tree. */
const MEMORY = /Current usage:[^.]*(?:\.\d[^.]*)*/;
/** Which file could not be brought to a node, and why, among what only YARN understands. */
const DOWNLOAD =
  /Failed to download resource \{ \{ ([^\s,]+),.*?(?:DOWNLOADING|FAILED|LOCALIZED)\} ?(.*)/;
/** When, which is known. */
const TIME = /^\[\d{4}-[\d :.-]+\]/;
/** What YARN puts around what a container has said last. */
const LAST_WORDS = /Last \d+ bytes of [^\n]*:\n([\s\S]*)/;
const SAID_LENGTH = 300;

function saidOf(diagnostics: string): string {
  const memory = MEMORY.exec(diagnostics.slice(0, 4096));
  if (memory) return excerpt(memory[0], SAID_LENGTH);
  const first = firstOf(diagnostics);
  const [, file, why] = DOWNLOAD.exec(first) ?? [];
  return excerpt(file === undefined ? first : `${file}: ${why}`, SAID_LENGTH);
}

/** Without the stack traces of Java. */
const firstOf = (diagnostics: string): string =>
  diagnostics
    .slice(0, 8192)
    .split('\n')
    .map((line) => line.trim().replace(TIME, ''))
    .filter((line) => line !== '' && !/^at [\w$.]+\(|^\.\.\. \d+ more/.test(line))
    .slice(0, 3)
    .join(' ');

/** The last thing that the runner itself has said on stderr. */
function wordsOf(diagnostics: string): string {
  const [, tail = ''] = LAST_WORDS.exec(diagnostics) ?? [];
  const line = tail.split('\n').findLast((each) => each.trim() !== '');
  return line === undefined ? saidOf(diagnostics) : excerpt(line, SAID_LENGTH);
}
