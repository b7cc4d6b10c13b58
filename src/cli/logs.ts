import type { Command } from 'commander';
import { parseAttemptId } from '../core/ids.ts';
import { isAttemptEnded } from '../core/lifecycle.ts';
import { PushbroomError } from '../errors.ts';
import type { Attempt, Task } from '../operator/schemas.ts';
import type { Client } from './client.ts';
import { clientCommand, clientOf, examples, integer } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import { pauseOf } from './deps.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { oneLine } from './text.ts';

const STREAMS = ['out', 'err'] as const;
const LOOK_AGAIN_MS = 500;

interface LogsFlags extends ClientFlags {
  readonly follow?: true;
  readonly limit: number;
}

interface LogPart {
  readonly attempt: Attempt;
  readonly why?: string;
  readonly out: string;
  readonly err: string;
}

export const logsCommand = (deps: CliDeps): Command =>
  clientCommand('logs', deps)
    .argument('<id>', 'id of a job, a task or an attempt')
    .description("show what processors wrote; of a job's tasks those that failed first")
    .option('-f, --follow', 'go on until the attempt has ended; for a task or an attempt')
    .option('--limit <n>', "so many of a job's tasks", integer(1, 1000), 10)
    .addHelpText('after', examples('logs 20170420225425_L3_10f8bb718406f6', 'logs -f <job>.17'))
    .action(async (id: string, flags: LogsFlags) => {
      const client = clientOf(flags, deps);
      const { attempt, tasks } = await find(client, id, flags.limit);
      if (flags.follow) {
        if (!attempt) throw invalid(`--follow takes a task or an attempt, and ${id} is a job`);
        await follow(client, attempt, deps);
      } else if (attempt) {
        show(deps, flags, [await read(client, attempt)], false);
      } else {
        show(deps, flags, await Promise.all(tasks.map((task) => readTask(client, task))), true);
      }
    });

/** The attempt that an id names, a task's newest one, or some tasks of a job. */
async function find(
  client: Client,
  id: string,
  limit: number,
): Promise<{ attempt?: Attempt; tasks: readonly Task[] }> {
  const [jobId = '', task, attempt, more] = id.split('.');
  if (task === undefined) return { tasks: await tasksOf(client, id, limit) };
  // The newest attempt of a task goes by the number of any attempt, so one check of the form does for both.
  const parsed =
    more === undefined ? parseAttemptId(`${jobId}.${task}.${attempt ?? 1}`) : undefined;
  if (!parsed) throw invalid(`"${id}" is not the id of a job, a task or an attempt`);
  const attempts = await attemptsOf(client, jobId, parsed.task);
  const found = attempt === undefined ? attempts.at(-1) : attempts.find((one) => one.id === id);
  if (!found) {
    const what =
      attempt === undefined ? `task ${id} has no attempt yet` : `there is no attempt ${id}`;
    throw new PushbroomError('NOT_FOUND', what);
  }
  return { attempt: found, tasks: [] };
}

async function tasksOf(client: Client, jobId: string, limit: number): Promise<readonly Task[]> {
  const tasks: Task[] = [];
  for (const state of ['failed', 'running', 'finished']) {
    if (tasks.length >= limit) break;
    const path = `/api/jobs/${encodeURIComponent(jobId)}/tasks`;
    const page = await client.get<Page<Task>>(path, { state, limit: limit - tasks.length });
    tasks.push(...page.items);
  }
  return tasks;
}

async function attemptsOf(
  client: Client,
  jobId: string,
  task: number,
): Promise<readonly Attempt[]> {
  const path = `/api/jobs/${encodeURIComponent(jobId)}/tasks/${task}/attempts`;
  return (await client.get<Page<Attempt>>(path)).items;
}

async function readTask(client: Client, task: Task): Promise<LogPart | undefined> {
  const jobId = task.id.slice(0, task.id.indexOf('.'));
  const attempt = (await attemptsOf(client, jobId, task.number)).at(-1);
  return attempt && read(client, attempt);
}

async function read(client: Client, attempt: Attempt): Promise<LogPart> {
  const texts = { out: '', err: '' };
  for (const stream of STREAMS) {
    for await (const text of parts(client, attempt.id, stream)) texts[stream] += text;
  }
  return {
    attempt,
    ...(attempt.failure && { why: attempt.failure.message }),
    ...texts,
  };
}

/** A log from an offset to its present end; returns the offset there. */
async function* parts(
  client: Client,
  attemptId: string,
  stream: string,
  offset = 0,
): AsyncGenerator<string, number> {
  for (let at = offset; ;) {
    const { text, next } = await client.log(attemptId, stream, at);
    if (next <= at) return at;
    yield text;
    at = next;
  }
}

function show(
  deps: CliDeps,
  flags: LogsFlags,
  logs: readonly (LogPart | undefined)[],
  headed: boolean,
): void {
  const present = logs.filter((log) => log !== undefined);
  if (flags.json) {
    const items = present.map(({ attempt, out, err }) => ({ ...attempt, out, err }));
    deps.stdout.write(`${JSON.stringify({ items })}\n`);
    return;
  }
  if (present.length === 0) deps.stdout.write('no logs yet\n');
  for (const { attempt, why, out, err } of present) {
    const reason = why === undefined ? '' : `: ${oneLine(why)}`;
    if (headed)
      deps.stdout.write(`== ${attempt.id} ${attempt.state} on ${attempt.node}${reason}\n`);
    deps.stdout.write(ended(out) + ended(err));
  }
}

const ended = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

async function follow(client: Client, { id }: Attempt, deps: CliDeps): Promise<void> {
  const { jobId, task } = parseAttemptId(id)!;
  const offsets = { out: 0, err: 0 };
  for (;;) {
    // The state comes before the text, so that the last look sees all of an ended attempt's text.
    const now = (await attemptsOf(client, jobId, task)).find((attempt) => attempt.id === id);
    for (const stream of STREAMS) {
      const log = parts(client, id, stream, offsets[stream]);
      let part = await log.next();
      for (; !part.done; part = await log.next()) deps.stdout.write(part.value);
      offsets[stream] = part.value;
    }
    if (!now || isAttemptEnded(now.state)) return;
    await pauseOf(deps)(LOOK_AGAIN_MS);
  }
}

const invalid = (message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message);
