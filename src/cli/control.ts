import type { Command } from 'commander';
import { PushbroomError } from '../errors.ts';
import type { Outcome, Report } from '../operator/action-schemas.ts';
import { clientCommand, clientOf, examples, integer, list, positive, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { oneLine } from './text.ts';

const MOST_MEMORY_MB = 1024 * 1024;
const MOST_TASKS = 2_147_483_647;
const MOST_PRIORITY = 200;

interface SelectionFlags extends ClientFlags {
  readonly state?: readonly string[];
  readonly user?: string;
  readonly group?: string;
  readonly process?: string;
  readonly yes?: true;
  readonly dryRun?: true;
}

/** A verb that does the same to some jobs. */
const jobsVerb = (name: string, deps: CliDeps): Command =>
  clientCommand(name, deps)
    .argument('[ids...]', 'job ids; or select them by the options')
    .option('--state <states>', 'all jobs in these states, separated by commas', list)
    .option('--user <name>', 'all jobs of this user')
    .option('--group <path>', 'all jobs of this group')
    .option('--process <id>', 'all jobs of this process')
    .option('--yes', 'also where more than one job is selected by options')
    .option('--dry-run', 'only say what would be done');

const simpleVerb =
  (action: 'pause' | 'cancel', description: string) =>
  (deps: CliDeps): Command =>
    jobsVerb(action, deps)
      .description(description)
      .addHelpText(
        'after',
        examples(
          `${action} 20170420225425_L3_10f8bb718406f6`,
          `${action} --user utep --dry-run`,
          `${action} --group project/tep --yes`,
        ),
      )
      .action((ids: readonly string[], flags: SelectionFlags) => act(deps, ids, flags, { action }));

export const pauseCommand = simpleVerb('pause', 'launch nothing more of jobs; what runs goes on');

interface ResumeFlags extends SelectionFlags {
  readonly maxCpuHours?: number;
}

export const resumeCommand = (deps: CliDeps): Command =>
  jobsVerb('resume', deps)
    .description('let paused jobs go on')
    .option('--max-cpu-hours <n>', 'raise the ceiling of jobs that have used it up', positive)
    .addHelpText(
      'after',
      examples(
        'resume 20170420225425_L3_10f8bb718406f6',
        'resume 20170420225425_L3_10f8bb718406f6 --max-cpu-hours 500',
      ),
    )
    .action((ids: readonly string[], flags: ResumeFlags) =>
      act(deps, ids, flags, { action: 'resume', maxCpuHours: flags.maxCpuHours }),
    );

export const cancelCommand = simpleVerb('cancel', 'dismiss jobs and end all their attempts');

interface PrioritiseFlags extends SelectionFlags {
  readonly priority?: number;
  readonly to?: string;
}

export const prioritiseCommand = (deps: CliDeps): Command =>
  jobsVerb('prioritise', deps)
    .description('change the priority of jobs, or the group whose share they use')
    .option('--priority <n>', 'higher goes first within a group', integer(0, MOST_PRIORITY))
    .option('--to <group>', 'move them to this group')
    .addHelpText(
      'after',
      examples(
        'prioritise 20170420225425_L3_10f8bb718406f6 --priority 10',
        'prioritise --user utep --to project/tep --yes',
      ),
    )
    .action((ids: readonly string[], flags: PrioritiseFlags) =>
      act(deps, ids, flags, { action: 'prioritise', priority: flags.priority, group: flags.to }),
    );

interface RetryFlags extends SelectionFlags {
  readonly cause?: string;
  readonly task?: readonly number[];
  readonly memory?: number;
  readonly version?: string;
}

const taskNumbers = (text: string, before: readonly number[] = []): readonly number[] => [
  ...before,
  ...text.split(',').map(integer(0, MOST_TASKS)),
];

export const retryCommand = (deps: CliDeps): Command =>
  jobsVerb('retry', deps)
    .description('do failed tasks again; of jobs that have ended in a new job')
    .option('--cause <text>', 'only tasks that failed for this: part of a cause, or its kind')
    .option('--task <n>', 'only these tasks of one job, separated by commas', taskNumbers)
    .option('--memory <mb>', 'with so much memory', integer(1, MOST_MEMORY_MB))
    .option('--version <v>', 'with another version of the bundle; for jobs that have ended')
    .addHelpText(
      'after',
      examples(
        'retry 20170420225425_L3_10f8bb718406f6',
        'retry 20170420225425_L3_10f8bb718406f6 --cause memory --memory 8192',
        'retry 20170420225425_L3_10f8bb718406f6 --task 17,42 --version 1.1',
        'retry --state failed --process timescan~1.0~Indices --yes',
      ),
    )
    .action(async (ids: readonly string[], flags: RetryFlags) => {
      const { cause, memory: memoryMb, version, task: tasks } = flags;
      const wish = { cause, memoryMb, version };
      if (!tasks) return act(deps, ids, flags, { action: 'retry', ...wish });
      if (ids.length !== 1 || flags.dryRun) {
        throw invalid('--task goes with the id of one job, and not with --dry-run');
      }
      const path = `/api/jobs/${encodeURIComponent(ids[0]!)}/retry`;
      const outcome = await clientOf(flags, deps).post<Outcome>(path, { ...wish, tasks });
      return print(deps, flags, outcome, outcomeText);
    });

/** @throws CONFLICT when it could not be done to all */
async function act(
  deps: CliDeps,
  ids: readonly string[],
  flags: SelectionFlags,
  action: object,
): Promise<void> {
  const { state, user, group, process } = flags;
  const filter = { state, user, group, process };
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  if (isFiltered === ids.length > 0) {
    throw invalid('name jobs by their ids, or by --state, --user, --group or --process');
  }
  const client = clientOf(flags, deps);
  const send = (dryRun: boolean) =>
    client.post<Report>('/api/jobs/actions', {
      ...action,
      ...(isFiltered ? { filter } : { ids }),
      dryRun,
    });
  if (isFiltered && !flags.yes && !flags.dryRun) {
    const { message, items } = await send(true);
    if (items.length > 1) {
      throw invalid(`${oneLine(message)} Look at them with --dry-run, or add --yes to do it.`);
    }
  }
  const report = await send(flags.dryRun ?? false);
  print(deps, flags, report, ({ items }) =>
    items
      .filter(({ done }) => done)
      .map(outcomeText)
      .join(''),
  );
  if (report.items.some(({ done }) => !done)) {
    throw new PushbroomError('CONFLICT', oneLine(report.message));
  }
}

const outcomeText = ({ jobId, message, newJobId }: Outcome): string =>
  `${jobId} ${oneLine(message)}${newJobId === undefined ? '' : `: ${newJobId}`}\n`;

const invalid = (message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message);
