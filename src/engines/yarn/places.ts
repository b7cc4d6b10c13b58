import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Logger } from 'pino';

import type { AttemptId } from '../../core/model.ts';
import { Recent } from '../../core/recent.ts';
import { isObject } from './json.ts';

/** Where an attempt runs or ran: what one needs to find its log. */
export interface Place {
  readonly applicationId: string;
  readonly container: string;
  /** `host:port` of the NodeManager. */
  readonly node: string;
  readonly nodeHttp: string;
}

/** Prefix of the files that the service keeps of an attempt's log. */
type LogOf = (attemptId: AttemptId) => string;

const REMEMBERED = 10_000;
const KNOWN_DIRECTORIES = 1_000;

/**
 * Containers of attempts, beside their logs on the service's disk, for as long as those are kept. Only logs and the ends
 * of attempts that ended unheard are found by them: without them, nothing else is lost.
 */
export function createPlaces(logOf: LogOf, logger: Logger) {
  const remembered = new Recent<AttemptId, Place>(REMEMBERED);
  const made = new Recent<string, true>(KNOWN_DIRECTORIES);
  const fileOf = (attemptId: AttemptId): string => `${logOf(attemptId)}.container.json`;

  async function write(attemptId: AttemptId, place: Place): Promise<void> {
    const file = fileOf(attemptId);
    const directory = dirname(file);
    if (!made.get(directory)) {
      await mkdir(directory, { recursive: true });
      made.set(directory, true);
    }
    await writeFile(file, JSON.stringify(place));
  }

  return {
    remember(attemptId: AttemptId, place: Place): void {
      remembered.set(attemptId, place);
      write(attemptId, place).catch((error: unknown) =>
        logger.warn(
          { err: error },
          `the log of ${attemptId} will not be found by the next service`,
        ),
      );
    },
    async find(attemptId: AttemptId): Promise<Place | undefined> {
      const known = remembered.get(attemptId);
      if (known) return known;
      const text = await readFile(fileOf(attemptId), 'utf8').catch(() => undefined);
      return text === undefined ? undefined : parse(text);
    },
  };
}

export type Places = ReturnType<typeof createPlaces>;

function parse(text: string): Place | undefined {
  try {
    const said: unknown = JSON.parse(text);
    if (!isObject(said)) return undefined;
    const { applicationId, container, node, nodeHttp } = said;
    const all = [applicationId, container, node, nodeHttp];
    if (!all.every((each) => typeof each === 'string')) return undefined;
    return { applicationId, container, node, nodeHttp } as Place;
  } catch {
    return undefined;
  }
}
