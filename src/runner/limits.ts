import type { Failure } from '../core/model.ts';
import type { Assignment } from './assignment.ts';

export type Limits = ReturnType<typeof createLimits>;

/**
 * Watches over what an attempt may use, all its programs together, from now on. Each call tells one more thing about
 * the attempt and returns the limit that it has passed, if any.
 *
 * @param now milliseconds of a clock that never goes back
 */
export function createLimits(limits: Assignment['limits'], now: () => number) {
  const begun = now();
  let heard = begun;
  let said = 0;
  const secondsSince = (then: number) => (now() - then) / 1000;
  const passed = (kind: Failure['kind'], message: string): Failure => ({ kind, message });
  const isSilent = () => secondsSince(heard) > limits.silence;
  const overdue = (): Failure | undefined =>
    secondsSince(begun) > limits.wallTime
      ? passed('time', `took longer than its limit of ${limits.wallTime} s`)
      : undefined;
  return {
    time(): Failure | undefined {
      return (
        overdue() ??
        (isSilent()
          ? passed('time', `said nothing for ${limits.silence} s and was taken to hang`)
          : undefined)
      );
    },
    overdue,
    /** As silence, of what comes over a network. */
    stalled(): Failure | undefined {
      return isSilent() ? passed('network', `stood still for ${limits.silence} s`) : undefined;
    },
    /** Something goes on that says nothing. */
    heard(): void {
      heard = now();
    },
    /** @param bytes resident now, of all processes */
    memory(bytes: number): Failure | undefined {
      const used = Math.ceil(bytes / 1024 ** 2);
      return used > limits.memoryMb
        ? passed('memory', `used ${used} MB of memory, more than its ${limits.memoryMb} MB`)
        : undefined;
    },
    /** @param bytes more on stdout or stderr */
    said(bytes: number): Failure | undefined {
      heard = now();
      said += bytes;
      return said > limits.outputBytes
        ? passed('processor', `wrote more than ${limits.outputBytes} bytes to stdout and stderr`)
        : undefined;
    },
  };
}
