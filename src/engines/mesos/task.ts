/**
 * An attempt as a task of Mesos (`TaskInfo`, `CommandInfo` and `ContainerInfo` in mesos.proto), run by the command
 * executor. All that comes from a request travels in the assignment: nothing of it is ever part of a shell's text.
 */
import { parseAttemptId } from '../../core/ids.ts';
import type { Assignment } from '../../runner/assignment.ts';
import { ASSIGNMENT_FILE_VARIABLE, ASSIGNMENT_VARIABLE } from '../../runner/hand-over.ts';
import { keptNode } from '../../runner/node-cache.ts';
import { isUrl, parseUrl } from '../../storage/location.ts';
import type { MesosResource } from './protocol.ts';

export interface TaskSettings {
  /** Node on all agents, or in all images; where absent it is fetched into each sandbox. */
  readonly nodePath?: string;
  /** Of unpacked bundles and of Node on each agent; has to be the tasks' own (mode 0700), is made where absent. */
  readonly cacheDirectory: string;
  /** Whom tasks run as; the framework's user where absent. */
  readonly user?: string;
  /** Between TERM and KILL. A runner needs up to 4 s to end its programs, and more to say so on a slow file system. */
  readonly killGraceSeconds: number;
  /** Which of Mesos's containerizers makes containers of images. */
  readonly containerizer: 'mesos' | 'docker';
  /** Whether agents keep inputs that they have fetched. Right only where nothing ever changes under its URL. */
  readonly cacheInputs: boolean;
  readonly isolation: Assignment['isolation'];
  /** Absolute paths that are the same on the service's machine and on all agents; containers of images see them too. */
  readonly sharedDirectories: readonly string[];
}

export interface TaskOptions {
  readonly assignment: Assignment;
  readonly agentId: string;
  /** Of its offers. */
  readonly resources: readonly MesosResource[];
  /** URLs of the runner's program and of Node, which is needed unless the settings have its path. */
  readonly files: { readonly runner: string; readonly node?: string };
  readonly bundleUrl: string;
  readonly settings: TaskSettings;
  /** Whether the agent has Node and the bundle in its cache. */
  readonly isKept?: boolean;
  /** Where the assignment lies on the shared file system, because the environment has no room for it. */
  readonly assignmentFile?: string;
}

export type TaskInfo = Readonly<Record<string, unknown>>;

interface Uri {
  readonly value: string;
  readonly cache: boolean;
  readonly extract: false;
  readonly executable?: true;
  readonly output_file: string;
}

/** Names in the sandbox. */
const NODE = 'node';
const RUNNER = 'runner.cjs';
const BUNDLE = 'bundle.zip';
/** A directory, so that an input can have any name. */
const INPUT = 'input';

/**
 * A runner is small and lives as long as its programs. (`--single-threaded` would make it load its own modules twice
 * as slowly: V8 takes nothing that was compiled with other flags.)
 */
const NODE_OPTIONS = ['--max-semi-space-size=1'];

/**
 * Beyond the limit of the attempt's programs, which the runner watches over and says in words: unpacking a bundle comes
 * before it, copying outputs to the shared file system after it.
 */
const COMPLETION_MARGIN = 900;

/**
 * Linux takes 128 KiB in one argument, and the command executor hands its launcher everything in one, this variable
 * twice and in JSON once more (`launchTaskSubprocess` in src/launcher/executor.cpp).
 */
const LARGEST_IN_ENVIRONMENT = 48 * 1024;

/** @throws Error where Mesos could not take it, or the assignment needs a file */
export function taskInfo(options: TaskOptions): TaskInfo {
  const { assignment, agentId, resources, settings } = options;
  const { attemptId, bundle, step, limits, image } = assignment;
  checkId(attemptId);
  const ids = parseAttemptId(attemptId);
  const label = (key: string, value: string | number) => ({ key, value: String(value) });
  return {
    name: `${bundle.name}-${bundle.version} ${step}`,
    task_id: { value: attemptId },
    agent_id: { value: agentId },
    resources,
    command: commandOf(options),
    ...(image !== undefined && { container: containerOf(image, settings) }),
    kill_policy: { grace_period: duration(settings.killGraceSeconds) },
    max_completion_time: duration(limits.wallTime + COMPLETION_MARGIN),
    labels: {
      labels: ids ? [label('pushbroom.job', ids.jobId), label('pushbroom.task', ids.task)] : [],
    },
  };
}

/** What Mesos takes for an id (`validateID` in src/common/validation.cpp), which becomes the name of a directory. */
function checkId(id: string): void {
  if (isFileName(id)) return;
  throw new Error(`Mesos takes no task of the id ${JSON.stringify(id.slice(0, 300))}`);
}

const isFileName = (name: string): boolean =>
  // eslint-disable-next-line no-control-regex
  !/^$|^\.\.?$|[\u0000-\u001f\u007f/\\]/.test(name) && Buffer.byteLength(name) <= 255;

const duration = (seconds: number) => ({
  nanoseconds: Math.min(Math.round(seconds * 1e9), Number.MAX_SAFE_INTEGER),
});

