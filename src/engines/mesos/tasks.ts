import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { AttemptId } from '../../core/model.ts';
import { Recent } from '../../core/recent.ts';
import type { Assignment } from '../../runner/assignment.ts';
import { isUrl } from '../../storage/location.ts';
import type { NodeFiles } from '../node-files.ts';
import type { MesosResource } from './protocol.ts';
import { agentAssignment, fitsEnvironment, taskInfo } from './task.ts';
import type { TaskSettings } from './task.ts';

export interface TasksOptions {
  readonly files: Pick<NodeFiles, 'publish'>;
  /** The runner's program. */
  readonly runner: string;
  readonly settings: TaskSettings;
}

/** Jobs whose results' directory is known to be there. */
const KNOWN = 1_000;
/** Attempts whose bundles are remembered until they end. */
const REMEMBERED = 20_000;

export interface Tasks {
  /** Mesos's description of an attempt as a task (TaskInfo). */
  describe(
    assignment: Assignment,
    agentId: string,
    resources: readonly MesosResource[],
  ): Promise<object>;
  /** Whether an attempt has left on its agent what it had to fetch. */
  learn(attemptId: AttemptId, agentId: string, isKept: boolean): void;
}

/**
 * Describes attempts as tasks and lays out for them what they fetch, or find on the shared file system. From where an
 * attempt has kept Node and its bundle, the next takes them, instead of a copy of its own for each.
 */
export function createTasks({ files, runner, settings }: TasksOptions): Tasks {
  const known = new Recent<string, true>(KNOWN);
  const bundles = new Recent<AttemptId, string>(REMEMBERED);
  /** By agent the bundles that it keeps. A guess: where it is wrong, an attempt is lost and the guess with it. */
  const kept = new Map<string, Set<string>>();

  /** By it an agent knows that the file system that it sees is the shared one. */
  async function makeShared(directory: string): Promise<void> {
    if (known.get(directory)) return;
    await mkdir(directory, { recursive: true });
    known.set(directory, true);
  }

  async function describe(
    assignment: Assignment,
    agentId: string,
    resources: readonly MesosResource[],
  ): Promise<object> {
    const { result, log } = assignment.directories;
    await makeShared(dirname(isUrl(result) ? log : result));
    const { hash, archive } = assignment.bundle;
    bundles.set(assignment.attemptId, hash);
    const text = JSON.stringify(agentAssignment(assignment, settings));
    const assignmentFile = fitsEnvironment(text) ? undefined : await writeAside(assignment, text);
    return taskInfo({
      assignment,
      agentId,
      resources,
      settings,
      isKept: assignment.image === undefined && (kept.get(agentId)?.has(hash) ?? false),
      bundleUrl: await files.publish(archive, { name: 'bundle.zip' }),
      files: {
        runner: await files.publish(runner, { name: 'runner.cjs' }),
        ...(settings.nodePath === undefined && {
          node: await files.publish(process.execPath, { name: 'node' }),
        }),
      },
      ...(assignmentFile !== undefined && { assignmentFile }),
    });
  }

  function learn(attemptId: AttemptId, agentId: string, isKept: boolean): void {
    const hash = bundles.get(attemptId);
    if (!isKept || hash === undefined) return void kept.delete(agentId);
    const there = kept.get(agentId);
    if (there) there.add(hash);
    else kept.set(agentId, new Set([hash]));
  }

  return { describe, learn };
}

/** What is too large for an environment lies beside the attempt's log. */
async function writeAside({ directories }: Assignment, text: string): Promise<string> {
  const file = `${directories.log}.assignment.json`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
  return file;
}
