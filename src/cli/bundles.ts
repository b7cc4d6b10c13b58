import { Command, Option } from 'commander';
import type { Bundle, BundleChange } from '../operator/schemas.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { table, timeText } from './text.ts';

interface ListFlags extends ClientFlags {
  readonly state?: string;
  readonly owner?: string;
}

export const bundlesCommand = (deps: CliDeps): Command =>
  clientCommand('bundles', deps)
    .description('list bundles: how far they have come, whose they are, for whom they are there')
    .addOption(
      new Option('--state <state>', 'only those').choices([
        'uploaded',
        'vetted',
        'deployed',
        'withdrawn',
      ]),
    )
    .option('--owner <user>', 'only his')
    .addHelpText('after', examples('bundles', 'bundles --state uploaded'))
    .action(async ({ state, owner, ...flags }: ListFlags) => {
      const query = { state, owner };
      const page = await clientOf(flags, deps).get<Page<Bundle>>('/api/processors', query);
      print(deps, flags, page, standingsText);
    });

const CHANGES: readonly (readonly [verb: string, change: BundleChange, what: string])[] = [
  ['vet', { state: 'vetted' }, 'approve a bundle of a user'],
  ['deploy', { state: 'deployed' }, 'offer a bundle that was vetted'],
  ['withdraw', { state: 'withdrawn' }, 'take no new jobs for a bundle; what runs goes on'],
  ['publish', { visibility: 'public' }, 'let a bundle be there for all, once it is deployed'],
  ['hide', { visibility: 'private' }, 'let a bundle be there for its owner alone'],
];

export function bundleCommand(deps: CliDeps): Command {
  const command = new Command('bundle')
    .description('say what becomes of a bundle')
    .addHelpText('after', examples('bundle vet fmask~3.2', 'bundle deploy fmask~3.2'));
  for (const [verb, change, what] of CHANGES) {
    command.addCommand(
      bundleVerb(verb, what, deps).action(async (bundle: string, flags: ClientFlags) => {
        const changed = await clientOf(flags, deps).patch<Bundle>(pathOf(bundle), change);
        print(deps, flags, changed, (it) => standingsText({ items: [it] }));
      }),
    );
  }
  const remove = bundleVerb('remove', 'forget a bundle that no job needs', deps);
  return command.addCommand(
    remove.action(async (bundle: string, flags: ClientFlags) => {
      const removed = await clientOf(flags, deps).delete<Bundle>(pathOf(bundle));
      print(deps, flags, removed, ({ name, version }) => `removed ${name}~${version}\n`);
    }),
  );
}

const bundleVerb = (verb: string, what: string, deps: CliDeps): Command =>
  clientCommand(verb, deps)
    .argument('<bundle>', 'NAME~VERSION')
    .description(what)
    .addHelpText('after', examples(`bundle ${verb} fmask~3.2`));

const pathOf = (bundle: string): string => `/api/processors/${encodeURIComponent(bundle)}`;

function standingsText({ items }: Pick<Page<Bundle>, 'items'>): string {
  if (items.length === 0) return 'no bundles\n';
  const rows = items.map(({ name, version, state, visibility, owner, history, ...bundle }) => {
    const last = history.at(-1) ?? { at: bundle.deployedAt, by: bundle.deployedBy, to: 'deployed' };
    const change = `${last.to} by ${last.by}, ${timeText(last.at)}`;
    return [`${name}~${version}`, state, visibility, owner ?? '-', change];
  });
  return table(['BUNDLE', 'STATE', 'FOR', 'OWNER', 'LAST CHANGE (UTC)'], rows);
}
