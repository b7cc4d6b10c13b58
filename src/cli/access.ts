import { Command } from 'commander';
import { hashPassword } from '../access/password.ts';
import type { AuditRecord, Share } from '../operator/access-schemas.ts';
import { clientCommand, clientOf, examples, integer, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { table, timeText } from './text.ts';

export const hashPasswordCommand = (deps: CliDeps): Command =>
  new Command('hash-password')
    .description('print the hash of a password, for access.users in the configuration')
    .addHelpText('after', examples('hash-password', 'hash-password < password.txt'))
    .action(async () => {
      deps.stdout.write(`${await hashPassword(await deps.readPassword())}\n`);
    });

interface ShareFlags extends ClientFlags {
  readonly hours: number;
}

export const shareCommand = (deps: CliDeps): Command =>
  clientCommand('share', deps)
    .argument('<id>', 'job id')
    .description("make a link by which a browser gets a job's results without a login")
    .option('--hours <n>', 'for how long', integer(1, 8760), 24)
    .addHelpText('after', examples('share 20170420225425_L3_10f8bb718406f6 --hours 72'))
    .action(async (id: string, flags: ShareFlags) => {
      const path = `/api/jobs/${encodeURIComponent(id)}/share`;
      const share = await clientOf(flags, deps).post<Share>(path, { hours: flags.hours });
      print(
        deps,
        flags,
        share,
        ({ url, expires }) => `${url}\nuntil ${timeText(expires)} UTC, for whoever has it\n`,
      );
    });

interface AuditFlags extends ClientFlags {
  readonly user?: string;
  readonly limit: number;
  readonly after?: string;
}

export const auditCommand = (deps: CliDeps): Command =>
  clientCommand('audit', deps)
    .description('list who did what, newest first')
    .option('--user <name>', 'only what he did, or what was done on his behalf')
    .option('--limit <n>', 'at most so many', integer(1, 1000), 20)
    .option('--after <cursor>', 'go on where the list before ended')
    .addHelpText('after', examples('audit', 'audit --user utepportal --limit 100 --json'))
    .action(async ({ user, limit, after, ...flags }: AuditFlags) => {
      const query = { user, limit, after };
      const page = await clientOf(flags, deps).get<Page<AuditRecord>>('/api/audit', query);
      print(deps, flags, page, auditText);
    });

function auditText({ items, next }: Page<AuditRecord>): string {
  const rows = items.map(({ time, by, user, address, what, jobId, target, outcome }) => [
    timeText(time),
    by ?? '-',
    user ?? '-',
    address,
    what,
    jobId ?? target,
    outcome,
  ]);
  const header = ['TIME (UTC)', 'BY', 'FOR', 'FROM', 'WHAT', 'OF', 'OUTCOME'];
  const listed = items.length === 0 ? 'nothing here\n' : table(header, rows);
  return listed + (next === undefined ? '' : `more: --after ${next}\n`);
}
