import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { Recent } from '../../core/recent.ts';
import type { Assignment } from '../../runner/assignment.ts';
import type { NodeFiles } from '../node-files.ts';
import type { MesosOptions } from './mesos.ts';
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

/** Describes attempts as tasks and lays out for them what they fetch, or find on the shared file system. */
export function createTasks({ files, runner, settings }: TasksOptions): MesosOptions['taskOf'] {
  const known = new Recent<string, true>(KNOWN);

  /** By it an agent knows that the file system that it sees is the shared one. */
  async function makeResults(directory: string): Promise<void> {
    if (known.get(directory)) return;
    await mkdir(directory, { recursive: true });
    known.set(directory, true);
  }

  return async (assignment, agentId, resources) => {
    await makeResults(dirname(assignment.directories.result));
    const text = JSON.stringify(agentAssignment(assignment, settings));
    const assignmentFile = fitsEnvironment(text) ? undefined : await writeAside(assignment, text);
    return taskInfo({
      assignment,
      agentId,
      resources,
      settings,
      bundleUrl: await files.publish(assignment.bundle.archive, { name: 'bundle.zip' }),
      files: {
        runner: await files.publish(runner, { name: 'runner.cjs' }),
        ...(settings.nodePath === undefined && {
          node: await files.publish(process.execPath, { name: 'node' }),
        }),
      },
      ...(assignmentFile !== undefined && { assignmentFile }),
    });
  };
}

/** What is too large for an environment lies beside the attempt's log. */
async function writeAside({ directories }: Assignment, text: string): Promise<string> {
  const file = `${directories.log}.assignment.json`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
  return file;
}
