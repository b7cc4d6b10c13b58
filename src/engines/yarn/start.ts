/**
 * How a container of an attempt is started. YARN pastes commands into `bash -c "…"` and values of the environment into
 * `export X="…"` of a script (`ContainerLaunch.ShellScriptBuilder`): everything of ours has fixed words only, and what
 * comes from a request travels as base64.
 */
import { gzipSync } from 'node:zlib';

import type { Assignment } from '../../runner/assignment.ts';
import {
  ASSIGNMENT_FILE_VARIABLE,
  ASSIGNMENT_GZIP_VARIABLE,
  LOG_DIRECTORY_VARIABLE,
} from '../../runner/hand-over.ts';
import type { ContainerStart, LocalResource } from './protocol.ts';

export interface StartOptions {
  /** Node on all nodes; where absent it is among the resources. */
  readonly nodePath?: string;
  /** Runner, perhaps Node, and the bundle, under their names of `NAMES`. */
  readonly resources: readonly LocalResource[];
}

/** Names in a container's working directory. */
export const NAMES = {
  node: 'node',
  runner: 'runner.cjs',
  bundle: 'bundle',
  assignment: 'assignment.json',
} as const;

/** As on agents of Mesos: a runner is small and lives as long as its programs. */
const NODE_OPTIONS = '--max-semi-space-size=1';

/** Bytes of base64; Linux takes 128 KiB in one variable. */
const LARGEST_IN_ENVIRONMENT = 60 * 1024;

/** In double quotes, and in a shell, these stand for themselves. */
const PLAIN_PATH = /^\/[\w./+@:,-]*$/;

/** @throws Error for a path that a shell could take for something else */
export function checkNodePath(path: string): void {
  if (PLAIN_PATH.test(path)) return;
  throw new Error(
    `engines.yarn.node is ${JSON.stringify(path)}: only letters, digits and _ . / + @ : , - are possible there`,
  );
}

/** The assignment as it is in a container: everything of its own lies in the working directory. */
export function containerAssignment(
  assignment: Assignment,
  isolation: Assignment['isolation'],
): Assignment {
  const { collected: _, ...directories } = assignment.directories;
  return {
    ...assignment,
    bundle: { ...assignment.bundle, archive: `./${NAMES.bundle}`, unpacked: `./${NAMES.bundle}` },
    directories: { ...directories, cache: './cache', scratch: './scratch' },
    isolation,
  };
}

/** @returns undefined for one that is too large for an environment: it needs a file */
export function packed(assignment: Assignment): string | undefined {
  const text = gzipSync(JSON.stringify(assignment)).toString('base64');
  return text.length <= LARGEST_IN_ENVIRONMENT ? text : undefined;
}

/** @param assignment packed, or the resource that it is */
export function startOf(
  assignment: string | LocalResource,
  { nodePath, resources }: StartOptions,
): ContainerStart {
  const isFile = typeof assignment !== 'string';
  const node = nodePath ?? `./${NAMES.node}`;
  return {
    // YARN tells the end of what is called stderr with a container's end.
    commands: [
      `exec ${node} ${NODE_OPTIONS} ${NAMES.runner} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr`,
    ],
    environment: {
      ...(isFile
        ? { [ASSIGNMENT_FILE_VARIABLE]: `./${NAMES.assignment}` }
        : { [ASSIGNMENT_GZIP_VARIABLE]: assignment }),
      [LOG_DIRECTORY_VARIABLE]: '<LOG_DIR>',
    },
    resources: isFile ? [...resources, assignment] : resources,
  };
}
