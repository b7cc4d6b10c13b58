import { invalid } from '../processes/inputs.ts';
import { MAX_CPU_HOURS } from '../processes/settings.ts';
import type { Wish } from './assemble.ts';
import type { Role } from './jobs.ts';
import type { JobDefaults } from './plan.ts';

/**
 * The CPU hours that a job may use; `undefined` for any number. A request can lower what the bundle and the configuration
 * say, whichever is less; only operators can raise it.
 *
 * @throws INVALID_PARAMETER
 */
export function readCeiling(
  { settings, entry }: Pick<Wish, 'settings' | 'entry'>,
  defaults: Pick<JobDefaults, 'maxCpuHours'>,
  role: Role,
): number | undefined {
  const ofBundle = entry.processor.settings.maxCpuHours ?? Infinity;
  const most = Math.min(ofBundle, defaults.maxCpuHours ?? Infinity);
  const asked = settings.maxCpuHours ?? most;
  if (asked > most && role === 'user') {
    throw invalid(MAX_CPU_HOURS, `a job may use ${most} CPU hours here; operators can allow more`);
  }
  return asked === Infinity ? undefined : asked;
}
