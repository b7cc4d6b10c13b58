import type { Command } from 'commander';
import type { Dataset } from '../operator/schemas.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { datasetsText } from './render.ts';
import type { Page } from './render.ts';

export const datasetsCommand = (deps: CliDeps): Command =>
  clientCommand('datasets', deps)
    .description('list the datasets that jobs may process')
    .addHelpText('after', examples('datasets'))
    .action(async (flags: ClientFlags) => {
      const datasets = await clientOf(flags, deps).get<Page<Dataset>>('/api/datasets');
      print(deps, flags, datasets, datasetsText);
    });
