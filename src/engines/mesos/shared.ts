import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Assignment } from '../../runner/assignment.ts';
import { agentAssignment, fitsEnvironment } from './task.ts';
import type { TaskSettings } from './task.ts';

/**
 * Makes ready on the shared file system what an attempt needs before it is launched: the directory of its task's
 * result, without which a runner takes the file system for not mounted, and the assignment where it is too large to be
 * handed over otherwise.
 *
 * @returns the assignment's file, if it needs one; for `taskInfo`
 */
export async function makeReady(
  assignment: Assignment,
  settings: Pick<TaskSettings, 'cacheDirectory' | 'isolation'>,
): Promise<string | undefined> {
  const { result, scratch } = assignment.directories;
  await mkdir(dirname(result), { recursive: true });
  const text = JSON.stringify(agentAssignment(assignment, settings));
  if (fitsEnvironment(text)) return undefined;
  const file = `${scratch}.json`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: 0o640, flush: true });
  return file;
}
