import type { AttemptState, FailureKind } from '../../core/model.ts';
import type { AttemptNews } from '../engine.ts';
import type { TaskStatus } from './protocol.ts';

export type News =
  /** `unknown`: a word for a state that this table does not have. */
  | { readonly kind: 'none'; readonly unknown?: string }
  | { readonly kind: 'running' }
  /** Its agent is out of reach; it may run on there, and may come back. */
  | { readonly kind: 'unreachable' }
  | {
      readonly kind: 'ended';
      readonly news: AttemptNews;
      /**
       * Whether Mesos knows of the end, rather than nothing of the task: asked for one that ended long ago or has not
       * arrived yet, it says that it is gone.
       */
      readonly isKnown: boolean;
    };

interface Meaning {
  readonly state: Extract<AttemptState, 'failed' | 'lost' | 'killed'>;
  readonly kind: FailureKind;
  readonly what: string;
  /** What to look at. */
  readonly remedy?: string;
}

const AGENT_LOG = "see the agent's log";
const SANDBOX = "see stderr in the task's sandbox";

const failed = (kind: FailureKind, what: string): Meaning => ({ state: 'failed', kind, what });
const lost = (what: string, remedy?: string): Meaning => ({
  state: 'lost',
  kind: 'engine',
  what,
  ...(remedy !== undefined && { remedy }),
});
/** Asked for again, there will be room in the end. */
const withoutRoom = (what: string): Meaning => ({ state: 'lost', kind: 'capacity', what });
const unwanted = (what: string): Meaning => ({ state: 'lost', kind: 'operator', what });
const KILLED: Meaning = { state: 'killed', kind: 'operator', what: 'the task was killed' };

/** Where the reason says no more (`TaskState` in mesos.proto). */
const STATES: ReadonlyMap<string, Meaning> = new Map([
  ['TASK_FAILED', lost('the task failed', SANDBOX)],
  ['TASK_KILLED', KILLED],
  ['TASK_ERROR', lost('Mesos refused the task')],
  ['TASK_DROPPED', lost('the task was dropped before it began')],
  ['TASK_LOST', lost('the task was lost with its agent')],
  ['TASK_GONE', lost('the task is no longer on its agent', AGENT_LOG)],
  ['TASK_GONE_BY_OPERATOR', unwanted('an operator has given up the agent')],
  ['TASK_UNKNOWN', lost('the master knows neither the task nor its agent')],
]);

