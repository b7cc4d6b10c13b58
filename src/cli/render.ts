import { isJobEnded } from '../core/lifecycle.ts';
import type { Bundle, Dataset, Job, JobDetails, Result, Task } from '../operator/schemas.ts';
import { columns, plural, sizeText, table, timeText } from './text.ts';

/** What the API answers, as text for people. Every function is pure and ends its text with a newline. */

export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

const STEP_NAMES = ['process', 'aggregate', 'format'] as const;
const percentText = (percent: number): string => `${Math.floor(percent)} %`;

export const sum = (job: Job, count: 'total' | 'finished' | 'failed'): number =>
  STEP_NAMES.reduce((total, step) => total + job.steps[step][count], 0);

const stateText = ({ state, paused }: Job): string =>
  paused && !isJobEnded(state) ? 'paused' : state;

function whyText(job: Job): string {
  const state = stateText(job);
  if (job.message === undefined) return state;
  return state === 'paused' ? job.message : `${job.state}: ${job.message}`;
}

const cpuHoursText = ({ cpuHours: { used, ceiling } }: Job): string =>
  `${used.toFixed(2)}${ceiling === undefined ? '' : ` of ${ceiling}`}`;

export function jobsText({ items, next }: Page<Job>): string {
  if (items.length === 0) return 'no jobs\n';
  const rows = items.map((job) => [
    job.id,
    stateText(job),
    percentText(job.percent),
    `${sum(job, 'finished')}/${sum(job, 'total')}`,
    timeText(job.acceptedAt),
    job.user,
    job.process,
    job.title,
  ]);
  const header = ['JOB', 'STATE', 'DONE', 'TASKS', 'ACCEPTED (UTC)', 'USER', 'PROCESS', 'TITLE'];
  return table(header, rows) + (next === undefined ? '' : `more: --after ${next}\n`);
}

/** Steps under way in a few words: `process 34/140, 2 failed; aggregate 0/4`. */
export function stepsText(job: Job): string {
  const steps = STEP_NAMES.filter((step) => job.steps[step].total > 0).map((step) => {
    const { total, finished, failed } = job.steps[step];
    return `${step} ${finished}/${total}${failed > 0 ? `, ${failed} failed` : ''}`;
  });
  return [job.state, ...steps].join('; ');
}

export function jobText(job: JobDetails, failed: Page<Task>, results: readonly Result[]): string {
  const { from } = job.periods[0] ?? {};
  const { to } = job.periods.at(-1) ?? {};
  const facts = [
    ['Job', job.id],
    ['Title', job.title],
    ['Process', job.process],
    ['Image', job.processor.image],
    ['User', job.user],
    ['Reference', job.reference],
    ['Group', job.group],
    ['Priority', job.priority],
    ['Retry of', job.retryOf],
    ['State', whyText(job)],
    ['Done', percentText(job.percent)],
    ['Accepted', timeText(job.acceptedAt)],
    ['Started', job.startedAt && timeText(job.startedAt)],
    ['Ended', job.endedAt && timeText(job.endedAt)],
    ['Dataset', job.dataset],
    ['Period', from && `${from} to ${to} (${plural(job.periods.length, 'period')})`],
    ['Region', job.regionWkt],
    ['Attempts', job.attempts],
    ['CPU hours', cpuHoursText(job)],
  ].filter(([, value]) => value !== undefined);
  return [columns(facts), stepsTable(job), failuresTable(failed), resultsTable(results)]
    .filter((part) => part !== '')
    .join('\n');
}

function stepsTable(job: Job): string {
  const steps = STEP_NAMES.filter((step) => job.steps[step].total > 0);
  if (steps.length === 0) return '';
  const rows = steps.map((step) => {
    const { total, finished, failed } = job.steps[step];
    return [step, total, finished, failed];
  });
  return table(['STEP', 'TASKS', 'FINISHED', 'FAILED'], rows);
}

function failuresTable({ items, next }: Page<Task>): string {
  if (items.length === 0) return '';
  const rows = items.map((task) => [
    task.id,
    task.attempts,
    task.input ?? task.key,
    task.failure?.message ?? 'no reason given',
  ]);
  const more = next === undefined ? '' : 'and more\n';
  return table(['FAILED TASK', 'ATTEMPTS', 'INPUT', 'WHY'], rows) + more;
}

function resultsTable(results: readonly Result[]): string {
  if (results.length === 0) return '';
  const rows = results.map(({ role, size, href }) => [role, sizeText(size), href]);
  return table(['RESULT', 'SIZE', 'URL'], rows);
}

export function bundlesText({ items }: Page<Bundle>): string {
  const rows = items.flatMap(({ hash, processes }) =>
    processes.map(({ id, title }) => [id, hash.slice(0, 12), title]),
  );
  return rows.length === 0 ? 'no processors\n' : table(['PROCESS', 'BUNDLE HASH', 'TITLE'], rows);
}

export function datasetsText({ items }: Page<Dataset>): string {
  if (items.length === 0) return 'no datasets\n';
  const rows = items.map(({ name, productType, minDate, maxDate, patterns, roots = [] }) => [
    name,
    productType,
    minDate ?? '-',
    maxDate ?? '-',
    [...roots.map(({ location }) => location), ...patterns].join(','),
  ]);
  return table(['DATASET', 'TYPE', 'FROM', 'TO', 'PATHS'], rows);
}
