import type { Command } from 'commander';
import { PushbroomError } from '../errors.ts';
import type { Group, Node, Reloaded } from '../operator/schemas.ts';
import type { Client } from './client.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { table, timeText } from './text.ts';

export const nodesCommand = (deps: CliDeps): Command =>
  clientCommand('nodes', deps)
    .description('list the nodes of all engines; take them out of work and give them back')
    .addHelpText('after', examples('nodes --json', 'nodes drain node17 --reason "disk is dying"'))
    .enablePositionalOptions()
    .addCommand(drainCommand(deps))
    .addCommand(undrainCommand(deps))
    .action(async (flags: ClientFlags) => {
      print(deps, flags, await clientOf(flags, deps).get<Page<Node>>('/api/nodes'), nodesText);
    });

const drainCommand = (deps: CliDeps): Command =>
  clientCommand('drain', deps)
    .argument('<node>', 'name of the node, or engine/name')
    .description('give no more work to a node; what runs there goes on')
    .option('--reason <text>', 'why, for those who see it')
    .addHelpText('after', examples('nodes drain node17 --reason "disk is dying"'))
    .action(async (name: string, flags: ClientFlags & { readonly reason?: string }) => {
      const { reason } = flags;
      await change(deps, name, flags, 'drain', reason === undefined ? {} : { reason });
    });

const undrainCommand = (deps: CliDeps): Command =>
  clientCommand('undrain', deps)
    .argument('<node>', 'name of the node, or engine/name')
    .description('give a node back to work')
    .addHelpText('after', examples('nodes undrain node17'))
    .action((name: string, flags: ClientFlags) => change(deps, name, flags, 'undrain', {}));

async function change(
  deps: CliDeps,
  name: string,
  flags: ClientFlags,
  verb: 'drain' | 'undrain',
  body: object,
): Promise<void> {
  const client = clientOf(flags, deps);
  const { engine, node } = await findNode(client, name);
  const path = `/api/nodes/${encodeURIComponent(engine)}/${encodeURIComponent(node)}/${verb}`;
  const changed = await client.post<Node>(path, body);
  print(deps, flags, changed, (it) => nodesText({ items: [it] }));
}

async function findNode(client: Client, name: string): Promise<Node> {
  const { items } = await client.get<Page<Node>>('/api/nodes');
  const full = ({ engine, node }: Node): string => `${engine}/${node}`;
  const found = items.filter((each) => each.node === name || full(each) === name);
  if (found.length === 1) return found[0]!;
  const known = (found.length > 0 ? found : items).map(full).slice(0, 20).join(', ');
  throw new PushbroomError(
    'NOT_FOUND',
    found.length > 0
      ? `several engines have a node '${name}': say which of ${known}`
      : `there is no node '${name}'; there are: ${known || 'none'}`,
  );
}

export const groupsCommand = (deps: CliDeps): Command =>
  clientCommand('groups', deps)
    .description('list the groups that share the cluster: what is due to each and what it has')
    .addHelpText('after', examples('groups', 'groups --json'))
    .action(async (flags: ClientFlags) => {
      print(deps, flags, await clientOf(flags, deps).get<Page<Group>>('/api/groups'), groupsText);
    });

export const reloadCommand = (deps: CliDeps): Command =>
  clientCommand('reload', deps)
    .description('read the scheduling section of the configuration anew: groups, limits, waits')
    .addHelpText('after', examples('reload'))
    .action(async (flags: ClientFlags) => {
      const reloaded = await clientOf(flags, deps).post<Reloaded>('/api/scheduling/reload', {});
      print(deps, flags, reloaded, ({ unapplied }) =>
        unapplied.length === 0
          ? 'reloaded\n'
          : `reloaded; changed as well, but only a restart applies it: ${unapplied.join(', ')}\n`,
      );
    });

function nodesText({ items }: Page<Node>): string {
  if (items.length === 0) return 'no nodes\n';
  const hasGpus = items.some(({ resources, free }) => resources.gpus ?? free.gpus);
  const rows = items.map((node) => [
    node.engine,
    node.node,
    node.rack ?? '-',
    node.pool ?? '-',
    node.resources.cpus,
    node.free.cpus,
    node.resources.memoryMb,
    node.free.memoryMb,
    ...(hasGpus ? [node.resources.gpus ?? 0, node.free.gpus ?? 0] : []),
    node.attempts,
    stateText(node),
  ]);
  const header = [
    'ENGINE',
    'NODE',
    'RACK',
    'POOL',
    'CPUS',
    'FREE',
    'MEMORY MB',
    'FREE MB',
    ...(hasGpus ? ['GPUS', 'FREE GPUS'] : []),
    'ATTEMPTS',
    'STATE',
  ];
  return table(header, rows);
}

function stateText({ drained, away, coolingOff }: Node): string {
  if (drained !== undefined) return drained === '' ? 'drained' : `drained: ${drained}`;
  if (away !== undefined) return `away: ${away}`;
  if (!coolingOff) return 'in work';
  return `cooling off until ${timeText(coolingOff.until)} UTC: ${coolingOff.reason}`;
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

function groupsText({ items }: Page<Group>): string {
  const hasGpus = items.some(({ use }) => use.gpus);
  const rows = items.map(({ path, weight, minimumPercent, maximumPercent, use, ...group }) => [
    path,
    weight,
    `${minimumPercent}-${maximumPercent} %`,
    percent(group.fairShare),
    percent(group.share),
    use.cpus,
    ...(hasGpus ? [use.gpus ?? 0] : []),
    use.tasks,
    use.jobs,
    limitsText(group.limits),
    limitsText(group.userLimits),
  ]);
  const header = [
    'GROUP',
    'WEIGHT',
    'MIN-MAX',
    'DUE',
    'HAS',
    'CPUS',
    ...(hasGpus ? ['GPUS'] : []),
    'TASKS',
    'JOBS',
    'LIMITS',
    'PER USER',
  ];
  return table(header, rows);
}

const limitsText = ({
  runningTasks,
  cpus,
  queuedJobs,
  productsPerRequest,
}: Group['limits']): string =>
  [
    runningTasks !== undefined && `${runningTasks} running tasks`,
    cpus !== undefined && `${cpus} cpus`,
    queuedJobs !== undefined && `${queuedJobs} open jobs`,
    productsPerRequest !== undefined && `${productsPerRequest} products`,
  ]
    .filter((text) => text !== false)
    .join(', ') || '-';
