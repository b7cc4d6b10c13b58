import type { Command } from 'commander';
import { PushbroomError } from '../errors.ts';
import type { Engine } from '../operator/schemas.ts';
import type { Client } from './client.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { plural, table } from './text.ts';

export const enginesCommand = (deps: CliDeps): Command =>
  clientCommand('engines', deps)
    .description('list the engines: whether they can work now, and what runs there')
    .addHelpText('after', examples('engines', 'engines --json'))
    .action(async (flags: ClientFlags) => {
      print(
        deps,
        flags,
        await clientOf(flags, deps).get<Page<Engine>>('/api/engines'),
        enginesText,
      );
    });

export const teardownCommand = (deps: CliDeps): Command =>
  clientCommand('teardown', deps)
    .argument('<engine>', 'id of the engine')
    .description('kill all that runs in an engine, and take its name out of its cluster')
    .option('--yes', 'do it; otherwise only say what would happen')
    .addHelpText('after', examples('teardown mesos', 'teardown mesos --yes'))
    .action(async (id: string, flags: ClientFlags & { readonly yes?: true }) => {
      const client = clientOf(flags, deps);
      if (!flags.yes) throw await unconfirmed(client, id);
      const path = `/api/engines/${encodeURIComponent(id)}/teardown`;
      const engine = await client.post<Engine>(path, { confirm: id });
      print(deps, flags, engine, () => `${id} is torn down, and ${STAYS_OFF}\n`);
    });

const STAYS_OFF = 'stays off until the service is started again';

async function unconfirmed(client: Client, id: string): Promise<PushbroomError> {
  const { items } = await client.get<Page<Engine>>('/api/engines');
  const engine = items.find((each) => each.id === id);
  if (!engine) {
    const known = items.map((each) => each.id).join(', ') || 'none';
    return new PushbroomError('NOT_FOUND', `there is no engine '${id}'; there are: ${known}`);
  }
  const what = plural(engine.attempts, 'attempt');
  return new PushbroomError(
    'INVALID_PARAMETER',
    `everything that runs in '${id}' (${what}) would be killed and made again elsewhere or later, and it ${STAYS_OFF}. ` +
      'Add --yes to do it.',
  );
}

function enginesText({ items }: Page<Engine>): string {
  if (items.length === 0) return 'no engines\n';
  const rows = items.map(({ id, connected, nodes, attempts, detail }) => [
    id,
    connected ? 'connected' : 'not connected',
    nodes,
    attempts,
    detail,
  ]);
  return table(['ENGINE', 'STATE', 'NODES', 'ATTEMPTS', 'DETAIL'], rows);
}
