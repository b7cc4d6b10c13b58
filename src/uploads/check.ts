import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf, PushbroomError } from '../errors.ts';

export interface CheckOptions {
  /** The program and its arguments; none where nothing is checked. */
  readonly command: readonly string[];
  readonly seconds: number;
  readonly warn: (message: string) => void;
}

/**
 * Looks into an uploaded file, e.g. for viruses.
 *
 * @param name of the file as its user knows it
 * @throws INVALID_PARAMETER with what the program says about it; UNAVAILABLE where it can not say
 */
export type Check = (path: string, name: string) => Promise<void>;

const MOST_SAID = 1024 * 1024;
const MOST_TOLD = 300;

const run = promisify(execFile);

/** A file that can not be checked is refused: else whoever makes the program fail would get anything in. */
export function createCheck({ command, seconds, warn }: CheckOptions): Check {
  const [program, ...others] = command;
  return async (path, name) => {
    if (program === undefined) return;
    try {
      await run(program, [...others, path], {
        timeout: seconds * 1000,
        killSignal: 'SIGKILL',
        maxBuffer: MOST_SAID,
      });
    } catch (error) {
      const said = isRefusal(error) ? firstLine(error.stdout).replaceAll(path, name) : undefined;
      if (said === undefined) {
        warn(`uploads.check: ${program} did not check a file: ${messageOf(error).split('\n')[0]}`);
        throw new PushbroomError('UNAVAILABLE', 'the file can not be checked now: try again later');
      }
      throw new PushbroomError(
        'INVALID_PARAMETER',
        `the file was refused${said === '' ? '' : `: ${said}`}`,
        { locator: 'file', cause: error },
      );
    }
  };
}

/** An exit code of its own; a program that was killed has none, and one that is not there a text. */
const isRefusal = (error: unknown): error is Error & { readonly stdout: string } =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'stdout' in error;

const firstLine = (text: string): string =>
  (text.trim().split('\n')[0] ?? '').replaceAll(/\p{C}/gu, ' ').trim().slice(0, MOST_TOLD);