/** `TaskStatus.Reason` in mesos.proto; task-state-reasons.md tells when each is given. */
const REASONS: ReadonlyMap<string, Meaning> = new Map([
  [
    'REASON_CONTAINER_LIMITATION_MEMORY',
    failed('memory', 'the container used more memory than it has'),
  ],
  ['REASON_CONTAINER_LIMITATION_DISK', failed('disk', 'the container used more disk than it has')],
  ['REASON_CONTAINER_LIMITATION', failed('processor', 'the container used what it does not have')],
  ['REASON_MAX_COMPLETION_TIME_REACHED', failed('time', 'Mesos ended the task: it took too long')],
  ['REASON_CONTAINER_LAUNCH_FAILED', lost('the container could not be started', AGENT_LOG)],
  ['REASON_CONTAINER_UPDATE_FAILED', lost('the container could not be updated', AGENT_LOG)],
  ['REASON_CONTAINER_PREEMPTED', withoutRoom('the agent took the container back for others')],
  ['REASON_EXECUTOR_PREEMPTED', withoutRoom('the agent took the container back for others')],
  ['REASON_EXECUTOR_TERMINATED', lost('the executor died', `${AGENT_LOG} and its kernel's`)],
  ['REASON_EXECUTOR_UNREGISTERED', lost('the executor was not there', AGENT_LOG)],
  ['REASON_EXECUTOR_REGISTRATION_TIMEOUT', lost('the executor did not start in time', AGENT_LOG)],
  [
    'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
    lost('the executor did not come back to its agent in time', AGENT_LOG),
  ],
  ['REASON_COMMAND_EXECUTOR_FAILED', lost('the executor failed', SANDBOX)],
  ['REASON_IO_SWITCHBOARD_EXITED', lost('the container lost its output', AGENT_LOG)],
  ['REASON_AGENT_DISCONNECTED', lost('the agent was cut off from the master')],
  ['REASON_AGENT_REMOVED', lost('the agent has left the cluster')],
  ['REASON_AGENT_RESTARTED', lost('the agent was being restarted')],
  ['REASON_AGENT_UNKNOWN', lost('the master does not know the agent')],
  ['REASON_MASTER_DISCONNECTED', lost('the master was out of reach')],
  ['REASON_AGENT_DRAINING', unwanted('the agent is being drained by an operator')],
  ['REASON_AGENT_REMOVED_BY_OPERATOR', unwanted('an operator has given up the agent')],
  [
    'REASON_FRAMEWORK_REMOVED',
    unwanted('the framework was removed: torn down, or not subscribed for too long'),
  ],
  ['REASON_TASK_KILLED_DURING_LAUNCH', KILLED],
  ['REASON_TASK_INVALID', lost('Mesos refused the task')],
  ['REASON_TASK_GROUP_INVALID', lost('Mesos refused the task')],
  ['REASON_TASK_UNAUTHORIZED', lost('Mesos does not allow the task', "see the master's ACLs")],
  [
    'REASON_TASK_GROUP_UNAUTHORIZED',
    lost('Mesos does not allow the task', "see the master's ACLs"),
  ],
  ['REASON_TASK_UNKNOWN', lost('Mesos does not know the task')],
  ['REASON_INVALID_OFFERS', withoutRoom('the offers were no longer valid')],
  ['REASON_INVALID_FRAMEWORKID', lost('the agent does not know the framework')],
  ['REASON_RESOURCES_UNKNOWN', withoutRoom('the agent no longer has the resources')],
  ['REASON_GC_ERROR', lost("the agent could not keep the task's directory", AGENT_LOG)],
]);

/** The fetcher runs before the task does, so all that it says is about the way to the files. */
const FETCH_FAILED: Meaning = {
  state: 'lost',
  kind: 'network',
  what: 'the agent could not fetch the files of the task',
  remedy: `${SANDBOX} or the agent's log, and whether the agent reaches the addresses`,
};

const NONE: News = { kind: 'none' };
const RUNNING: News = { kind: 'running' };
const UNREACHABLE: News = { kind: 'unreachable' };

/** What a status means for the attempt, as far as Mesos can know: its runner may have left a word of its own. */
export function newsOf(status: TaskStatus): News {
  const { state, reason } = status;
  switch (state) {
    case 'TASK_STAGING':
    case 'TASK_STARTING':
    case 'TASK_KILLING':
      return NONE;
    case 'TASK_RUNNING':
      return RUNNING;
    case 'TASK_UNREACHABLE':
      return UNREACHABLE;
    case 'TASK_FINISHED':
      return ended(withoutWord(status), true);
    default: {
      const byState = STATES.get(state);
      if (!byState) return { kind: 'none', unknown: state };
      const isAbsent = reason === 'REASON_RECONCILIATION' && ABSENT.has(state);
      return ended(endOf(status, byState), state !== 'TASK_UNKNOWN' && !isAbsent);
    }
  }
}

/** What the master answers of tasks that it has no record of. */
const ABSENT: ReadonlySet<string> = new Set(['TASK_GONE', 'TASK_GONE_BY_OPERATOR', 'TASK_LOST']);

const ended = (news: AttemptNews, isKnown: boolean): News => ({ kind: 'ended', news, isKnown });

function endOf(status: TaskStatus, byState: Meaning): AttemptNews {
  const { state: word, reason = '', message = '' } = status;
  const isExit = word === 'TASK_FAILED' && !REASONS.has(reason);
  if (isExit && exitOf(message).how !== undefined) return withoutWord(status);
  const isFetch = reason === 'REASON_CONTAINER_LAUNCH_FAILED' && /fetch/i.test(message);
  const meaning = isFetch ? FETCH_FAILED : (REASONS.get(reason) ?? byState);
  const { state, kind, what, remedy } = meaning;
  if (state === 'killed') return { state };
  const { how: _, ...exit } = exitOf(message);
  const says = [excerpt(message), REASONS.has(reason) ? '' : reason].filter((text) => text !== '');
  const mesos = says.length > 0 ? ` (Mesos: ${says.join(', ')})` : '';
  const advice = remedy === undefined ? '' : `; ${remedy}`;
  return { state, result: { ...exit, failure: { kind, message: `${what}${mesos}${advice}` } } };
}

