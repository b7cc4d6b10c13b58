import { openAsBlob } from 'node:fs';
import { Command } from 'commander';
import type { Bundle } from '../operator/schemas.ts';
import type { Client } from './client.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { bundlesText } from './render.ts';
import type { Page } from './render.ts';
import { asZip } from './zip.ts';

export const processorsCommand = (deps: CliDeps): Command =>
  new Command('processors')
    .description('list and deploy thematic processors')
    .addHelpText('after', examples('processors list', 'processors deploy ./timescan-1.0'))
    .addCommand(listCommand(deps))
    .addCommand(deployCommand(deps));

const listCommand = (deps: CliDeps): Command =>
  clientCommand('list', deps)
    .description('list what can be executed')
    .addHelpText('after', examples('processors list --json'))
    .action(async (flags: ClientFlags) => {
      const bundles = await clientOf(flags, deps).get<Page<Bundle>>('/api/processors');
      print(deps, flags, bundles, bundlesText);
    });

const deployCommand = (deps: CliDeps): Command =>
  clientCommand('deploy', deps)
    .argument('<path>', 'directory or zip with bundle-descriptor.xml at its top')
    .description('deploy a bundle; a deployed version never changes')
    .addHelpText('after', examples('processors deploy ./my-bundle-1.0', 'processors deploy b.zip'))
    .action(async (path: string, flags: ClientFlags) => {
      const bundle = await deployBundle(clientOf(flags, deps), path);
      print(
        deps,
        flags,
        bundle,
        (it) => `deployed ${it.name}~${it.version}\n${bundlesText({ items: [it] })}`,
      );
    });

/** Uploads a bundle, given as a zip or as the directory of its files. */
export const deployBundle = (client: Client, path: string): Promise<Bundle> =>
  asZip(path, async (zip, name) =>
    client.upload<Bundle>('/api/processors', await openAsBlob(zip), name),
  );
