import type { Attempt, Control, Millis, Resources } from './model.ts';
import type { JobRecord } from './state.ts';

/**
 * What a job has used of the CPU hours that it may use: CPUs that were kept for its attempts times how long, whether they
 * were busy or not. It is added up with each attempt, so that nobody has to go through them.
 */

const HOUR = 3_600_000;

/** Milliseconds times CPUs. A clock that was set back takes nothing back. */
export const reservedCpuMs = (
  { launchedAt }: Pick<Attempt, 'launchedAt'>,
  { cpus }: Pick<Resources, 'cpus'>,
  endedAt: Millis,
): number => cpus * Math.max(0, endedAt - launchedAt);

/** An attempt begins to use its CPUs. */
export function startUsing({ cpuMs, job }: JobRecord, attempt: Attempt, { cpus }: Resources): void {
  cpuMs.launched += cpus * (attempt.launchedAt - job.acceptedAt);
}

/** An attempt that is out no longer is. */
export function stopUsing(
  { cpuMs, job }: JobRecord,
  attempt: Attempt,
  resources: Resources,
  at: Millis,
): void {
  cpuMs.launched -= resources.cpus * (attempt.launchedAt - job.acceptedAt);
  cpuMs.ended += reservedCpuMs(attempt, resources, at);
}

/** CPUs times milliseconds of all its attempts, ended or not. */
export const usedCpuMs = ({ cpuMs, use, job }: JobRecord, at: Millis): number =>
  cpuMs.ended + Math.max(0, use.cpus * (at - job.acceptedAt) - cpuMs.launched);

/** Whether it may have no more attempts. */
export const isAtCeiling = (
  record: JobRecord,
  at: Millis,
  { maxCpuHours }: Pick<Control, 'maxCpuHours'> = record.control,
): boolean => maxCpuHours !== undefined && usedCpuMs(record, at) >= HOUR * maxCpuHours;

/** `it has used 10.2 of its 10 CPU hours` */
export const ceilingText = (
  record: JobRecord,
  at: Millis,
  { maxCpuHours = Infinity }: Pick<Control, 'maxCpuHours'> = record.control,
): string => `it has used ${hoursText(usedCpuMs(record, at))} of its ${maxCpuHours} CPU hours`;

const hoursText = (cpuMs: number): string => {
  const hours = cpuMs / HOUR;
  return hours >= 1 ? String(Math.round(10 * hours) / 10) : String(Number(hours.toPrecision(2)));
};

/** What to do about a job that is at its ceiling. */
export const ceilingRemedy = (jobId: string): string =>
  `Let it go on with a higher ceiling: pushbroom resume ${jobId} --max-cpu-hours HOURS`;
