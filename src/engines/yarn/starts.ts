import type { Logger } from 'pino';

import type { AttemptId } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { Assignment } from '../../runner/assignment.ts';
import { joinLocation } from '../../storage/location.ts';
import type { Storages } from '../../storage/storage.ts';
import type { ContainerStart, LocalResource } from './protocol.ts';
import type { Publisher } from './publisher.ts';
import { NAMES, checkNodePath, containerAssignment, packed, startOf } from './start.ts';

export interface StartsOptions {
  readonly publisher: Publisher;
  readonly storages: Storages;
  /** URL of the directory of files for nodes. */
  readonly cache: string;
  /** The runner's program. */
  readonly runner: string;
  /** Node on all nodes; where absent this service's own is brought to them. */
  readonly nodePath?: string;
  readonly isolation: Assignment['isolation'];
  readonly logger: Logger;
}

/** Makes attempts ready to be started, with everything that a node needs for them on HDFS. */
export interface Starts {
  prepare(assignment: Assignment): Promise<ContainerStart>;
  /** The attempt has ended: what was laid out for it alone goes. */
  ended(attemptId: AttemptId): void;
  /** A node has not found what was announced. */
  forget(): void;
}

export function createStarts(options: StartsOptions): Starts {
  const { publisher, storages, cache, runner, nodePath, isolation, logger } = options;
  if (nodePath !== undefined) checkNodePath(nodePath);
  /** Files of one attempt alone. */
  const own = new Map<AttemptId, string>();

  /** What is too large for an environment. */
  async function asFile(assignment: Assignment): Promise<LocalResource> {
    const { attemptId } = assignment;
    const location = joinLocation(cache, 'assignments', `${attemptId}.json`);
    own.set(attemptId, location);
    await storages.of(location).write(location, Buffer.from(JSON.stringify(assignment)));
    const as = { name: NAMES.assignment, type: 'FILE', visibility: 'APPLICATION' } as const;
    const made = await publisher.describe(location, as);
    if (made) return made;
    throw new PushbroomError('UNAVAILABLE', `${location} was written and is not there`);
  }

  return {
    async prepare(wanted) {
      const resources = await Promise.all([
        publisher.file(runner, NAMES.runner),
        publisher.bundle(wanted.bundle, NAMES.bundle),
        ...(nodePath === undefined ? [publisher.file(process.execPath, NAMES.node)] : []),
      ]);
      const assignment = containerAssignment(wanted, isolation);
      return startOf(packed(assignment) ?? (await asFile(assignment)), {
        resources,
        ...(nodePath !== undefined && { nodePath }),
      });
    },
    ended(attemptId) {
      const location = own.get(attemptId);
      if (location === undefined) return;
      own.delete(attemptId);
      storages
        .of(location)
        .remove(location)
        .catch((error: unknown) => logger.warn({ err: error }, `${location} stays`));
    },
    forget: () => publisher.forget(),
  };
}