/** The runner has ended, and nobody knows how the attempt went: that is no verdict on the program. */
function withoutWord({ message = '' }: TaskStatus): AttemptNews {
  const { how = 'ended', ...exit } = exitOf(message);
  const advice = `${SANDBOX}, and whether the agent has the shared file system`;
  const text = `the runner ${how} without saying how the attempt went; ${advice}`;
  return { state: 'lost', result: { ...exit, failure: { kind: 'engine', message: text } } };
}

interface Exit {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly how?: string;
}

/** How the command ended, from the only place where the command executor says it (recorded; `WSTRINGIFY`). */
function exitOf(message: string): Exit {
  const code = /^Command exited with status (\d{1,3})$/.exec(message)?.[1];
  if (code !== undefined) {
    const exitCode = Number(code);
    const hint = HINTS.get(exitCode);
    const how = `ended with exit code ${exitCode}${hint === undefined ? '' : ` (${hint})`}`;
    return { exitCode, how };
  }
  const words = /^Command terminated with signal (.{1,40}?)(?: \(core dumped\))?$/.exec(message);
  if (!words) return {};
  const signal = SIGNALS.get(words[1]!);
  const hint = signal === 'SIGKILL' ? ` (${NO_MEMORY})` : '';
  return {
    ...(signal !== undefined && { signal }),
    how: `was ended by ${signal ?? words[1]}${hint}`,
  };
}

const NO_MEMORY = "often the machine has no memory left: see its kernel's log";

/** What shells say where they could not even start a program (POSIX.1-2017, 2.8.2), or a signal ended it. */
const HINTS: ReadonlyMap<number, string> = new Map([
  [126, 'its Node cannot be run on the agent: another architecture, or not executable'],
  [127, 'its Node, or a library that it needs, is not on the agent'],
  [137, NO_MEMORY],
]);

/** Signals that end a process, by the words of `strsignal` in the GNU C library. */
const SIGNALS: ReadonlyMap<string, string> = new Map([
  ['Hangup', 'SIGHUP'],
  ['Interrupt', 'SIGINT'],
  ['Quit', 'SIGQUIT'],
  ['Illegal instruction', 'SIGILL'],
  ['Trace/breakpoint trap', 'SIGTRAP'],
  ['Aborted', 'SIGABRT'],
  ['Bus error', 'SIGBUS'],
  ['Floating point exception', 'SIGFPE'],
  ['Killed', 'SIGKILL'],
  ['User defined signal 1', 'SIGUSR1'],
  ['Segmentation fault', 'SIGSEGV'],
  ['User defined signal 2', 'SIGUSR2'],
  ['Broken pipe', 'SIGPIPE'],
  ['Alarm clock', 'SIGALRM'],
  ['Terminated', 'SIGTERM'],
  ['Stack fault', 'SIGSTKFLT'],
  ['CPU time limit exceeded', 'SIGXCPU'],
  ['File size limit exceeded', 'SIGXFSZ'],
  ['Virtual timer expired', 'SIGVTALRM'],
  ['Profiling timer expired', 'SIGPROF'],
  ['I/O possible', 'SIGIO'],
  ['Power failure', 'SIGPWR'],
  ['Bad system call', 'SIGSYS'],
]);

const EXCERPT_LENGTH = 300;

/** The first line: statistics may follow (memory). */
function excerpt(message: string): string {
  const line = message
    .slice(0, 4 * EXCERPT_LENGTH)
    .split('\n', 1)[0]!
    .trim();
  return line.length > EXCERPT_LENGTH ? `${line.slice(0, EXCERPT_LENGTH)}…` : line;
}
