import type { Command } from 'commander';
import type { Explanation, FailureGroup, SuspectInput } from '../operator/schemas.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { columns, oneLine, plural, table, timeText } from './text.ts';

export const explainCommand = (deps: CliDeps): Command =>
  clientCommand('explain', deps)
    .argument('<id>', 'id of a job, a task or an attempt')
    .description('say why something waits, runs or has failed, and what to do about it')
    .addHelpText('after', examples('explain 20170420225425_L3_10f8bb718406f6', 'explain <job>.17'))
    .action(async (id: string, flags: ClientFlags) => {
      const path = `/api/explain/${encodeURIComponent(id)}`;
      print(deps, flags, await clientOf(flags, deps).get<Explanation>(path), explanationText);
    });

export const failuresCommand = (deps: CliDeps): Command =>
  clientCommand('failures', deps)
    .argument('<id>', 'job id')
    .description('list why attempts of a job failed, with counts and an example each')
    .addHelpText('after', examples('failures 20170420225425_L3_10f8bb718406f6'))
    .action(async (id: string, flags: ClientFlags) => {
      const path = `/api/jobs/${encodeURIComponent(id)}/failures`;
      const page = await clientOf(flags, deps).get<Page<FailureGroup>>(path);
      print(deps, flags, page, failuresText);
    });

export const inputsCommand = (deps: CliDeps): Command =>
  clientCommand('inputs', deps)
    .description('list inputs that failed in several jobs')
    .addHelpText('after', examples('inputs', 'inputs --json'))
    .action(async (flags: ClientFlags) => {
      const page = await clientOf(flags, deps).get<Page<SuspectInput>>('/api/inputs/suspect');
      print(deps, flags, page, inputsText);
    });

function explanationText({ id, state, summary, reasons, remedies, ...queue }: Explanation): string {
  const { position, of, expectedStart } = queue;
  const place =
    position === undefined ? '' : `Place in the line: ${position} of ${of ?? position}\n`;
  const start =
    expectedStart === undefined ? '' : `Expected start: ${timeText(expectedStart)} UTC\n`;
  const rows = reasons.map(({ code, tasks, message, until }) => [
    ` `,
    code,
    tasks === undefined ? '' : plural(tasks, 'task'),
    until === undefined ? message : `${message} Until ${timeText(until)} UTC.`,
  ]);
  const why = rows.length === 0 ? '' : `\nWhy:\n${columns(rows)}`;
  const advice = remedies.map((remedy) => `  ${oneLine(remedy)}\n`).join('');
  return (
    `${id} is ${state}: ${oneLine(summary)}\n${place}${start}${why}` +
    (advice === '' ? '' : `\nWhat to do:\n${advice}`)
  );
}

function failuresText({ items }: Page<FailureGroup>): string {
  if (items.length === 0) return 'nothing failed\n';
  const rows = items.map(({ count, kind, example, lastAt, message }) => [
    count,
    kind,
    example,
    timeText(lastAt),
    message,
  ]);
  return table(['ATTEMPTS', 'KIND', 'EXAMPLE', 'LAST (UTC)', 'WHY'], rows);
}

function inputsText({ items }: Page<SuspectInput>): string {
  if (items.length === 0) return 'no suspect inputs\n';
  const rows = items.map(({ input, jobs, lastAt, message }) => [
    input,
    jobs,
    timeText(lastAt),
    message,
  ]);
  return table(['INPUT', 'FAILED JOBS', 'LAST (UTC)', 'WHY'], rows);
}