function commandOf(options: TaskOptions): object {
  const { assignment, settings, isKept, assignmentFile } = options;
  const node = settings.nodePath ?? (isKept ? keptNode(settings.cacheDirectory) : `./${NODE}`);
  const text = JSON.stringify(agentAssignment(assignment, settings));
  if (assignmentFile === undefined && !fitsEnvironment(text)) {
    throw new Error(
      `the assignment of ${assignment.attemptId} is too large for an environment: it needs a file`,
    );
  }
  const variable =
    assignmentFile === undefined
      ? { name: ASSIGNMENT_VARIABLE, value: text }
      : { name: ASSIGNMENT_FILE_VARIABLE, value: assignmentFile };
  return {
    // In a container, the working directory is the image's, and $MESOS_SANDBOX is what the sandbox is there
    // (executor-http-api.md). Otherwise it is the sandbox (sandbox.md).
    ...(assignment.image === undefined
      ? { shell: false, value: node, arguments: [NODE, ...NODE_OPTIONS, RUNNER] }
      : {
          shell: true,
          value: `cd "$MESOS_SANDBOX" && exec ${quote(node)} ${NODE_OPTIONS.join(' ')} ${RUNNER}`,
        }),
    uris: urisOf(options),
    environment: { variables: [variable] },
    ...(settings.user !== undefined && { user: settings.user }),
  };
}

const quote = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** Everything of ours has a name that changes with its content, because a cached URI is never fetched again. */
function urisOf({ assignment, files, bundleUrl, settings, isKept }: TaskOptions): Uri[] {
  const uri = (value: string, name: string, cache = true): Uri => ({
    value,
    cache,
    extract: false,
    output_file: name,
  });
  const uris: Uri[] = [];
  if (settings.nodePath === undefined && !isKept) {
    if (files.node === undefined) throw new Error('agents need Node, by its URL or by its path');
    uris.push({ ...uri(files.node, NODE), executable: true });
  }
  // Mesos could extract the bundle too, but each time, without looking at its hash, its size or where its paths lead.
  uris.push(uri(files.runner, RUNNER));
  if (!isKept) uris.push(uri(bundleUrl, BUNDLE));
  const name = fetchedName(assignment);
  if (name !== undefined) {
    uris.push(uri(escaped(assignment.input), `${INPUT}/${name}`, settings.cacheInputs));
  }
  return uris;
}

/** What the agent's runner is given: what is the attempt's own lies in its sandbox. */
export function agentAssignment(
  assignment: Assignment,
  { cacheDirectory, isolation }: Pick<TaskSettings, 'cacheDirectory' | 'isolation'>,
): Assignment {
  const { bundle, input, directories, image } = assignment;
  const name = fetchedName(assignment);
  const isContained = image !== undefined;
  return {
    ...assignment,
    bundle: { ...bundle, archive: `./${BUNDLE}` },
    input: name === undefined ? input : `./${INPUT}/${name}`,
    directories: {
      ...directories,
      // Nothing of the agent's own disk is in a container.
      cache: isContained ? './cache' : cacheDirectory,
      scratch: './scratch',
      // Is on the same file system as the result, where that is on one.
      ...(!isUrl(directories.result) && { collected: directories.scratch }),
    },
    // An image has no bubblewrap, and is a container of its own.
    isolation: isContained ? 'none' : isolation,
  };
}

/** @param text the assignment for the agent, as JSON */
export const fitsEnvironment = (text: string): boolean =>
  Buffer.byteLength(JSON.stringify(text)) <= LARGEST_IN_ENVIRONMENT;

const isNet = (url: string): boolean => /^(?:https?|ftps?):/i.test(url);

/**
 * The file name of an input that Mesos fetches: any that is a URL (natively HTTP, HTTPS, FTP, FTPS and files, others by
 * the agent's Hadoop client; fetcher.md). A bundle that prepares its inputs is given the URL itself. From storages of the
 * configuration, whose names only we know, the runner brings it.
 */
function fetchedName({ input, executables, storages }: Assignment): string | undefined {
  if (storages?.some(({ name }) => name === parseUrl(input)?.name)) return undefined;
  const [, , path] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(input) ?? [];
  if (path === undefined || executables.prepare !== undefined) return undefined;
  const last = (isNet(input) ? path.replace(/[?#].*$/s, '') : path).split('/').slice(1).at(-1);
  const name = isNet(input) ? decoded(last ?? '') : (last ?? '');
  return isFileName(name) ? name : 'product';
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The fetcher refuses quotation marks (`Fetcher::basename`) and leaves all other escaping to us. */
const escaped = (url: string): string =>
  isNet(url) ? (URL.parse(url)?.href ?? url).replaceAll("'", '%27') : url;

/** Volumes lie at the same paths, because the assignment names them. */
function containerOf(image: string, { containerizer, sharedDirectories }: TaskSettings): object {
  const volumes = sharedDirectories.map((path) => ({
    mode: 'RW',
    container_path: path,
    host_path: path,
  }));
  return containerizer === 'docker'
    ? { type: 'DOCKER', docker: { image, network: 'HOST', force_pull_image: false }, volumes }
    : {
        type: 'MESOS',
        mesos: { image: { type: 'DOCKER', docker: { name: image } } },
        volumes,
      };
}
