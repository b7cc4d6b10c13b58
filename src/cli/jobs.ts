import type { Command } from 'commander';
import type { Job, JobDetails, Result, Task } from '../operator/schemas.ts';
import { clientCommand, clientOf, examples, integer, list, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { jobsText, jobText } from './render.ts';
import type { Page } from './render.ts';

const NO_TASKS: Page<Task> = { items: [] };

interface JobsFlags extends ClientFlags {
  readonly state?: readonly string[];
  readonly user?: string;
  readonly process?: string;
  readonly group?: string;
  readonly limit: number;
  readonly after?: string;
}

export const jobsCommand = (deps: CliDeps): Command =>
  clientCommand('jobs', deps)
    .description('list jobs, newest first')
    .option('--state <states>', 'only these states, separated by commas', list)
    .option('--user <name>', 'only of this user')
    .option('--process <id>', 'only of this process')
    .option('--group <path>', 'only of this group')
    .option('--limit <n>', 'at most so many', integer(1, 1000), 20)
    .option('--after <cursor>', 'go on where the list before ended')
    .addHelpText('after', examples('jobs --state running,accepted', 'jobs --user utep --json'))
    .action(async (flags: JobsFlags) => {
      const { state, user, process, group, limit, after } = flags;
      const query = { state, user, process, group, limit, after };
      print(deps, flags, await clientOf(flags, deps).get<Page<Job>>('/api/jobs', query), jobsText);
    });

export const jobCommand = (deps: CliDeps): Command =>
  clientCommand('job', deps)
    .argument('<id>', 'job id')
    .description('show a job: steps, failures in words, results')
    .addHelpText('after', examples('job 20170420225425_L3_10f8bb718406f6'))
    .action(async (id: string, flags: ClientFlags) => {
      const client = clientOf(flags, deps);
      const path = `/api/jobs/${encodeURIComponent(id)}`;
      const job = await client.get<JobDetails>(path);
      const hasFailures = Object.values(job.steps).some(({ failed }) => failed > 0);
      const failed = hasFailures
        ? await client.get<Page<Task>>(`${path}/tasks`, { state: 'failed', limit: 20 })
        : NO_TASKS;
      const results =
        job.state === 'successful'
          ? await client.get<Page<Result>>(`${path}/results`)
          : { items: [] };
      const all = { ...job, failures: failed.items, results: results.items };
      print(deps, flags, all, () => jobText(job, failed, results.items));
    });
