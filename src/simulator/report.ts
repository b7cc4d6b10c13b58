import { LOCALITIES } from '../core/model.ts';
import type { AttemptState, JobState, Locality, Millis } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import { earliestEnd } from './bound.ts';
import type { Need, Supply } from './bound.ts';
import { jainIndex } from './fair.ts';
import type { GroupTrack, JobTrack, Recorder } from './record.ts';

/** Seconds. */
export interface Waits {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

export interface GroupReport {
  readonly group: string;
  readonly jobs: number;
  /** From a job's arrival to its first attempt. */
  readonly jobWait: Waits;
  /** From when a task could run to its first attempt. */
  readonly taskWait: Waits;
  /** From a job's arrival to its end. */
  readonly turnaround: Waits;
  /** Percent of the cluster (dominant resource), on average over the time in which it wanted any. */
  readonly share: number;
  /** What was due to it then. */
  readonly fairShare: number;
}

export interface EngineReport {
  readonly engine: string;
  /** Those that have ended. */
  readonly attempts: number;
  readonly cpuHours: number;
  /** Those hours by what one of them costs. */
  readonly cost: number;
}

/** What a simulation showed. Times are seconds, parts are percent; figures without a meaning are absent. */
export interface Report {
  readonly seed: number;
  /** `stuck`: nothing more would ever have happened. */
  readonly end: 'done' | 'until' | 'stuck';
  /** From the first arrival to the end of the last job. */
  readonly makespan: number;
  /** No schedule of what was finished could have been shorter. */
  readonly lowerBound: number;
  /** Processor time in use, of that which was there while there were jobs. */
  readonly utilisation: number;
  /** Processor time in attempts that came to nothing. */
  readonly wasted: number;
  readonly jobs: Readonly<Record<JobState | 'refused', number>>;
  readonly tasks: { readonly added: number; readonly finished: number; readonly failed: number };
  readonly attempts: Readonly<Partial<Record<AttemptState, number>>>;
  /** Of the first step's attempts. */
  readonly locality: Readonly<Partial<Record<Locality | 'unknown', number>>>;
  readonly engines: readonly EngineReport[];
  readonly groups: readonly GroupReport[];
  /** Jain's index over what groups got of what was due to them. */
  readonly fairness: number;
  readonly failures: readonly {
    readonly kind: string;
    readonly attempts: number;
    readonly retries: number;
  }[];
  readonly speculative: { readonly launched: number; readonly won: number };
}

export interface ReportOptions {
  readonly seed: number;
  readonly end: Report['end'];
  readonly refused: number;
  readonly recorder: Recorder;
  readonly costs: Policy['costs'];
  readonly supplies: readonly Supply[];
  readonly fastest: number;
}

export function reportOf(options: ReportOptions): Report {
  const { seed, end, refused, recorder } = options;
  const jobs = [...recorder.jobs.values()];
  const begin = jobs.reduce(
    (first, { job }) => Math.min(first, job.acceptedAt),
    recorder.changedAt,
  );
  const last = jobs.reduce(
    (latest, { endedAt = recorder.changedAt }) => Math.max(latest, endedAt),
    begin,
  );
  const { available, used, wasted } = recorder.cpuMs;
  const groups = [...recorder.groups.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const served = groups.filter(({ fairMs }) => fairMs > 0);
  const located = [...recorder.localities.values()].reduce((sum, each) => sum + each, 0);
  return {
    seed,
    end,
    makespan: seconds(last - begin),
    lowerBound: seconds(
      Math.max(begin, earliestEnd(needsOf(jobs, options.fastest), options.supplies)) - begin,
    ),
    utilisation: percent(used, available),
    wasted: percent(wasted, available),
    jobs: { ...countStates(jobs), refused },
    tasks: recorder.tasks,
    attempts: Object.fromEntries(recorder.attempts),
    locality: Object.fromEntries(
      [...LOCALITIES, 'unknown' as const]
        .filter((level) => recorder.localities.has(level))
        .map((level) => [level, percent(recorder.localities.get(level)!, located)]),
    ),
    engines: enginesOf(options),
    groups: groups.map((group) =>
      groupReport(
        group,
        jobs.filter(({ job }) => job.group === group.path),
      ),
    ),
    fairness: round(jainIndex(served.map(({ shareMs, fairMs }) => shareMs / fairMs)), 3),
    failures: Array.from(recorder.failures, ([kind, { failures, retries }]) => ({
      kind,
      attempts: failures,
      retries,
    })).toSorted((a, b) => b.attempts - a.attempts),
    speculative: recorder.speculative,
  };
}

const enginesOf = ({ recorder, costs }: ReportOptions): EngineReport[] =>
  [...recorder.engines]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([engine, { attempts, cpuMs }]) => {
      const cpuHours = cpuMs / 3_600_000;
      const cost = (costs[engine] ?? 1) * cpuHours;
      return { engine, attempts, cpuHours: round(cpuHours, 3), cost: round(cost, 3) };
    });

function groupReport(group: GroupTrack, jobs: readonly JobTrack[]): GroupReport {
  const since = (end: 'startedAt' | 'endedAt') =>
    jobs.flatMap(({ job, [end]: at }) => (at === undefined ? [] : [at - job.acceptedAt]));
  return {
    group: group.path,
    jobs: jobs.length,
    jobWait: waitsOf(since('startedAt')),
    taskWait: waitsOf(group.taskWaits),
    turnaround: waitsOf(since('endedAt')),
    share: percent(group.shareMs, group.wantedMs),
    fairShare: percent(group.fairMs, group.wantedMs),
  };
}

function waitsOf(waits: readonly Millis[]): Waits {
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (part: number) =>
    seconds(sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0);
  const sum = sorted.reduce((total, wait) => total + wait, 0);
  return { mean: seconds(sum / (sorted.length || 1)), p50: at(0.5), p95: at(0.95), max: at(1) };
}

/** What the jobs' finished tasks needed at least. */
const needsOf = (jobs: readonly JobTrack[], fastest: number): Need[] =>
  jobs.map(({ job, worked, longest }) => ({
    at: job.acceptedAt,
    work: worked,
    chainMs:
      Math.max(
        0,
        ...Array.from(longest.values(), ({ process = 0, aggregate = 0, format = 0 }) =>
          // Only an aggregation waits for all that went before.
          job.workflow.aggregate ? process + aggregate + format : Math.max(process, format),
        ),
      ) / fastest,
  }));

function countStates(jobs: readonly JobTrack[]): Record<JobState, number> {
  const counts = { accepted: 0, running: 0, successful: 0, failed: 0, dismissed: 0 };
  for (const { state } of jobs) counts[state] += 1;
  return counts;
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
const seconds = (millis: Millis): number => round(millis / 1000, 3);
const percent = (part: number, whole: number): number =>
  whole === 0 ? 0 : round((100 * part) / whole, 2);
