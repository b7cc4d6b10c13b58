import { openAsBlob } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { Command } from 'commander';
import { PushbroomError, messageOf } from '../errors.ts';
import type { Bundle } from '../operator/schemas.ts';
import { DEFAULT_LIMITS, packDirectory } from '../processes/archive.ts';
import type { Client } from './client.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { bundlesText } from './render.ts';
import type { Page } from './render.ts';

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
export async function deployBundle(client: Client, path: string): Promise<Bundle> {
  const isDirectory = await isDirectoryOf(path);
  const name = basename(resolve(path)) + (isDirectory ? '.zip' : '');
  const upload = async (zip: string) =>
    client.upload<Bundle>('/api/processors', await openAsBlob(zip), name);
  if (!isDirectory) return upload(path);
  const scratch = await mkdtemp(join(tmpdir(), 'pushbroom-'));
  try {
    const zip = join(scratch, 'bundle.zip');
    await packDirectory(path, zip, DEFAULT_LIMITS);
    return await upload(zip);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function isDirectoryOf(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw new PushbroomError('NOT_FOUND', `cannot read the bundle: ${messageOf(error)}`);
  }
}
