import { Command } from 'commander';
import type { Report, Waits } from '../simulator/report.ts';
import { examples, integer } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { createProgress } from './progress.ts';
import { columns, plural, table } from './text.ts';

interface SimulateFlags {
  readonly seed?: number;
  readonly until?: number;
  readonly json?: true;
}

/** Progress of a run that is over before anybody has read it is not shown. */
const PATIENCE_MS = 2_000;
const BETWEEN_MS = 500;

export const simulateCommand = (deps: CliDeps): Command =>
  new Command('simulate')
    .description('play a cluster, its quotas and its jobs on simulated time')
    .argument('<file>', 'scenario (YAML): nodes, data, failures, scheduling, jobs')
    .option('--seed <number>', 'another draw of the same chances', integer(0, 2 ** 31))
    .option('--until <seconds>', 'break off at that simulated time', integer(1, 1e9))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('simulate demo/scenario.yaml', 'simulate demo/scenario.yaml --seed 2 --json'),
    )
    .action(async (file: string, { seed, until, json }: SimulateFlags) => {
      // Half of the service: nothing that other verbs should wait for.
      const { loadScenario } = await import('../simulator/scenario.ts');
      const { simulate } = await import('../simulator/simulate.ts');
      const scenario = await loadScenario(file);
      const progress = createLateProgress(deps);
      const report = await simulate(
        { ...scenario, ...(seed !== undefined && { seed }) },
        { ...(until !== undefined && { until }), onProgress: progress.update },
      ).finally(progress.stop);
      deps.stdout.write(json ? `${JSON.stringify(report)}\n` : reportText(report));
    });

function createLateProgress({ stderr }: CliDeps) {
  let bar: ReturnType<typeof createProgress> | undefined;
  let next = performance.now() + PATIENCE_MS;
  return {
    update(done: number, all: number, passed: number): void {
      if (performance.now() < next) return;
      next = performance.now() + BETWEEN_MS;
      bar ??= createProgress(stderr);
      bar.update((100 * done) / all, `${done} of ${plural(all, 'job')}, ${durationText(passed)}`);
    },
    stop: (): void => bar?.stop(),
  };
}

const ENDS: Readonly<Record<Report['end'], string>> = {
  done: 'all jobs have ended',
  until: 'broken off at --until',
  stuck: 'what is left would wait for ever: nothing has room for it, or a limit forbids it',
};

export const reportText = (report: Report): string =>
  [
    summary(report),
    engineTable(report),
    groupTable(report),
    waitTable(report),
    failureTable(report),
  ]
    .filter((part) => part !== '')
    .join('\n');

function summary(report: Report): string {
  const { makespan, jobs, tasks, attempts, speculative, locality, groups } = report;
  return columns([
    ['End', ENDS[report.end]],
    ['Makespan', durationText(makespan)],
    ['Lower bound', boundText(report)],
    ['Utilisation', `${report.utilisation} % of the processor time; ${report.wasted} % wasted`],
    ['Jobs', countsText(jobs)],
    ['Tasks', countsText(tasks)],
    ['Attempts', countsText(attempts)],
    ['Second attempts', `${speculative.launched}, of which ${speculative.won} won`],
    ['Locality', countsText(locality, ' %')],
    ['Fairness', `${report.fairness} (Jain's index over ${plural(groups.length, 'group')})`],
  ]);
}

const boundText = ({ makespan, lowerBound }: Report): string =>
  lowerBound === 0
    ? 'none: no task has finished'
    : `${durationText(lowerBound)} (${(makespan / lowerBound).toFixed(3)} x)`;

/** `finished 12, failed 1`, without what did not happen. */
const countsText = (counts: Readonly<Record<string, number>>, unit = ''): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${what} ${count}${unit}`)
    .join(', ') || 'none';

function engineTable({ engines }: Report): string {
  if (engines.length < 2) return '';
  const rows = engines.map(({ engine, attempts, cpuHours, cost }) => [
    engine,
    attempts,
    cpuHours,
    cost,
  ]);
  return table(['ENGINE', 'ATTEMPTS', 'CPU HOURS', 'COST'], rows);
}

function groupTable({ groups }: Report): string {
  const header = ['GROUP', 'JOBS', 'SHARE %', 'FAIR SHARE %'];
  return table(
    header,
    groups.map(({ group, jobs, share, fairShare }) => [group, jobs, share, fairShare]),
  );
}

function waitTable({ groups }: Report): string {
  const header = ['GROUP', 'FROM ... TO', 'MEAN', 'MEDIAN', '95 %', 'LONGEST'];
  const rows = groups.flatMap(({ group, jobWait, taskWait, turnaround }) => [
    [group, "job's arrival ... first attempt", ...waitTexts(jobWait)],
    [group, 'task ready ... first attempt', ...waitTexts(taskWait)],
    [group, "job's arrival ... end", ...waitTexts(turnaround)],
  ]);
  return table(header, rows);
}

const waitTexts = ({ mean, p50, p95, max }: Waits): string[] =>
  [mean, p50, p95, max].map(durationText);

function failureTable({ failures }: Report): string {
  if (failures.length === 0) return '';
  const rows = failures.map(({ kind, attempts, retries }) => [kind, attempts, retries]);
  return table(['FAILURE', 'ATTEMPTS', 'RETRIES'], rows);
}

/** `4.2 s`, `12 min`, `5.8 h`, `3.1 d` */
function durationText(seconds: number): string {
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`;
  return seconds < 172_800
    ? `${(seconds / 3600).toFixed(1)} h`
    : `${(seconds / 86_400).toFixed(1)} d`;
}
